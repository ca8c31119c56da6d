"""A pod that is only an object and a folder: what a process needs to act as one against the API server."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .admin import Admin, ApiError, Json
from .server import Endpoint

READY_TIMEOUT = 15.0

_RULES_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
_RULE_KEYS = ("verbs", "apiGroups", "resources", "resourceNames")


VERBS = ("get", "list", "watch", "create", "update")


def lease_role(*leases: str, name: str = "singleton-jobs", verbs: Sequence[str] = VERBS) -> Json:
    """A Role for these leases only; with no name, for every lease of the namespace."""
    rule: Json = {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": list(verbs),
    }
    if leases:
        rule["resourceNames"] = list(leases)
    events = {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": name},
        "rules": [rule, events],
    }


@dataclass
class Pod:
    """Folder layout: `token`, `ca.crt`, `namespace` as in a service-account mount, and `kubeconfig`."""

    admin: Admin
    namespace: str
    name: str
    service_account: str
    server: Endpoint
    directory: Path
    in_cluster: bool = False

    @classmethod
    def create(
        cls,
        admin: Admin,
        namespace: str,
        name: str,
        *,
        directory: Path,
        roles: Sequence[Json] | None = None,
        server: Endpoint | None = None,
        service_account: str = "app",
        in_cluster: bool = False,
        token_seconds: int = 3600,
    ) -> Pod:
        """Create the ServiceAccount, Roles, bindings, Pod and token, and wait until the rights are in force.

        `roles` are Role manifests; None means `lease_role()`, and an empty list a pod without any right.
        `server` is where its clients connect, if not to the API server itself. `in_cluster` adds
        KUBERNETES_SERVICE_HOST and _PORT to `env`: the official client then wants token and CA at their
        fixed path under /var/run/secrets, so the test must put them there.
        """
        pod = cls(admin, namespace, name, service_account, server or admin.endpoint, directory, in_cluster)
        admin.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": service_account}}, namespace)
        given = [lease_role()] if roles is None else list(roles)
        for role in given:
            admin.apply(role, namespace)
            admin.apply(_binding(role["metadata"]["name"], namespace, service_account), namespace)
        admin.create_pod(namespace, name, service_account)
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pod.server.ca_file, directory / "ca.crt")
        (directory / "namespace").write_text(namespace)
        pod.rotate_token(token_seconds)
        pod.kubeconfig.write_text(json.dumps(pod._kubeconfig(), indent=1))  # JSON is YAML
        pod._wait_allowed(given)
        return pod

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def token_file(self) -> Path:
        return self.directory / "token"

    @property
    def token(self) -> str:
        return self.token_file.read_text()

    @property
    def env(self) -> dict[str, str]:
        """To add to a subprocess's environment."""
        env = {
            "POD_NAME": self.name,
            "KUBECONFIG": str(self.kubeconfig),
            "SINGLETON_JOBS_STORE": "kubernetes:",
        }
        return env | self.service_env if self.in_cluster else env

    @property
    def service_env(self) -> dict[str, str]:
        """What a kubelet adds to every container's environment."""
        url = urlsplit(self.server.url)
        return {"KUBERNETES_SERVICE_HOST": url.hostname or "", "KUBERNETES_SERVICE_PORT": str(url.port)}

    def client(self) -> Admin:
        """A client that speaks as this pod, with its token of now, directly to the API server."""
        return self.admin.as_token(self.token)

    def rotate_token(self, seconds: int = 3600) -> str:
        """Put a new token into the token file, atomically; the one before stays valid."""
        token = self.admin.pod_token(self.namespace, self.service_account, self.name, seconds)
        temporary = self.directory / ".token"
        temporary.write_text(token)
        os.replace(temporary, self.token_file)
        return token

    def revoke(self, timeout: float = 30) -> None:
        """Delete the Pod object and wait until its token is refused.

        That is at once for a token never used; the API server remembers one it found good for 10 s.
        """
        try:
            self.admin.delete_pod(self.namespace, self.name)
        except ApiError as error:
            if error.status != 404:
                raise
        self._wait(lambda status, _: status == 401, timeout, "its token is still accepted")

    def _wait_allowed(self, roles: Sequence[Json]) -> None:
        """RBAC is served from a cache that lags behind the writes above by milliseconds."""
        wanted = [_canonical(rule) for role in roles for rule in role["rules"]]

        def allowed(status: int, answer: Json) -> bool:
            known = [_canonical(rule) for rule in answer.get("status", {}).get("resourceRules", [])]
            return status == 201 and all(rule in known for rule in wanted)

        self._wait(allowed, READY_TIMEOUT, "its rights are not in force")

    def _wait(self, done: Callable[[int, Json], bool], timeout: float, otherwise: str) -> None:
        client = self.client()
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": self.namespace},
        }
        deadline = time.monotonic() + timeout
        while True:
            status, answer = client.request("POST", _RULES_REVIEWS, body)
            if done(status, answer):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"pod {self.name}: {otherwise} after {timeout} s: {status} {answer}")
            time.sleep(0.02)

    def _kubeconfig(self) -> Json:
        cluster = {
            "server": self.server.url,
            "certificate-authority": str(self.directory / "ca.crt"),
            "tls-server-name": "127.0.0.1",  # whatever address it is reached by
        }
        context = {"cluster": "test", "user": "pod", "namespace": self.namespace}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "pod", "user": {"tokenFile": str(self.token_file)}}],
            "contexts": [{"name": "test", "context": context}],
        }


def _binding(role: str, namespace: str, service_account: str) -> Json:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{role}-{service_account}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": service_account, "namespace": namespace}],
    }


def _canonical(rule: Json) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(sorted(rule.get(key, ()))) for key in _RULE_KEYS)
