"""Lists of Leases: all of a namespace at once, or those of the keys of one base in pages."""

from collections.abc import AsyncIterator
from urllib.parse import quote

from ...errors import AccessDenied, StoreError
from ...keys import base_label
from .. import keyed
from ..record import Stored
from .api import Answer, ApiServer
from .objects import Expired, leases_path, read_list
from .roles import role, to_apply

__all__ = ["list_all", "list_keyed"]

TIMEOUT = 30.0  # seconds; a namespace may have thousands of Leases


async def list_all(server: ApiServer, namespace: str) -> dict[str, Stored | StoreError]:
    """Every Lease by name, from one request. Raises AccessDenied, or StoreError."""
    answer = await _list(server, namespace, "", "; name the leases, or allow the verb list on all of them")
    return read_list(namespace, answer)


async def list_keyed(server: ApiServer, namespace: str, base: str) -> AsyncIterator[dict[str, Stored | StoreError]]:
    """Those of keys of ``base``, in pages; a list that the server has forgotten midway begins anew, once."""
    query = f"&limit={keyed.PAGE}&labelSelector={quote(f'{keyed.KEYED_LABEL}={base_label(base)}', safe='')}"
    token, is_anew = "", False
    while True:
        after = f"&continue={quote(token, safe='')}" if token else ""
        try:
            answer = await _list(server, namespace, query + after, to_apply(role(namespace=namespace, keyed=[base])))
        except Expired:
            if is_anew or not token:
                raise
            token, is_anew = "", True
            continue
        yield read_list(namespace, answer)
        token = str((answer.body.get("metadata") or {}).get("continue") or "")
        if not token:
            return


async def _list(server: ApiServer, namespace: str, query: str, cure: str) -> Answer:
    """``cure`` is told to whom the list is denied."""
    answer = await server.request("GET", leases_path(namespace), timeout=TIMEOUT, query=query)
    what = f"the leases of namespace {namespace} cannot be listed: {answer.reason()}"
    if answer.status in (401, 403):
        raise AccessDenied(f"{what}{cure}")
    if answer.status == 410:
        raise Expired(what)
    if answer.status != 200:
        raise StoreError(what)
    return answer
