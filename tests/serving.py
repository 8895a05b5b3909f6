"""A server in this process: the application in a real uvicorn, on a free port, with the miniature model."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pictures import encoded
from plvm.personal import Personal
from plvm.server.limits import Limits
from plvm.server.service import Service
from plvm.store.database import Database
from toys import picture


def uri(image: Any, format: str = "PNG") -> str:
    """A picture as a data URI."""
    return f"data:image/{format.lower()};base64,{base64.b64encode(encoded(image, format)).decode()}"


def part(seed: int) -> dict[str, Any]:
    """A message part with one of the toys' pictures."""
    return {"type": "image_url", "image_url": {"url": uri(picture(seed))}}


def asked(question: str, seed: int | None = 1, **more: Any) -> dict[str, Any]:
    """The body of a request with one question about one picture."""
    content = [*([] if seed is None else [part(seed)]), {"type": "text", "text": question}]
    return {"model": "mini", "messages": [{"role": "user", "content": content}], "max_tokens": 12, **more}


@contextmanager
def running(service: Service) -> Iterator[str]:
    """Serve, and give the address."""
    uvicorn = pytest.importorskip("uvicorn")
    from plvm.server.api import build_api

    config = uvicorn.Config(build_api(service), port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
        assert thread.is_alive()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


def a_service(vlm: Personal, folder: Path, **more: Any) -> Service:
    """A service with an empty store."""
    return Service(vlm, Database.open(folder / "concepts.db"), **more)


@pytest.fixture
def service(vlm: Personal, tmp_path: Path) -> Service:
    return a_service(vlm, tmp_path, limits=Limits(seconds=60))


@pytest.fixture
def address(service: Service) -> Iterator[str]:
    with running(service) as place:
        yield place


@pytest.fixture
def http(address: str) -> Iterator[Any]:
    """A client of the running server."""
    with pytest.importorskip("httpx2").Client(base_url=address, timeout=60) as client:
        yield client
