"""`plvm recognize`: who is in these pictures?"""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Typer

from plvm.cli import options as o
from plvm.cli.console import out, out_json, progress, say, table
from plvm.cli.unlike import rounded, warn
from plvm.cli.verbs import add_verb

COLUMNS = 8  # concepts in the table of several pictures


def register(app: Typer) -> None:
    add_verb(app, "recognize", recognize, "Pictures", "IMAGE...")


def recognize(
    images: Annotated[list[str], Argument(metavar="IMAGE...", help="One or more pictures.")],
    store: o.StoreOptions,
    model: o.ModelOptions,
    json: o.Json = False,
) -> None:
    """Tell who is in pictures.

    Everyone who is enrolled, with the probability of being there, best first; several pictures make a table.
    """
    from plvm.images import open_image

    for file in images:  # all are looked at before the model is loaded: a bad one is known at once
        open_image(file)
    with store.open() as opened:
        opened.check_not_empty()
        vlm = model.load()
        concepts = opened.list(aligner=vlm.fingerprint)
    names = [concept.name for concept in concepts]
    chances: list[list[float]] = []
    unlike: list[float | None] = []
    with progress() as advance:
        for i in range(0, len(images), 8):
            seen = vlm.engine.look(images[i : i + 8], namespace=opened.namespace)
            unlike += [prefix.unlike for prefix in seen]
            chances += vlm.recognize(seen, concepts, namespace=opened.namespace)
            advance("pictures", min(i + 8, len(images)), len(images))
    warn(vlm, dict(zip(images, unlike, strict=True)))
    if json:
        out_json([
            {"image": f, "present": _best_first(names, row), "unlike": rounded(score)}
            for f, row, score in zip(images, chances, unlike, strict=True)
        ])  # fmt: skip
    elif len(images) == 1:
        shown = {concept.name: concept.shown for concept in concepts}
        rows = [(shown[name], f"{p:.3f}") for name, p in _best_first(names, chances[0]).items()]
        out(table(rows, ("NAME", "P(PRESENT)")))
    else:
        _out_table(images, [concept.shown for concept in concepts], chances)


def _best_first(names: list[str], row: list[float]) -> dict[str, float]:
    return {name: round(p, 4) for name, p in sorted(zip(names, row, strict=True), key=lambda pair: -pair[1])}


def _out_table(images: list[str], names: list[str], chances: list[list[float]]) -> None:
    order = sorted(range(len(names)), key=lambda i: -max(row[i] for row in chances))[:COLUMNS]
    rows = [(file, *(f"{row[i]:.3f}" for i in order)) for file, row in zip(images, chances, strict=True)]
    out(table(rows, ("IMAGE", *(names[i] for i in order))))
    if len(names) > COLUMNS:
        say(f"The {COLUMNS} likeliest of {len(names)} are shown; --json has all.")
