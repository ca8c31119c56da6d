"""A real control plane: etcd and kube-apiserver on loopback ports; no kubelet, scheduler or controllers."""

from __future__ import annotations

import http.client
import secrets
import shutil
import signal
import ssl
import time
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from .binary import Programs, find_or_build
from .certs import Authority, write_server_certificate, write_signing_key
from .process import Process, free_ports

READY_TIMEOUT = 60.0


class Endpoint(Protocol):
    """Where clients connect: the API server itself or a proxy before it."""

    @property
    def url(self) -> str: ...

    @property
    def ca_file(self) -> Path: ...


class ControlPlaneFailed(Exception):
    """The control plane did not come up; the message ends with its logs."""


class Served:
    """A control plane that others run: its API server's address, its keys, and an administrator's token."""

    def __init__(self, directory: Path, port: int, admin_token: str) -> None:
        self.directory = directory
        self.port = port
        self.admin_token = admin_token

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def client_authority(self) -> Authority:
        """Whose clients it trusts."""
        return Authority((self.directory / "clients.key").read_bytes())

    def recover(self) -> None:
        """Nobody breaks it but who runs it."""


class ControlPlane(Served):
    """One etcd and one kube-apiserver; the latter can be killed, frozen and started again on its port."""

    def __init__(self, directory: Path, programs: Programs | None = None) -> None:
        programs = programs or find_or_build()
        directory.mkdir(parents=True, exist_ok=True)
        etcd_port, peer_port, port = free_ports(3)
        super().__init__(directory, port, secrets.token_hex(16))
        _, certificate, key = write_server_certificate(directory)
        private, public = write_signing_key(directory)
        authority = Authority()
        clients = directory / "clients.crt"
        clients.write_bytes(authority.pem)
        (directory / "clients.key").write_bytes(authority.key)
        tokens = directory / "tokens.csv"
        tokens.write_text(f'{self.admin_token},admin,admin,"system:masters"\n')
        etcd_url, peer_url = f"http://127.0.0.1:{etcd_port}", f"http://127.0.0.1:{peer_port}"
        etcd_flags = {
            "name": "default",
            "data-dir": directory / "etcd",
            "unsafe-no-fsync": "true",
            "listen-client-urls": etcd_url,
            "advertise-client-urls": etcd_url,
            "listen-peer-urls": peer_url,
            "initial-advertise-peer-urls": peer_url,
            "initial-cluster": f"default={peer_url}",
            "log-level": "error",
        }
        apiserver_flags = {
            "etcd-servers": etcd_url,
            "secure-port": self.port,
            "bind-address": "127.0.0.1",
            "cert-dir": directory,
            "tls-cert-file": certificate,
            "tls-private-key-file": key,
            "service-account-key-file": public,
            "service-account-signing-key-file": private,
            "service-account-issuer": "https://kubernetes.default.svc",
            "token-auth-file": tokens,
            "client-ca-file": clients,
            "authorization-mode": "RBAC",
            "service-cluster-ip-range": "10.0.0.0/24",
            "disable-admission-plugins": "ServiceAccount",
            # Without its own identity lease, all requests on leases that it counts are the tests'.
            "feature-gates": "APIServerIdentity=false,UnknownVersionInteroperabilityProxy=false",
        }
        self.etcd = Process(_command(programs.etcd, etcd_flags), directory / "etcd.log")
        self.apiserver = Process(_command(programs.apiserver, apiserver_flags), directory / "apiserver.log")

    def start(self) -> Self:
        """Start both and wait until requests are served."""
        try:
            self.etcd.start()
            self.start_apiserver()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End both at once; their data is deleted, the logs stay."""
        self.apiserver.kill()
        self.etcd.kill()
        shutil.rmtree(self.directory / "etcd", ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start_apiserver(self) -> None:
        self.apiserver.start()
        self.wait_ready()

    def kill_apiserver(self) -> None:
        """SIGKILL: open connections break, new ones are refused; etcd keeps the data."""
        self.apiserver.kill()

    def restart_apiserver(self) -> None:
        self.kill_apiserver()
        self.start_apiserver()

    def suspend_apiserver(self) -> None:
        """SIGSTOP: connections are taken by the kernel and nothing answers."""
        self.apiserver.signal(signal.SIGSTOP)

    def resume_apiserver(self) -> None:
        self.apiserver.signal(signal.SIGCONT)

    def recover(self) -> None:
        """Undo what a failed test may have left: resume, and start again what was killed."""
        self.etcd.signal(signal.SIGCONT)
        self.resume_apiserver()
        if not self.apiserver.running:
            self.start_apiserver()

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Poll /readyz; raises with the end of the logs if a program ended or the time is over."""
        deadline = time.monotonic() + timeout
        context = ssl.create_default_context(cafile=str(self.ca_file))
        answer = "no answer yet"
        while time.monotonic() < deadline:
            if not (self.etcd.running and self.apiserver.running):
                answer = "a program ended"
                break
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=context)
            try:
                connection.request("GET", "/readyz", headers={"Authorization": f"Bearer {self.admin_token}"})
                response = connection.getresponse()
                answer = f"{response.status} {response.read().decode(errors='replace')}"
                if response.status == 200:
                    return
            except (OSError, http.client.HTTPException) as error:
                answer = repr(error)
            finally:
                connection.close()
            time.sleep(0.05)
        raise ControlPlaneFailed(
            f"not ready: {answer}\n--- kube-apiserver\n{self.apiserver.tail()}\n--- etcd\n{self.etcd.tail()}"
        )


def _command(program: tuple[str, ...], flags: dict[str, object]) -> list[str]:
    return [*program, *(f"--{name}={value}" for name, value in flags.items())]
