"""Answers of an endpoint, many at a time, each paid for once.

Answers are kept on disk under a digest of the endpoint and the whole request, pictures included, so a run that stopped asks
nothing twice. The key is never on disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Any

from plvm.errors import RequestError
from plvm_lab.endpoint import Endpoint, Reply


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens of questions and answers, and the most that may be spent in all (None: no limit); what is
    under way when it is reached is still paid. Raises RequestError for a limit without prices."""

    prompt_price: float = 0.0
    answer_price: float = 0.0
    max_cost: float | None = None

    def __post_init__(self) -> None:
        if self.max_cost is not None and not self.prompt_price and not self.answer_price:
            raise RequestError(
                "A cost limit needs prices.",
                "Add --set prompt_price=X and answer_price=X, in dollars per million tokens.",
            )


class Stopped(Exception):
    """Another question has ended the run."""


class PaidAnswers:
    """Answers of `endpoint`, kept in `folder`. `sleep` waits between attempts (default: until the run ends, at most)."""

    def __init__(
        self, endpoint: Endpoint, folder: Path, price: Price | None = None, sleep: Callable[[float], Any] | None = None
    ) -> None:
        self.endpoint, self.folder = endpoint, folder
        self.price = price if price is not None else Price()
        self._stop, self._lock = Event(), Lock()
        self._sleep = sleep if sleep is not None else self._stop.wait
        folder.mkdir(parents=True, exist_ok=True)
        kept = (json.loads(p.read_text(encoding="utf-8")) for p in folder.glob("*/*.json"))
        self.spent = sum(self._cost(answer["usage"]) for answer in kept)  # US dollars, those of earlier runs too

    def complete(self, requests: Sequence[Mapping[str, Any]]) -> list[str]:
        """The text of the answer to each request (a chat-completions body), in order; equal ones are asked once.

        Raises RequestError where the endpoint refuses, stays silent or broken, or the limit is reached; what has been
        answered is kept.
        """
        bodies = {self._name(r): r for r in requests}
        missing = [name for name in bodies if not self._path(name).exists()]
        self._stop.clear()
        with ThreadPoolExecutor(max(1, self.endpoint.patience.concurrency)) as pool:
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
        try:
            self._keep(name, self.endpoint.ask(body, before=self._go_on, sleep=self._sleep))
        except Stopped:
            return
        except RequestError as error:
            raise RequestError(error.message, f"{error.hint} What was answered is kept.") from None

    def _go_on(self) -> None:
        """Raises where nothing more is to be asked."""
        with self._lock:
            if self._stop.is_set():
                raise Stopped
            limit = self.price.max_cost
            if limit is not None and self.spent >= limit:
                raise RequestError(
                    f"${self.spent:.2f} have been spent; the limit is ${limit:.2f}.",
                    "Raise max_cost and run the same command again.",
                )

    # ---- on disk

    def _name(self, body: Mapping[str, Any]) -> str:
        return hashlib.sha256(json.dumps([self.endpoint.url, body], sort_keys=True).encode()).hexdigest()

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name[2:]}.json"

    def _read(self, name: str) -> str:
        return json.loads(self._path(name).read_text(encoding="utf-8"))["text"]

    def _keep(self, name: str, answer: Reply) -> None:
        path = self._path(name)
        path.parent.mkdir(exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(answer)), encoding="utf-8")
        partial.replace(path)
        with self._lock:
            self.spent += self._cost(answer.usage)

    def _cost(self, usage: Mapping[str, Any]) -> float:
        prompt, written = (int(usage.get(k) or 0) for k in ("prompt_tokens", "completion_tokens"))
        return (prompt * self.price.prompt_price + written * self.price.answer_price) / 1e6
