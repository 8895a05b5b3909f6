"""The one thread that a model lives in: what waits for it, and what it is writing.

Requests wait in a queue of limited length. Between two tokens of the answers that are being written, whoever waits joins them,
and whoever has left, or is too late, is sent away. A failure of the model ends the answers it was writing, each with an error,
and nothing else: the thread goes on with an empty batch.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from plvm.engine.decoding import Completion
from plvm.engine.request import Request
from plvm.errors import PlvmError
from plvm.personal import Personal
from plvm.server.question import Question
from plvm.server.refusals import broken, busy, stopping, too_late
from plvm.types import SamplingParams

LOG = logging.getLogger("plvm.server")
FEW = 4  # joining has its price: those who wait for places join when 1/FEW of all are free, or FEW tokens after the last ones


@dataclass(eq=False)
class Job:
    """Work for the model thread, in which `run` is called with the model: what it returns is an answer to write, or None where
    all is done. `tell` gets a chunk of text, the Completion, or the error that ended the job; None after a job without answer.
    It is called in the model thread. `deadline` is a time of `time.monotonic`."""

    run: Callable[[Personal], tuple[Request, SamplingParams] | None]
    tell: Callable[[str | Completion | PlvmError | None], None]
    seconds: float
    question: Question | None = None  # where there is a picture to look at, and visitors to enrol, with those of other jobs
    left: bool = False  # whoever asked is not there any more
    begun: float = field(default_factory=time.monotonic)

    @property
    def late(self) -> bool:
        """Whether its time is over."""
        return time.monotonic() > self.begun + self.seconds


class Worker:
    """Runs jobs on `vlm`: `batch` answers side by side, at most `queue` more in waiting. `look` is called with those that begin
    together, before they run."""

    def __init__(
        self, vlm: Personal, *, batch: int, queue: int, look: Callable[[Sequence[Job]], None] = lambda jobs: None
    ) -> None:
        self.vlm, self.batch, self.queue, self._look = vlm, batch, queue, look
        self.restarts = 0
        self.tokens = 0
        self._steps = 0  # since somebody joined
        self._waiting: deque[Job] = deque()
        self._writing: dict[int, Job] = {}
        self._decoding = vlm.engine.decoding()
        self._changed = threading.Condition()
        self._stopping = False
        self._stop_at = math.inf
        self._pace = 0.5  # seconds that a job takes, smoothed
        self._thread: threading.Thread | None = None

    # ---- for other threads

    def start(self) -> None:
        """Begin to work."""
        self._thread = threading.Thread(target=self._live, name="plvm-model", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Put a job into the queue. Raises Refusal where it is full, or the server is stopping."""
        with self._changed:
            if self._stopping:
                raise stopping()
            if len(self._waiting) >= self.queue:
                raise busy(max(1, min(60, math.ceil(len(self._waiting) * self._pace / self.batch))))
            self._waiting.append(job)
            self._changed.notify()

    def leave(self, job: Job) -> None:
        """Nobody waits for this job any more: no more of it is computed."""
        job.left = True

    def stop(self, seconds: float = 30.0) -> bool:
        """Take no more jobs, finish those that were taken, for at most so long; whether all are finished."""
        with self._changed:
            self._stopping, self._stop_at = True, time.monotonic() + seconds
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(seconds + 5)
            return not self._thread.is_alive()
        return True

    @property
    def waiting(self) -> int:
        """How many jobs are in the queue."""
        return len(self._waiting)

    @property
    def writing(self) -> int:
        """How many answers are being written."""
        return len(self._writing)

    @property
    def alive(self) -> bool:
        """Whether the thread takes jobs."""
        return self._thread is not None and self._thread.is_alive() and not self._stopping

    # ---- in the model thread

    def _live(self) -> None:
        while True:
            try:
                self._work()
                return
            except BaseException:  # whatever it was, those who wait have to hear of it
                LOG.exception("the model thread failed; it starts again")
                self.restarts += 1
                failed, self._writing = list(self._writing.values()), {}
                for job in failed:
                    job.tell(broken())
                self._decoding = self.vlm.engine.decoding()

    def _work(self) -> None:
        while (new := self._next()) is not None:
            self._begin(new)
            self._send_away()
            if not len(self._decoding):
                continue
            self._steps += 1
            for written in self._decoding.step():
                job = self._writing[written.ticket]
                if written.chunk:
                    job.tell(written.chunk)
                if written.completion is not None:
                    del self._writing[written.ticket]
                    self.tokens += written.completion.answer.new_tokens
                    self._finish(job, written.completion)
                if written.error is not None:
                    del self._writing[written.ticket]
                    job.tell(written.error)

    def _next(self) -> list[Job] | None:
        """Those who come out of the queue now; none while all places are taken; None when nothing more is to be done."""
        with self._changed:
            while not self._waiting and not self._writing:
                if self._stopping:
                    return None
                self._changed.wait()
            if time.monotonic() > self._stop_at:
                self._give_up()
                return None
            for job in [job for job in self._waiting if job.left or job.late]:
                self._waiting.remove(job)
                self._end(job)
            places = self.batch - len(self._writing)
            if places < min(len(self._waiting), self.batch // FEW) and self._steps < FEW:
                return []
            return [self._waiting.popleft() for _ in range(min(places, len(self._waiting)))]

    def _give_up(self) -> None:
        for job in (*self._waiting, *self._writing.values()):
            job.tell(stopping())
        self._waiting.clear()
        self._writing.clear()

    def _begin(self, jobs: list[Job]) -> None:
        """Run new jobs; whoever has an answer to be written joins the others."""
        joining: list[tuple[Job, Request, SamplingParams]] = []
        if jobs:
            self._steps = 0
        if len(jobs) > 1:
            with suppress(Exception):  # whatever is wrong with one of them is said when it runs
                self._look([job for job in jobs if not job.left])
        for job in jobs:
            if job.left or job.late:
                self._end(job)
                continue
            try:
                work = job.run(self.vlm)
            except PlvmError as error:
                job.tell(error)
            except Exception:
                LOG.exception("a request failed")
                job.tell(broken())
            else:
                if work is None:
                    self._finish(job, None)
                else:
                    joining.append((job, *work))
        self._join(joining)

    def _join(self, joining: list[tuple[Job, Request, SamplingParams]]) -> None:
        """Let answers into the batch: all at once, or one by one where one of them cannot be."""
        if not joining:
            return
        try:
            tickets = self._decoding.join([r for _, r, _ in joining], [p for _, _, p in joining])
        except PlvmError as error:
            if len(joining) == 1:
                joining[0][0].tell(error)
                return
            for one in joining:
                self._join([one])
            return
        except BaseException:
            for job, _, _ in joining:
                job.tell(broken())
            raise
        self._writing |= {ticket: job for ticket, (job, _, _) in zip(tickets, joining, strict=True)}

    def _send_away(self) -> None:
        """End the answers that nobody waits for, and those that take too long."""
        gone = {ticket: job for ticket, job in self._writing.items() if job.left or job.late}
        self._decoding.drop(gone)
        for ticket, job in gone.items():
            del self._writing[ticket]
            self._end(job)

    def _end(self, job: Job) -> None:
        if not job.left:
            job.tell(too_late(job.seconds))

    def _finish(self, job: Job, done: Completion | None) -> None:
        self._pace += 0.1 * (time.monotonic() - job.begun - self._pace)
        job.tell(done)
