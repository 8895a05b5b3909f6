"""Who calls: the namespace that their key opens."""

from __future__ import annotations

from fastapi import Request

from plvm.server.refusals import Refusal
from plvm.server.service import Service


def caller_of(request: Request) -> str:
    """The namespace of whoever calls. Raises Refusal without a key that opens one."""
    service: Service = request.app.state.service
    if service.open_to_all:
        service.rates.take("")
        request.state.namespace = service.namespace
        return service.namespace
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise _no_key("This server needs an API key.", 'Send it as "Authorization: Bearer KEY".')
    entry = service.keys.namespace_of(key.strip()) if service.keys is not None else None
    if entry is None:
        raise _no_key("This API key is not known.", "Make one with `plvm keys new NAMESPACE`.")
    request.state.key, request.state.namespace = entry.id, entry.namespace  # for the audit log
    service.rates.take(entry.id)
    return entry.namespace


def _no_key(message: str, hint: str) -> Refusal:
    return Refusal(401, "invalid_api_key", message, hint)
