"""What chaos is made on: one real control plane, and a folder."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controlplane.admin import Admin
from controlplane.server import ControlPlane


@dataclass(frozen=True)
class Stage:
    """A control plane that runs, a client that may do everything, and where files go."""

    directory: Path
    control_plane: ControlPlane
    admin: Admin

    def namespace(self) -> str:
        """A new namespace."""
        name = f"chaos-{uuid.uuid4().hex[:8]}"
        self.admin.create_namespace(name)
        return name


@contextmanager
def stage() -> Iterator[Stage]:
    """A new one, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="singleton-jobs-chaos-") as folder:
        directory = Path(folder)
        with ControlPlane(directory / "controlplane") as control_plane:
            yield Stage(directory, control_plane, Admin(control_plane, control_plane.admin_token))
