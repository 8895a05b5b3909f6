"""Ctrl-C: the first ends a verb in an orderly way, a second at once; both are exit code 130, without a traceback.

The first raises KeyboardInterrupt, so that files are closed and half a transaction is taken back. Wherever that is swallowed or
turned into another error on its way (a finaliser), the exit code is 130 all the same. In the middle of an import the first ends
the process too: C code that imports may abort on an exception. Nothing that is kept needs the orderly way: the store is whole
after a kill, and long runs go on at their last checkpoint.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

INTERRUPTED = 130  # exit code: 128 + the number of SIGINT, as shells have it
_SHOW_CURSOR = "\033[?25h"
_IMPORTING = "<frozen importlib._bootstrap>"  # the file of a frame that imports


class Interrupts:
    """How many Ctrl-Cs nobody has dealt with yet."""

    def __init__(self) -> None:
        self.waiting = 0

    def come(self, _: int, frame: FrameType | None) -> None:
        """Take one, which interrupts `frame`: raises KeyboardInterrupt for the first, ends the process for a second."""
        self.waiting += 1
        if self.waiting > 1 or _imports(frame):
            end_at_once()
        raise KeyboardInterrupt

    def handled(self) -> None:
        """Say that what was interrupted is over and the program goes on."""
        self.waiting = 0


INTERRUPTS = Interrupts()


def end_at_once() -> None:
    """End the process here and now."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR.encode())  # a spinner may have hidden it
    os._exit(INTERRUPTED)


@contextmanager
def orderly() -> Iterator[None]:
    """Run a verb in here: however it ends after a Ctrl-C, that is SystemExit with code 130."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    INTERRUPTS.handled()
    signal.signal(signal.SIGINT, INTERRUPTS.come)
    sys.unraisablehook = _ending(hook)
    try:
        yield
    except BaseException:
        if INTERRUPTS.waiting:
            raise SystemExit(INTERRUPTED) from None
        raise
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, before)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != _IMPORTING:
        frame = frame.f_back
    return frame is not None


def _ending(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def unraisable(found: Any) -> None:
        if issubclass(found.exc_type, KeyboardInterrupt):  # swallowed by a finaliser: nobody else would hear of it
            end_at_once()
        hook(found)

    return unraisable
