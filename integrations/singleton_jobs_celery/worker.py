"""A worker discards what a beat has sent too late: importing this has it do so.

Celery's own ``expires`` would be handed on to retries, which may come long after the next fire.
"""

from __future__ import annotations

from typing import Any

from celery.signals import task_received, task_revoked

from .message import EXPIRES_HEADER, until

__all__: list[str] = []


def _limit(request: Any, **_: object) -> None:
    """A first delivery expires, as if it had been sent with ``expires``; its retries, links and chains do not."""
    header, told = (request.message.headers or {}).get(EXPIRES_HEADER), request.request_dict
    if header and request.expires is None:
        request.expires = until(
            header,
            request.id,
            retries=told.get("retries") or 0,
            parent=told.get("parent_id"),
            redelivered=bool(request.delivery_info.get("redelivered")),
        )


def _spare(request: Any, expired: bool, **_: object) -> None:
    """An id that an entry gives to all its messages is not revoked with one of them."""
    if expired and (request.headers or {}).get(EXPIRES_HEADER):
        from celery.worker import state

        state.revoked.discard(request.id)


task_received.connect(_limit)
task_revoked.connect(_spare)
