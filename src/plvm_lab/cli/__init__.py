"""The laboratory's verbs, which reach the command line `plvm` by the entry-point group `plvm.verbs`."""

from __future__ import annotations

from importlib import import_module

from typer import Typer


def register(app: Typer) -> None:
    """Add all of them to `app`; what is heavy is imported inside the verbs."""
    for name in ("demo", "synth", "bench", "evaluate", "report", "mini", "cost"):
        import_module(f"plvm_lab.cli.{name}").register(app)
