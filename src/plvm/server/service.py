"""What the routes share: the model and its worker, the concepts, the files, the keys."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from PIL import Image

from plvm.engine.decoding import Completion
from plvm.engine.prefix import ImagePrefix, digest_of
from plvm.engine.request import Request
from plvm.errors import PlvmError
from plvm.images import open_image
from plvm.personal import Personal
from plvm.server.audit import AuditLog
from plvm.server.keys import KeyFile
from plvm.server.limits import Limits
from plvm.server.pictures import bytes_of, opened, picture_of
from plvm.server.question import Question
from plvm.server.rates import Rates
from plvm.server.refusals import Refusal
from plvm.server.sessions import Sessions
from plvm.server.uploads import Uploads
from plvm.server.visitors import Visitor, Visitors
from plvm.server.worker import Job, Worker
from plvm.store import ConceptStore, retention
from plvm.store.database import Database
from plvm.store.reader import namespaces
from plvm.store.store_tables import editions
from plvm.types import SamplingParams

T = TypeVar("T")
FILES = 4096  # so many files' digests are remembered


class Service:
    """One model for many callers. `name` is what the API calls the model; without `keys` everybody is `namespace`,
    unless they are needed. What is done is noted in `audit`; whom nobody uses for more than `days` days is forgotten."""

    def __init__(
        self, vlm: Personal, database: Database, *, name: str = "mini", namespace: str = "default",
        keys: KeyFile | None = None, keys_needed: bool = False, limits: Limits = Limits(),  # noqa: B008 - frozen
        audit: AuditLog | None = None, days: int | None = None,
    ) -> None:  # fmt: skip
        self.vlm, self.database, self.name, self.namespace = vlm, database, name, namespace
        self.keys, self.keys_needed, self.limits = keys, keys_needed, limits
        self.audit, self.days = audit, days
        self.uploads = Uploads(limits.file_seconds, limits.file_bytes)
        self.rates = Rates(limits.per_minute)
        self.sessions = Sessions(limits.session_bytes)
        self.visitors = Visitors(limits.guests)
        self.worker = Worker(vlm, batch=limits.batch, queue=limits.queue, look=self._look)
        self._digests: OrderedDict[tuple[str, str], str] = OrderedDict()  # namespace, digest of a file -> that of its pixels
        self._day = retention.today()
        self._noted: dict[str, set[str]] = {}  # by namespace: of whom the store knows that they were used that day
        self._editions: dict[str, str] = {}  # of the namespaces of the store, when `follow` looked last
        self.created = int(time.time())

    @property
    def open_to_all(self) -> bool:
        """Whether it answers without a key."""
        return not self.keys_needed and not (self.keys is not None and self.keys.keys)

    def store(self, namespace: str) -> ConceptStore:
        """The concepts of a namespace."""
        return ConceptStore(self.database, namespace=namespace)

    def picture(self, namespace: str, source: str, param: str | None = None) -> Image.Image:
        """The picture that a data URI or a file's id stands for. Raises Refusal."""
        return picture_of(source, self.uploads, namespace, param)

    def seen(self, namespace: str, source: str, param: str | None = None) -> Image.Image | ImagePrefix:
        """The picture in question: what was computed of it, where this namespace sent the same file before, else its pixels.
        Raises Refusal."""
        data = bytes_of(source, self.uploads, namespace, param)
        file = namespace, hashlib.sha256(data).hexdigest()
        digest = self._digests.get(file)
        known = None if digest is None else self.vlm.engine.prefixes.get(namespace, digest)
        if known is not None:
            return known
        picture = opened(data, param)
        self._digests[file] = digest_of(picture)
        while len(self._digests) > FILES:
            self._digests.popitem(last=False)
        return picture

    def visitor(self, namespace: str, name: str, images: Sequence[tuple[str, str]]) -> Visitor:
        """Somebody who comes with a request, by (source, field of the request) of their pictures. Raises Refusal."""
        files = tuple(bytes_of(source, self.uploads, namespace, where) for source, where in images)
        visitor = Visitor(namespace, name, files, tuple(where for _, where in images))
        self.visitors.check(visitor)
        return visitor

    def _look(self, jobs: Sequence[Job]) -> None:
        Question.look(self.vlm, self.visitors, [job.question for job in jobs if job.question is not None])

    def check_model(self, name: str) -> None:
        """Raise Refusal where the model that is asked for is not the one that is served."""
        if name != self.name:
            raise Refusal(
                404, "model_not_found", f"There is no model {name[:80]!r} here.", f'Ask for "{self.name}".', param="model"
            )

    async def answer(self, question: Question, *, whole: bool = False) -> AsyncIterator[str | Completion]:
        """The answer to a question in chunks as it is written, then the Completion; with `whole` that alone: each chunk would
        wake whoever waits. Raises PlvmError. Who stops taking chunks has left: no more of the answer is computed."""
        loop, told = asyncio.get_running_loop(), asyncio.Queue[str | Completion | PlvmError | None]()

        def tell(what: str | Completion | PlvmError | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(told.put_nowait, what)

        asked: list[Request] = []

        def run(vlm: Personal) -> tuple[Request, SamplingParams]:
            asked.append(question.prepare(vlm, self.visitors, self.sessions))
            return asked[0], question.params

        def keep(what: str | Completion | PlvmError | None) -> None:
            if isinstance(what, Completion):
                with suppress(PlvmError):  # what was said cannot be read again: then it is not kept
                    question.kept(self.vlm, asked[0], what, self.sessions)
            if not (whole and isinstance(what, str)):
                tell(what)

        job = Job(run, keep, self.limits.seconds, question)
        self.worker.submit(job)
        try:
            while True:
                what = await told.get()
                if isinstance(what, PlvmError):
                    raise what
                if what is None:
                    return
                if isinstance(what, Completion):
                    await self.note_use(question.namespace, [c.name for c in question.concepts])
                    yield what
                    return
                yield what
        finally:
            self.worker.leave(job)

    async def note_use(self, namespace: str, names: Sequence[str]) -> None:
        """Have the store note who was used today, of each once a day."""
        day = retention.today()
        if day != self._day:
            self._day, self._noted = day, {}
        noted = self._noted.setdefault(namespace, set())
        if not noted.issuperset(names):
            await asyncio.to_thread(self.store(namespace).used, names)
            noted.update(names)

    async def compute(self, what: Callable[[Personal], T]) -> T:
        """What a function of the model gives, run in its thread. Raises PlvmError."""
        loop, found = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
        results: list[T] = []

        def run(vlm: Personal) -> None:
            results.append(what(vlm))

        def tell(told: str | Completion | PlvmError | None) -> None:
            def settle() -> None:
                if found.done():
                    return
                if isinstance(told, PlvmError):
                    found.set_exception(told)
                else:
                    found.set_result(results[0])

            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle)

        job = Job(run, tell, self.limits.seconds)
        self.worker.submit(job)
        try:
            result: T = await found
            return result
        finally:
            self.worker.leave(job)

    def forget(self, namespace: str, name: str) -> None:
        """Forget a concept: its rows, its pictures, what was computed with it. Raises UnknownConceptError, StoreError."""
        store = self.store(namespace)
        entry = store.entry(name)
        store.forget(entry.name)
        self.left(namespace, entry.name, entry.references)

    def forget_stale(self) -> None:
        """Forget, in all namespaces, whom nobody used for more than `days` days. Raises StoreError."""
        with self.database.transaction(write=False) as connection:
            there = sorted(namespaces(connection))
        for namespace in there if self.days is not None else ():
            store = self.store(namespace)
            entries = [store.entry(name) for name in store.stale(self.days or 0)]
            if entries:
                store.forget_all([entry.name for entry in entries])
            for entry in entries:
                self.left(namespace, entry.name, entry.references)
                if self.audit is not None:
                    self.audit.note("forgot who was not used", namespace=namespace, name=entry.name, days=self.days)

    def follow(self) -> None:
        """Drop what was computed for the namespaces that have changed since this was called last: another process may have
        forgotten somebody. Raises StoreError."""
        with self.database.transaction(write=False) as connection:
            before, self._editions = self._editions, editions(connection)
        for namespace, edition in self._editions.items():
            if before.get(namespace) != edition:
                self._noted.pop(namespace, None)
                self.sessions.forget(namespace)
                self.visitors.forget(namespace)
                self.vlm.engine.prefixes.forget(namespace=namespace)

    def left(self, namespace: str, word: str, pictures: Sequence[bytes]) -> None:
        """Drop what was computed of somebody who is not known any more by these pictures."""
        self._noted.pop(namespace, None)
        self.sessions.forget(namespace, word)
        self.visitors.forget(namespace)
        for picture in pictures:
            with suppress(PlvmError):
                self.vlm.engine.prefixes.forget(namespace=namespace, digest=digest_of(open_image(picture)))

    def stop(self, seconds: float) -> bool:
        """Finish what was begun, within so many seconds, and close the store; whether all was finished."""
        done = self.worker.stop(seconds)
        self.database.close()
        return done
