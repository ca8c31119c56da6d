"""A small synchronous client for the API server: JSON in, JSON out, one connection per request."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from .server import Endpoint

Json = dict[str, Any]

_CLUSTER_WIDE = {
    "FlowSchema",
    "Namespace",
    "Node",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "PriorityClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
_COUNTER = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)


class ApiError(Exception):
    """An answer of 400 and above where a helper expected success."""

    def __init__(self, what: str, status: int, body: Json) -> None:
        super().__init__(f"{what}: {status} {body.get('reason', '')}: {body.get('message', body)}")
        self.status = status
        self.body = body


class Admin:
    """Speaks as the holder of `token`; the convenience methods below `request` raise ApiError."""

    def __init__(self, endpoint: Endpoint, token: str, timeout: float = 30) -> None:
        self.endpoint = endpoint
        self.token = token
        self.timeout = timeout
        self._context = ssl.create_default_context(cafile=str(endpoint.ca_file))

    def as_token(self, token: str) -> Admin:
        """The same client with another token, to act as a pod."""
        return Admin(self.endpoint, token, self.timeout)

    def raw(
        self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json"
    ) -> tuple[int, Mapping[str, str], bytes]:
        server = urlsplit(self.endpoint.url)
        connection = http.client.HTTPSConnection(
            server.hostname or "", server.port, timeout=self.timeout, context=self._context
        )
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def request(
        self, method: str, path: str, body: Json | None = None, content_type: str = "application/json"
    ) -> tuple[int, Json]:
        """Any status is an answer; one that is no JSON object comes back as {"text": …}."""
        data = None if body is None else json.dumps(body).encode()
        status, _, answer = self.raw(method, path, data, content_type)
        try:
            parsed = json.loads(answer)
        except ValueError:
            parsed = None
        return status, parsed if isinstance(parsed, dict) else {"text": answer.decode(errors="replace")}

    def _ok(self, method: str, path: str, body: Json | None = None, **more: str) -> Json:
        status, answer = self.request(method, path, body, **more)
        if status >= 400:
            raise ApiError(f"{method} {path}", status, answer)
        return answer

    def apply(self, manifest: Json, namespace: str | None = None) -> Json:
        """Create the object, or replace the one of its name."""
        collection = collection_path(manifest, namespace)
        metadata = {key: value for key, value in manifest["metadata"].items() if key != "namespace"}
        status, answer = self.request("POST", collection, {**manifest, "metadata": metadata})
        if status == 409 and answer.get("reason") == "AlreadyExists":
            path = f"{collection}/{quote(metadata['name'])}"
            metadata["resourceVersion"] = self._ok("GET", path)["metadata"]["resourceVersion"]
            return self._ok("PUT", path, {**manifest, "metadata": metadata})
        if status >= 400:
            raise ApiError(f"POST {collection}", status, answer)
        return answer

    def create_namespace(self, name: str) -> Json:
        return self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def delete_namespace(self, name: str) -> None:
        """Nothing new can be created in it from now on; it never goes away, as no controller runs here."""
        self._ok("DELETE", f"/api/v1/namespaces/{name}")

    def create_pod(self, namespace: str, name: str, service_account: str) -> Json:
        """A Pod object that nothing runs."""
        return self.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name},
                "spec": {
                    "serviceAccountName": service_account,
                    "containers": [{"name": "main", "image": "none"}],
                },
            },
            namespace,
        )

    def delete_pod(self, namespace: str, name: str) -> None:
        self._ok("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}?gracePeriodSeconds=0")

    def pod_token(self, namespace: str, service_account: str, pod_name: str, seconds: int = 3600) -> str:
        """A token bound to that pod, as a kubelet would request it; the least is 600 seconds."""
        pod = self._ok("GET", f"/api/v1/namespaces/{namespace}/pods/{pod_name}")
        bound = {"kind": "Pod", "apiVersion": "v1", "name": pod_name, "uid": pod["metadata"]["uid"]}
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds, "boundObjectRef": bound},
        }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        return str(self._ok("POST", path, body)["status"]["token"])

    def get_lease(self, namespace: str, name: str) -> Json | None:
        """None if there is no such lease."""
        status, answer = self.request("GET", lease_path(namespace, name))
        if status == 404:
            return None
        if status >= 400:
            raise ApiError(f"GET lease {name}", status, answer)
        return answer

    def put_lease(self, namespace: str, name: str, lease: Json) -> tuple[int, Json]:
        """PUT what is given; apiVersion, kind and name are filled in. Any status is an answer."""
        metadata = {"name": name, **lease.get("metadata", {})}
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **lease, "metadata": metadata}
        return self.request("PUT", lease_path(namespace, name), body)

    def patch_lease(self, namespace: str, name: str, merge_patch: Json) -> Json:
        return self._ok("PATCH", lease_path(namespace, name), merge_patch, content_type="application/merge-patch+json")

    def delete_lease(self, namespace: str, name: str) -> None:
        self._ok("DELETE", lease_path(namespace, name))

    def lease_request_counts(self) -> dict[tuple[str, int], int]:
        """Requests on leases, in all namespaces, since the API server started.

        By (verb, status), as in ("PUT", 200); a watch counts, as "WATCH", when it ends.
        """
        status, _, text = self.raw("GET", "/metrics")
        if status != 200:
            raise ApiError("GET /metrics", status, {"message": text.decode(errors="replace")})
        counts: Counter[tuple[str, int]] = Counter()
        for match in _COUNTER.finditer(text.decode()):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match["labels"]))
            if labels.get("resource") == "leases":
                counts[labels["verb"], int(labels["code"])] += int(float(match["value"]))
        return dict(counts)


def lease_path(namespace: str, name: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"


def collection_path(manifest: Json, namespace: str | None) -> str:
    """Where objects of the manifest's kind are created."""
    version, kind = manifest["apiVersion"], manifest["kind"]
    plural = re.sub(r"y$", "ie", kind.lower()) + "s"
    prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
    if kind in _CLUSTER_WIDE:
        return f"{prefix}/{plural}"
    return f"{prefix}/namespaces/{namespace or manifest['metadata']['namespace']}/{plural}"
