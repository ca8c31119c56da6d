"""The manifests that the examples ship."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "kubernetes"

Json = dict[str, Any]


def documents(file: str) -> list[Json]:
    return list(yaml.safe_load_all((FOLDER / file).read_text()))


def manifest(file: str, kind: str) -> Json:
    """The one document of that kind."""
    [found] = [document for document in documents(file) if document["kind"] == kind]
    return found
