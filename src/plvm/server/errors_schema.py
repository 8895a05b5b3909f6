"""How errors look: as OpenAI has them, with what to do next in `hint`."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from plvm.server.refusals import Refusal

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class ErrorBody(BaseModel):
    """What was wrong (`message`), where (`param`), and what to do next (`hint`)."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None
    hint: str = ""


class ErrorResponse(BaseModel):
    """An error."""

    error: ErrorBody


def body_of(refusal: Refusal) -> dict[str, Any]:
    """A refusal as JSON. Clients show `message` alone, so it has the hint, too."""
    usual = "server_error" if refusal.status >= 500 else "invalid_request_error"
    kind = _TYPES.get(refusal.status, usual)
    body = ErrorBody(message=refusal.line, type=kind, param=refusal.param, code=refusal.code, hint=refusal.hint)
    return ErrorResponse(error=body).model_dump()


def response_of(refusal: Refusal) -> JSONResponse:
    """A refusal as an answer."""
    headers = {"Retry-After": str(refusal.retry_after)} if refusal.retry_after is not None else {}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body_of(refusal), refusal.status, headers)


def of_validation(errors: list[Any]) -> Refusal:
    """What a body's schema has against it, the mistake that lies deepest by name: those above it follow from it."""
    first = max(errors, key=lambda error: len(error.get("loc", ())))
    place = [p for p in first.get("loc", ()) if p not in ("body", "query", "path", "header") and "[" not in str(p)]
    param = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).lstrip(".") or None
    kind = first.get("type", "")
    if kind == "extra_forbidden":
        return Refusal(
            400, "unsupported_parameter", f"This server does not support the field {param}.", "Leave it out.", param=param
        )
    if kind == "json_invalid":
        return Refusal(400, "invalid_json", "The body is no valid JSON.", "Send JSON, in UTF-8.")
    if kind == "missing":
        return Refusal(400, "missing_parameter", f"The field {param or 'body'} is missing.", "Add it.", param=param)
    told = str(first.get("msg", "it is wrong")).rstrip(".")
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return Refusal(400, "invalid_value", f"The field {param or 'body'} cannot be used: {told}.{more}", "Correct it.", param=param)
