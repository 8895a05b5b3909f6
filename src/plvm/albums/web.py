"""One host, asked patiently over HTTP: nothing but what its user named is ever contacted.

A redirect is refused, wherever it leads; what comes back is cut off at a limit. The key travels in headers alone and stands in
no message. What is busy or broken is asked again, later and later, or when it says so (Retry-After). Connections are httpx's,
patience is tenacity's.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from plvm.albums.album import MissingPicture
from plvm.albums.retry_after import seconds
from plvm.errors import RequestError

AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses that may be better next time
LONGEST_LIST = 16 * 1024**2  # of a JSON answer, in bytes
LONGEST_PICTURE = 20 * 1024**2
PATIENCE = 4  # how many times `timeout` a whole answer may take


@dataclass(frozen=True)
class Manners:
    """How a host is asked. Times in seconds: `timeout` is how long it may be silent, `backoff` the first wait between `attempts`
    (twice as long every time, at most `longest`)."""

    timeout: float = 30.0
    attempts: int = 4
    backoff: float = 0.5
    longest: float = 30.0


@dataclass(frozen=True)
class Response:
    """What came back: headers by their names in lower case, and the body."""

    headers: Mapping[str, str]
    body: bytes


class Later(Exception):
    """Something that may be better next time; `wait`: when the host says to come back, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Host:
    """The app called `app` at `url`. Raises RequestError for what is no address, and where the libraries are not installed.

    `headers` go with every request; `secrets` are texts that no message may hold. `allowed` says in a hint what the key must be
    allowed to do.
    """

    def __init__(
        self, app: str, url: str, *, allowed: str, manners: Manners | None = None, sleep: Callable[[float], Any] = time.sleep
    ) -> None:
        self.app, self.url, self.allowed = app, address(app, url), allowed
        self.headers: dict[str, str] = {}
        self.secrets: set[str] = set()
        self.manners = manners if manners is not None else Manners()
        self._sleep = sleep
        try:
            import httpx2
            import tenacity
        except ImportError:
            raise RequestError(
                f"Asking {app} needs httpx2 and tenacity.", 'Install them with: pip install "plvm[home]".'
            ) from None
        self._http, self._tenacity = httpx2, tenacity
        # trust_env off: no proxy and no .netrc comes between us and the host that was named
        self._client = httpx2.Client(
            timeout=self.manners.timeout, follow_redirects=False, trust_env=False, headers={"Accept-Encoding": "identity"}
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def json(self, path: str, *, send: Any = None, **query: str | int) -> tuple[Any, Mapping[str, str]]:
        """(what the host says at `path`, its headers); with `send` that is posted as JSON. Raises RequestError."""
        response = self._ask("GET" if send is None else "POST", path, LONGEST_LIST, query, send)
        try:
            return json.loads(response.body), response.headers
        except (ValueError, RecursionError):
            raise RequestError(
                f"{self.url}{path} gave no JSON.", f"Is {self.url} the address of {self.app} itself?"
            ) from None

    def picture(self, path: str) -> bytes:
        """The bytes at `path`. Raises MissingPicture where there are none, RequestError where the host refuses the key."""
        return self._ask("GET", path, LONGEST_PICTURE, {}, None, missing=True).body

    def delete(self, path: str) -> None:
        """Ask once for what is at `path` to be removed; that it fails is no matter."""
        try:
            self._client.delete(self.url + path, headers=self.headers)
        except self._http.HTTPError:
            return

    def _ask(
        self, method: str, path: str, longest: int, query: Mapping[str, Any], send: Any, *, missing: bool = False
    ) -> Response:
        t, manners = self._tenacity, self.manners
        longer = t.wait_exponential(multiplier=manners.backoff, max=manners.longest)

        def wait(state: Any) -> float:
            said = state.outcome.exception().wait
            return said if said is not None else longer(state) * random.uniform(0.5, 1.0)

        attempts = t.Retrying(
            retry=t.retry_if_exception_type(Later), stop=t.stop_after_attempt(manners.attempts), wait=wait,
            sleep=self._sleep, reraise=True,
        )  # fmt: skip
        try:
            return attempts(self._once, method, path, longest, query, send, missing)
        except Later as later:
            kind = MissingPicture if missing else RequestError
            raise kind(
                f"{self.url} gave no answer in {manners.attempts} attempts; the last time: {self._clean(str(later))}.",
                "Is it running, and can it be reached from here? Run the same command again later: it goes on where it stopped.",
            ) from None

    def _once(self, method: str, path: str, longest: int, query: Mapping[str, Any], send: Any, missing: bool) -> Response:
        data, begun = bytearray(), time.monotonic()
        try:
            with self._client.stream(
                method, self.url + path, params=dict(query), json=send, headers=self.headers
            ) as response:
                for chunk in response.iter_raw():  # nothing is unpacked: a little can become a lot
                    data += chunk
                    if len(data) > longest:
                        raise self._too_long(path, longest, missing)
                    if time.monotonic() - begun > PATIENCE * self.manners.timeout:
                        raise Later("the answer comes too slowly")
        except self._http.RequestError as error:  # time-outs, broken connections, what is no HTTP
            raise Later(f"{type(error).__name__}: {error}"[:200]) from None
        if not response.is_success:
            raise self._refused(path, response.status_code, response.headers, bytes(data), missing)
        return Response({name.lower(): value for name, value in response.headers.items()}, bytes(data))

    def _too_long(self, path: str, longest: int, missing: bool) -> RequestError:
        kind = MissingPicture if missing else RequestError
        return kind(f"{self._clean(self.url + path)} gives more than {longest // 1024**2} MiB.", f"Is that {self.app}?")

    def _refused(
        self, path: str, status: int, headers: Mapping[str, str], data: bytes, missing: bool
    ) -> RequestError | Later:
        """What to make of an error status."""
        if 300 <= status < 400:
            to = self._clean(headers.get("Location", "nowhere"))[:200]
            return RequestError(
                f"{self.url} sends us on to {to}, and nothing but the address that was named is asked.",
                "Name the address where it leads, if that is yours.",
            )
        if status in (401, 403):
            return RequestError(
                f"{self.app} at {self.url} refuses the key with status {status}.", f"{self.allowed} Then try again."
            )
        if status in AGAIN:
            return Later(f"status {status}", seconds(headers.get("Retry-After"), self.manners.longest))
        if missing:
            return MissingPicture(f"{self.app} has no picture there (status {status}).", "Look whether it shows one itself.")
        said = self._clean(" ".join(data[:2048].decode("utf-8", "replace").split()))[:200]
        return RequestError(
            f"{self.url}{path} answers with status {status}: {said}", f"Is {self.url} the address of {self.app} itself?"
        )

    def _clean(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "(the key)")
        return text


def address(app: str, url: str) -> str:
    """`url` as far as a path begins with it. Raises RequestError for what is no address of a host, or holds a password."""
    hint = f"Give the address that opens {app} in the browser, like http://192.168.1.5:2283."
    try:
        parts = urlsplit(url.strip())
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits:
        raise RequestError(f"{url[:80]!r} is not the address of {app}.", hint)
    if "@" in parts.netloc:
        raise RequestError(f"The address of {app} has a name or password in it.", "Give them with --user and --key-file.")
    if parts.query or parts.fragment:
        raise RequestError(f"{url[:80]!r} is the address of a page, not of {app}.", hint)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def header(value: str, what: str) -> str:
    """`value`, if it can be a header. Raises RequestError, which does not say it."""
    if not value or not value.isascii() or not value.isprintable() or value != value.strip():
        raise RequestError(f"{what} is not one line of plain characters.", "Give it alone, without quotation marks.")
    return value
