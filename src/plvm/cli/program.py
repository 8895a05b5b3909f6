"""The program `plvm`. Until its verbs are there, Ctrl-C has nothing to tidy up: it ends the process."""

from __future__ import annotations

import signal

from plvm.cli.interrupts import end_at_once


def run() -> None:
    """Run the verb that the command line names."""
    signal.signal(signal.SIGINT, lambda *_: end_at_once())
    from plvm.cli.main import app

    app()
