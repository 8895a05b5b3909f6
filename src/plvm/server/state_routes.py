"""What is served and how it is doing: `/v1/models`, `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from plvm.server.chat_routes import Caller
from plvm.server.counters import Figures
from plvm.server.errors_schema import ErrorResponse
from plvm.server.refusals import Refusal
from plvm.server.service import Service

router = APIRouter(tags=["server"], responses={"4XX": {"model": ErrorResponse}})


@router.get("/v1/models")
def list_models(request: Request, namespace: Caller) -> dict[str, Any]:
    """The model that is served."""
    service: Service = request.app.state.service
    return {"object": "list", "data": [_model(service)]}


@router.get("/v1/models/{name:path}")
def get_model(name: str, request: Request, namespace: Caller) -> dict[str, Any]:
    """The model, if that is its name."""
    service: Service = request.app.state.service
    service.check_model(name)
    return _model(service)


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Whether the process answers. Needs no key."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"model": ErrorResponse}})
def readyz(request: Request) -> dict[str, str]:
    """Whether questions are taken. Needs no key."""
    service: Service = request.app.state.service
    if not service.worker.alive:
        raise Refusal(503, "not_ready", "The model does not take questions.", "Wait until the server is up.", retry_after=2)
    return {"status": "ready"}


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text"}}
)
def metrics(request: Request, namespace: Caller) -> Response:
    """Figures for Prometheus. No name of anybody is in them."""
    figures: Figures = request.app.state.figures
    return Response(figures.text(request.app.state.service), media_type=figures.media_type)


def _model(service: Service) -> dict[str, Any]:
    return {"id": service.name, "object": "model", "created": service.created, "owned_by": "plvm"}
