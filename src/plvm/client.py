"""A running server (`plvm serve`) as its API tells it: for programs that want answers sooner than a model is loaded.

It checks nothing that the server checks, and needs no torch.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from plvm.errors import PlvmError, RequestError
from plvm.images import file_bytes

SECONDS = 180.0  # the longest that a server may be silent


class Client:
    """The server at `address`, asked with `key` where it needs one. Raises RequestError for what is no address, where httpx2 is
    not installed, and where nothing answers; PlvmError, in the server's own words, for what the server refuses. Also a context
    manager."""

    def __init__(self, address: str, key: str = "", *, seconds: float = SECONDS) -> None:
        try:
            import httpx2
        except ImportError:
            raise RequestError("Asking a server needs httpx2.", 'Install it with: pip install "plvm[openai]".') from None
        self.address, self._errors = address.rstrip("/").removesuffix("/v1"), httpx2.HTTPError
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:  # trust_env off: pictures of faces go to the server that was named, through nobody's proxy
            secure = self.address.startswith("https:")  # certificates take long to read, and http has none
            self._http = httpx2.Client(
                base_url=self.address, headers=headers, timeout=seconds, trust_env=False, verify=secure
            )
        except (ValueError, TypeError, httpx2.InvalidURL):
            raise _no_address(address) from None
        if not self.address.startswith(("http://", "https://")):
            raise _no_address(address)
        self._model = ""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._http.close()

    @property
    def model(self) -> str:
        """What the server calls its model."""
        if not self._model:
            self._model = self.get("/v1/models")["data"][0]["id"]
        return self._model

    def get(self, path: str, **query: str | int) -> Any:
        """What the server says at `path`."""
        return self._told("GET", path, params=query)

    def post(self, path: str, body: Any) -> Any:
        """What the server answers to `body`."""
        return self._told("POST", path, json=body)

    def ask(self, messages: Sequence[Any], **fields: Any) -> Any:
        """The answer to a dialogue, as `/v1/chat/completions` gives it; `fields` are more fields of the request."""
        return self.post("/v1/chat/completions", {"model": self.model, "messages": messages, **fields})

    def stream(self, messages: Sequence[Any], **fields: Any) -> Iterator[Any]:
        """The answer to a dialogue in chunks, as they come. Closing the generator tells the server that nobody listens."""
        body = {"model": self.model, "messages": messages, "stream": True, **fields}
        try:
            with self._http.stream("POST", "/v1/chat/completions", json=body) as response:
                if response.is_error:
                    response.read()
                    raise self._refused(response.content, response.status_code)
                for line in response.iter_lines():
                    if line.startswith("data: {"):
                        chunk = json.loads(line.removeprefix("data: "))
                        if "error" in chunk:
                            raise self._refused(json.dumps(chunk).encode(), 500)
                        yield chunk
        except self._errors as error:
            raise self._silent(error) from None

    def people(self, search: str = "", after: str | None = None) -> Iterator[Any]:
        """Everybody whom the server knows for this key, by name: with `search` those whose name contains it, with `after` those
        behind that name."""
        query: dict[str, str | int] = {"search": search} if search else {}
        while True:
            page = self.get("/v1/concepts", limit=1000, **query, **({} if after is None else {"after": after}))
            yield from page["data"]
            if not page["has_more"]:
                return
            after = page["last"]

    def person(self, name: str) -> Any:
        """What the server knows of somebody."""
        return self.get(f"/v1/concepts/{quote(name, safe='')}")

    def _told(self, method: str, path: str, **request: Any) -> Any:
        try:
            response = self._http.request(method, path, **request)
        except self._errors as error:
            raise self._silent(error) from None
        if response.is_error:
            raise self._refused(response.content, response.status_code)
        try:
            return response.json()
        except ValueError:
            raise self._stranger() from None

    def _silent(self, error: Exception) -> PlvmError:
        return RequestError(
            f"No answer came from {self.address}: {str(error) or type(error).__name__}.",
            "Start a server there with `plvm serve`, or leave out --server and PLVM_SERVER: then the model is loaded here.",
        )

    def _refused(self, content: bytes, status: int) -> PlvmError:
        try:
            return _error(json.loads(content)["error"])
        except (ValueError, KeyError, TypeError):
            return RequestError(f"The server answered with status {status}.", "Is it a plvm server? Its log may say more.")

    def _stranger(self) -> PlvmError:
        return RequestError(f"What answers at {self.address} is no plvm server.", "Name the address that `plvm serve` says.")


def picture_part(file: str | Path) -> dict[str, Any]:
    """A part of a message that shows the picture in a file. Raises ImageError where there is none."""
    return {"type": "image_url", "image_url": {"url": data_uri(file)}}


def data_uri(file: str | Path) -> str:
    """The picture in a file as a request carries it. Raises ImageError where there is none."""
    return f"data:image/any;base64,{base64.b64encode(file_bytes(file)).decode()}"


def _no_address(address: str) -> PlvmError:
    return RequestError(f"{address[:80]!r} is no address of a server.", "It looks like http://127.0.0.1:8642.")


def _error(error: Any) -> PlvmError:
    """An error of the server's as ours: its message has the hint in it, too."""
    hint = error.get("hint") or ""
    return RequestError(error["message"].removesuffix(hint).strip(), hint)
