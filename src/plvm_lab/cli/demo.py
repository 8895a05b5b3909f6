"""`plvm demo`: a first look at everything."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option, Typer

from plvm.cli import options as o
from plvm.cli.console import out, say, table
from plvm.cli.verbs import add_verb

if TYPE_CHECKING:
    from plvm_lab.demo.events import Recognized


def register(app: Typer) -> None:
    add_verb(app, "demo", demo, "Pictures")


def demo(
    destination: Annotated[
        Path, Option("--out", metavar="FOLDER", help="Where the pictures, dialogue cards and the page go.")
    ] = Path("demo"),
    model: o.Model = "mini",
    device: o.Device = None,
) -> None:
    """Watch people being enrolled and talked about.

    Draws pictures of people that no training has seen, enrols them, asks about them, and compares every answer with
    the truth. Your own concepts are left alone.
    """
    begun = time.monotonic()
    o.make_folder(destination)
    from plvm_lab.demo.demo_files import write_demo
    from plvm_lab.demo.events import Answered, Enrolled, Joined, Opened, Show

    show = Show(o.ModelOptions(model, device).load())
    for event in show.events():
        match event:
            case Enrolled(name, seconds):
                out(f"Enrolled <{name}> from one picture in {1000 * seconds:.0f} ms.")
            case Opened(scenario, known):
                what = f"{scenario.key}.png" if scenario.people else "no picture"
                out(f"\n{scenario.title} ({what}; {', '.join(f'<{n}>' for n in known)})")
            case Joined(name):
                out(f"  <{name}> joins.")
            case Answered(question, answer, truth, right):
                out(f"  {question}")
                verdict = "right" if right else f"WRONG, the truth: {truth}"
                out(f"    {answer.text}  [{verdict}; {1000 * answer.seconds:.0f} ms]")
            case _:
                _tell(event)
    page = write_demo(show, destination)[0]
    true = sum(done.right for done in show.answered)
    out(f"\n{true} of {len(show.answered)} answers are true. Open {page} to look at it all.")
    say(f"The demo took {time.monotonic() - begun:.1f} s.")


def _tell(found: Recognized) -> None:
    out(f"\nWho is in which picture? ({1000 * found.seconds:.0f} ms for all)")
    rows = [
        (f"{key}.png", *(f"{p:.3f} {'right' if (p > 0.5) == here else 'WRONG'}" for p, here in zip(row, true)))
        for key, row, true in zip(found.pictures, found.chances, found.present, strict=True)
    ]
    out(table(rows, ("PICTURE", *(f"<{name}>" for name in found.names))))
    out(f"{found.right} of {len(found.names) * len(found.pictures)} decisions are right.")
