"""A chat-completions endpoint over HTTP, asked patiently: many questions at a time, each answer paid for once.

Answers are kept on disk under a digest of the endpoint and the whole request, pictures included, so a run that stopped
asks nothing twice. What is busy, broken, cut off or silent is asked again, later and later, or when the endpoint says
so (Retry-After). The key travels in a header alone: never to another address (redirects are refused), never to disk.
"""

from __future__ import annotations

import email.utils
import hashlib
import http.client
import json
import random
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock
from typing import Any
from urllib.parse import urlsplit

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
class Price:
    """US dollars per million tokens, and the most that may be spent in all (None: no limit); what is
    under way when it is reached is still paid."""

    prompt: float = 0.0
    answer: float = 0.0
    limit: float | None = None


class Busy(Exception):
    """Something that may be better next time; `wait`: when the endpoint says to come back, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Endpoint:
    """`url` ends before "/chat/completions". `folder` is where answers are kept; `sleep` waits."""

    def __init__(
        self,
        url: str,
        key: str,
        folder: Path,
        *,
        patience: Patience | None = None,
        price: Price | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise RequestError(f"{url[:80]!r} is not the address of an endpoint.", "Give one like https://host/v1.")
        if "\n" in key or "\r" in key:
            raise RequestError("The key has more than one line.", "Give the key alone.")
        self.url, self.folder = url.rstrip("/") + "/chat/completions", folder
        self._key = key
        self.patience = patience if patience is not None else Patience()
        self.price = price if price is not None else Price()
        self._stop = Event()
        self._sleep = sleep if sleep is not None else self._stop.wait
        self._opener = urllib.request.build_opener(NoRedirect)
        self._lock = Lock()
        self.asked = 0  # how many requests went out
        folder.mkdir(parents=True, exist_ok=True)
        self.spent = sum(self._cost(json.loads(p.read_text(encoding="utf-8"))) for p in folder.glob("*/*.json"))

    def complete(self, requests: Sequence[Mapping[str, Any]]) -> list[str]:
        """The text of the answer to each request (a chat-completions body), in order; equal ones are asked once.

        Raises RequestError where the endpoint refuses, stays silent or broken, or the limit is reached; what has been
        answered is kept.
        """
        bodies = {self._name(r): r for r in requests}
        missing = [name for name in bodies if not self._path(name).exists()]
        self._stop.clear()
        with ThreadPoolExecutor(max(1, self.patience.concurrency)) as pool:
            waiting = [pool.submit(self._answer, name, bodies[name]) for name in missing]
            try:
                for future in waiting:
                    future.result()
            except BaseException:
                self._stop.set()
                for future in waiting:
                    future.cancel()
                raise
        return [self._read(self._name(r)) for r in requests]

    def _answer(self, name: str, body: Mapping[str, Any]) -> None:
        """Ask until there is an answer, and keep it."""
        for attempt in range(self.patience.attempts):
            with self._lock:
                if self._stop.is_set():
                    return
                if self.price.limit is not None and self.spent >= self.price.limit:
                    raise RequestError(
                        f"${self.spent:.2f} have been spent; the limit is ${self.price.limit:.2f}.",
                        "Raise max_cost and run the same command again: what was answered is kept.",
                    )
                self.asked += 1
            try:
                self._keep(name, self._post(body))
                return
            except Busy as busy:
                reason, wait = str(busy), busy.wait
            if attempt + 1 < self.patience.attempts:
                longer = min(self.patience.backoff * 2**attempt, self.patience.longest)
                self._sleep(wait if wait is not None else longer * random.uniform(0.5, 1.0))
        raise RequestError(
            f"{self.url} gave no answer in {self.patience.attempts} attempts; the last time: {reason}.",
            "Run the same command again later: what was answered is kept.",
        )

    def _post(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """{"text", "usage"} of one request. Raises Busy where it may be asked again, RequestError where not."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers, method="POST")
        try:
            with self._opener.open(request, timeout=self.patience.timeout) as response:
                found = json.loads(response.read(LONGEST_BODY))
            choice = found["choices"][0]
            return {"text": choice["message"].get("content") or "", "usage": found.get("usage") or {}}
        except urllib.error.HTTPError as error:
            return self._refused(error)
        except (OSError, http.client.HTTPException) as error:  # time-outs and broken connections are OSErrors
            raise Busy(f"{type(error).__name__}: {error}"[:200]) from None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise Busy("what came back is not a chat completion") from None

    def _refused(self, error: urllib.error.HTTPError) -> dict[str, Any]:
        """What to make of an error status."""
        text = ""
        try:
            text = error.read(4096).decode("utf-8", "replace")
            said = json.loads(text)["error"]
            message, code = str(said.get("message", text)), str(said.get("code"))
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError):
            message, code = text, ""
        if code in REFUSED:  # the endpoint will not talk about this picture: an answer that cannot be read
            return {"text": "", "usage": {}}
        if error.code in AGAIN:
            raise Busy(f"status {error.code}", seconds(error.headers.get("Retry-After"), self.patience.longest))
        message = " ".join(message.split())[:200]
        if self._key:
            message = message.replace(self._key, "(the key)")
        raise RequestError(
            f"{self.url} refuses with status {error.code}: {message}",
            "Correct url, model or key (the environment variable OPENAI_API_KEY).",
        )

    # ---- answers on disk

    def _name(self, body: Mapping[str, Any]) -> str:
        return hashlib.sha256(json.dumps([self.url, body], sort_keys=True).encode()).hexdigest()

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name[2:]}.json"

    def _read(self, name: str) -> str:
        return json.loads(self._path(name).read_text(encoding="utf-8"))["text"]

    def _keep(self, name: str, answer: dict[str, Any]) -> None:
        path = self._path(name)
        path.parent.mkdir(exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(answer), encoding="utf-8")
        partial.replace(path)
        with self._lock:
            self.spent += self._cost(answer)

    def _cost(self, answer: Mapping[str, Any]) -> float:
        usage = answer["usage"]
        prompt, written = (int(usage.get(k) or 0) for k in ("prompt_tokens", "completion_tokens"))
        return (prompt * self.price.prompt + written * self.price.answer) / 1e6


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses to be sent elsewhere: the key is for one address."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def seconds(header: str | None, longest: float) -> float | None:
    """A Retry-After header, seconds or a date -> seconds from now, at most `longest`; None where it says nothing."""
    if header is None:
        return None
    try:
        wait = float(header)
    except ValueError:
        try:
            wait = (email.utils.parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(wait, 0.0), longest)
