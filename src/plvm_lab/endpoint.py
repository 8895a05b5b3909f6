"""A chat-completions endpoint over HTTP, asked patiently.

What is busy, broken, cut off or silent is asked again, later and later, or when the endpoint says so (Retry-After). The key
travels in a header alone, and never to another address: redirects are refused. Connections are httpx's, patience is tenacity's.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from plvm.albums.retry_after import seconds
from plvm.errors import RequestError

AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})  # statuses that may be better next time
REFUSED = frozenset({"content_filter", "content_policy_violation"})  # error codes of questions that get no answer
LONGEST_BODY = 16 * 1024**2  # of a response, in bytes


@dataclass(frozen=True)
class Patience:
    """How an endpoint is asked. Times in seconds: `timeout` is how long it may be silent, `backoff` the first wait (twice
    as long every time, at most `longest`); `attempts` per question; `concurrency` questions at a time."""

    timeout: float = 120.0
    attempts: int = 8
    backoff: float = 1.0
    longest: float = 120.0
    concurrency: int = 4


@dataclass(frozen=True)
class Reply:
    """What the model wrote, and what that counts: `usage` has prompt_tokens and completion_tokens where the endpoint says so."""

    text: str
    usage: Mapping[str, Any]


class Busy(Exception):
    """Something that may be better next time; `wait`: when the endpoint says to come back, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Endpoint:
    """The endpoint at `url`, which ends before "/chat/completions". Many threads may ask it at the same time.

    Raises RequestError for what is no address or no key, and where the libraries for it are not installed.
    """

    def __init__(self, url: str, key: str = "", patience: Patience | None = None) -> None:
        check_address(url)
        if not (key.isascii() and (not key or key.isprintable())):
            raise RequestError("The key is not one line of plain characters.", "Give the key alone.")
        self.url, self._key = url.rstrip("/") + "/chat/completions", key
        self.patience = patience if patience is not None else Patience()
        try:
            import httpx2
            import tenacity
        except ImportError:
            raise RequestError(
                "Asking an endpoint needs httpx2 and tenacity.", 'Install them with: pip install "plvm[openai]".'
            ) from None
        self._http, self._tenacity = httpx2, tenacity
        self._client = httpx2.Client(timeout=self.patience.timeout, limits=httpx2.Limits(max_connections=None))

    def ask(
        self,
        body: Mapping[str, Any],
        *,
        before: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> Reply:
        """The reply to one request (a chat-completions body). `before` is called before every attempt, and may raise; `sleep`
        waits between them.

        Raises RequestError where the endpoint refuses, or stays silent or broken.
        """
        t, patience = self._tenacity, self.patience
        longer = t.wait_exponential(multiplier=patience.backoff, max=patience.longest)

        def wait(state: Any) -> float:
            said = state.outcome.exception().wait
            return said if said is not None else longer(state) * random.uniform(0.5, 1.0)

        attempts = t.Retrying(
            retry=t.retry_if_exception_type(Busy), stop=t.stop_after_attempt(patience.attempts), wait=wait, sleep=sleep,
            before=lambda _: before(), reraise=True,
        )  # fmt: skip
        try:
            return attempts(self._post, body)
        except Busy as busy:
            raise RequestError(
                f"{self.url} gave no answer in {patience.attempts} attempts; the last time: {busy}.",
                "Run the same command again later.",
            ) from None

    def _post(self, body: Mapping[str, Any]) -> Reply:
        """The reply to one request. Raises Busy where it may be asked again, RequestError where not."""
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        data = bytearray()
        try:
            with self._client.stream("POST", self.url, json=body, headers=headers) as response:
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) > LONGEST_BODY:
                        raise Busy("what came back is too long")
        except self._http.RequestError as error:  # time-outs, broken connections, what is no HTTP
            raise Busy(f"{type(error).__name__}: {error}"[:200]) from None
        if not response.is_success:
            return self._refused(response.status_code, response.headers.get("Retry-After"), bytes(data))
        try:
            found = json.loads(data)
            return Reply(found["choices"][0]["message"].get("content") or "", dict(found.get("usage") or {}))
        except (ValueError, LookupError, TypeError, AttributeError):
            raise Busy("what came back is not a chat completion") from None

    def _refused(self, status: int, retry_after: str | None, data: bytes) -> Reply:
        """What to make of an error status."""
        message, code = data[:4096].decode("utf-8", "replace"), ""
        try:
            said = json.loads(data)["error"]
            message, code = str(said.get("message", message)), str(said.get("code"))
        except (ValueError, LookupError, TypeError, AttributeError):
            pass  # then the body is the message
        if code in REFUSED:  # the endpoint will not talk about this picture: an answer that cannot be read
            return Reply("", {})
        if status in AGAIN:
            raise Busy(f"status {status}", seconds(retry_after, self.patience.longest))
        message = " ".join(message.split())[:200]
        if self._key:
            message = message.replace(self._key, "(the key)")
        raise RequestError(
            f"{self.url} refuses with status {status}: {message}",
            "Correct url, model or key (the environment variable OPENAI_API_KEY).",
        )


def check_address(url: str) -> None:
    """Raise RequestError where `url` is not the address of something on the web."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        fits = False
    if not fits:
        raise RequestError(f"{url[:80]!r} is not the address of an endpoint.", "Give one like https://host/v1.")
