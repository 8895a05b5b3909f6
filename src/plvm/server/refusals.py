"""What only a server has to refuse, beside the mistakes that `plvm.errors` knows: each has a status and a code."""

from __future__ import annotations

from plvm.errors import (
    AlignerMismatchError,
    CheckpointError,
    ConceptNameError,
    DuplicateConceptError,
    EngineError,
    ImageError,
    PlvmError,
    RequestError,
    StoreError,
    UnknownConceptError,
)


class Refusal(PlvmError):
    """A request is not served. `param` is the field that is wrong, where one is; `retry_after` seconds it is worth waiting."""

    def __init__(
        self, status: int, code: str, message: str, hint: str = "", *, param: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message, hint)
        self.status, self.code, self.param, self.retry_after = status, code, param, retry_after


STATUS: tuple[tuple[type[PlvmError], int, str], ...] = (  # the first that fits
    (ImageError, 400, "invalid_image"),
    (DuplicateConceptError, 409, "concept_exists"),
    (ConceptNameError, 400, "invalid_name"),
    (UnknownConceptError, 404, "concept_not_found"),
    (AlignerMismatchError, 409, "made_by_another_model"),
    (RequestError, 400, "invalid_request"),
    (StoreError, 503, "store_unavailable"),
    (EngineError, 503, "engine_unavailable"),
    (CheckpointError, 500, "model_unavailable"),
    (PlvmError, 500, "internal"),
)


def refusal_of(error: PlvmError) -> Refusal:
    """Any error as a refusal."""
    if isinstance(error, Refusal):
        return error
    status, code = next((status, code) for kind, status, code in STATUS if isinstance(error, kind))
    return Refusal(status, code, error.message, error.hint)


def busy(seconds: int) -> Refusal:
    """The queue is full."""
    return Refusal(
        429, "busy", "As many requests are waiting as can.", f"Try again in {seconds} s.", retry_after=seconds
    )


def too_many(seconds: int, per_minute: int) -> Refusal:
    """This key has sent more than it may."""
    return Refusal(
        429, "rate_limit_exceeded", f"This key may send {per_minute} requests a minute.", f"Try again in {seconds} s.",
        retry_after=seconds,
    )  # fmt: skip


def too_late(seconds: float) -> Refusal:
    """The answer was not ready in time."""
    return Refusal(
        504, "deadline_exceeded", f"The answer was not ready within {seconds:g} s.",
        "Ask for a shorter answer (max_tokens), or try again when there is less to do.",
    )  # fmt: skip


def stopping() -> Refusal:
    """The server is going down."""
    return Refusal(503, "stopping", "The server is stopping.", "Try again when it is up.", retry_after=5)


def broken() -> Refusal:
    """Something went wrong that is no mistake of whoever asked."""
    return Refusal(500, "internal", "The server failed while it computed this answer.", "Try again; the server's log says more.")
