"""The program `plvm`. Until its verbs are there, Ctrl-C has nothing to tidy up: it ends the process. When the verb is done, it
comes too late: the process is ending anyway, with the verb's exit code."""

from __future__ import annotations

import atexit
import os
import signal
import sys

from plvm.cli.interrupts import end_at_once
from plvm.cli.quick import resting


def run() -> None:
    """Run the verb that the command line names."""
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # else Python's own ending would die of it, with code -2
    signal.signal(signal.SIGINT, lambda *_: end_at_once())
    with resting():
        from plvm.cli.main import app
        from plvm.runtime import keep_memory
    keep_memory()
    try:
        app()
    except SystemExit as end:
        if "plvm.client" in sys.modules and isinstance(end.code, int):
            sys.stdout.flush()
            os._exit(end.code)  # a server did the work: what Python would tidy up here takes longer than the verb's own part
        raise
