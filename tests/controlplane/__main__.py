"""A control plane to try things against, until interrupted; its kubeconfig is in the user's cache."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
from pathlib import Path

from .binary import cached_path, find_or_build
from .server import ControlPlane


def main() -> None:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with tempfile.TemporaryDirectory() as folder, ControlPlane(Path(folder), find_or_build()) as server:
        kubeconfig = cached_path().parent / "kubeconfig"
        kubeconfig.write_text(json.dumps(admin_kubeconfig(server)))  # JSON is YAML
        exports = f"KUBECONFIG={kubeconfig} SINGLETON_JOBS_STORE=kubernetes: PATH={Path(sys.executable).parent}:$PATH"
        print(f"ready, until interrupted:\n  export {exports}", flush=True)
        stopped.wait()


def admin_kubeconfig(server: ControlPlane) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "try", "cluster": {"server": server.url, "certificate-authority": str(server.ca_file)}}],
        "users": [{"name": "admin", "user": {"token": server.admin_token}}],
        "contexts": [{"name": "try", "context": {"cluster": "try", "user": "admin", "namespace": "default"}}],
        "current-context": "try",
    }


if __name__ == "__main__":
    sys.exit(main())
