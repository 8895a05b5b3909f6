"""The application: routes, errors, and what every request passes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import plvm
from plvm.errors import PlvmError
from plvm.server import chat_routes, concepts_routes, files_routes, looking_routes, page_routes, state_routes
from plvm.server.audit import Audited
from plvm.server.counters import Counted, Figures
from plvm.server.errors_schema import of_validation, response_of
from plvm.server.guard import Guard, TooLarge
from plvm.server.headers import Headers
from plvm.server.refusals import Refusal, broken, refusal_of
from plvm.server.service import Service

ABOUT = "A vision-language model that knows people by name, behind the API that OpenAI's clients speak."
LOG = logging.getLogger("plvm.server")
DAY = 86_400.0  # seconds
FOLLOW = 5.0  # seconds between two looks at what other replicas have changed
GRACE = 30.0  # seconds for the answers that are being written when the server stops


def build_api(service: Service, origins: Collection[str] = (), *, replica: str = "") -> FastAPI:
    """The application that serves `service`; its worker lives as long as the application runs. Pages of `origins`, such as
    "https://photos.example", may use it, of others only its own. Where it is the `replica` of
    that name its figures are marked so, and whom another one forgets it forgets."""

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        service.worker.start()
        keeping = [asyncio.create_task(_again(service.forget_stale, DAY))] if service.days is not None else []
        if replica:
            keeping.append(asyncio.create_task(_again(service.follow, FOLLOW)))
        yield
        for task in keeping:
            task.cancel()
        await asyncio.to_thread(service.stop, GRACE)

    api = FastAPI(title="plvm", version=plvm.__version__, description=ABOUT, lifespan=living, docs_url=None, redoc_url=None)
    api.state.service, api.state.figures = service, Figures(replica)
    for routes in (chat_routes, concepts_routes, files_routes, looking_routes, state_routes, page_routes):
        api.include_router(routes.router)
    api.mount("/page", page_routes.files)
    _tell_errors(api)
    api.add_middleware(Counted, figures=api.state.figures)
    if service.audit is not None:
        api.add_middleware(Audited, log=service.audit)
    api.add_middleware(Guard, most=service.limits.body_bytes, open_to_all=lambda: service.open_to_all, origins=origins)
    if origins:
        api.add_middleware(CORSMiddleware, allow_origins=list(origins), allow_methods=["*"], allow_headers=["*"])
    api.add_middleware(Headers)
    return api


async def _again(what: Callable[[], None], seconds: float) -> None:
    """Do something now, and again after so many seconds."""
    while True:
        try:
            await asyncio.to_thread(what)
        except PlvmError as error:  # the store is busy, for example: next time
            LOG.error("%s", error.line)
        await asyncio.sleep(seconds)


def _tell_errors(api: FastAPI) -> None:
    """Every error leaves as OpenAI has errors."""

    @api.exception_handler(PlvmError)
    async def plvm_error(_: Request, error: PlvmError) -> JSONResponse:
        return response_of(refusal_of(error))

    @api.exception_handler(Exception)
    async def mistake_of_ours(_: Request, error: Exception) -> JSONResponse:
        return response_of(broken())

    @api.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return response_of(of_validation(list(error.errors())))

    @api.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error, TooLarge):
            refusal = error.refusal
        elif error.status_code == 404:
            refusal = Refusal(404, "not_found", f"There is nothing at {request.url.path[:80]}.", "See /openapi.json.")
        elif error.status_code == 405:
            path = request.url.path[:80]
            refusal = Refusal(405, "method_not_allowed", f"{request.method} is no way to use {path}.", "See /openapi.json.")
        else:
            refusal = Refusal(error.status_code, "invalid_request", str(error.detail), "See /openapi.json.")
        response = response_of(refusal)
        response.headers.update(error.headers or {})
        return response
