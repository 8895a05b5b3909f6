"""`plvm recognize`: who is in these pictures?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from typer import Argument, Typer

from plvm.cli import options as o
from plvm.cli import remote
from plvm.cli.console import out, out_json, progress, say, table
from plvm.cli.unlike import rounded, warn
from plvm.cli.verbs import add_verb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plvm.types import Concept

COLUMNS = 8  # concepts in the table of several pictures
MARKS = {"yes": "*", "unsure": "?", "no": " "}  # of verdicts, in that table


def register(app: Typer) -> None:
    add_verb(app, "recognize", recognize, "Pictures", "IMAGE...")


def recognize(
    images: Annotated[list[str], Argument(metavar="IMAGE...", help="One or more pictures.")],
    store: o.StoreOptions,
    model: o.ModelOptions,
    server: remote.ServerOptions,
    json: o.Json = False,
) -> None:
    """Tell who is in pictures.

    Everyone who is enrolled, with the probability of being there, best first, and a verdict: yes, no or unsure, which
    also weighs how many are enrolled. Several pictures make a table; a yes is marked there with *, unsure with ?.
    """
    if (client := server.client(store, model)) is not None:
        with client:
            remote.recognize(client, images, json=json)
        return
    from plvm.images import open_image

    for file in images:  # all are looked at before the model is loaded: a bad one is known at once
        open_image(file)
    with store.open() as opened:
        opened.check_not_empty()
        vlm = model.load()
        concepts = opened.list(aligner=vlm.fingerprint)
    names = [concept.name for concept in concepts]
    if vlm.calibration.note:
        say(vlm.calibration.note)
    chances: list[list[float]] = []
    unlike: list[float | None] = []
    verdicts: list[dict[str, str]] = []
    with progress() as advance:
        for i in range(0, len(images), 8):
            some = images[i : i + 8]
            seen = vlm.engine.look(some, namespace=opened.namespace)
            unlike += [prefix.unlike for prefix in seen]
            chances += vlm.recognize(seen, concepts, namespace=opened.namespace)
            found = vlm.verdicts(seen, concepts, chances=chances[i:], namespace=opened.namespace)
            verdicts += [{p.name: p.verdict for p in row} for row in found]
            advance("pictures", min(i + 8, len(images)), len(images))
    warn(vlm, dict(zip(images, unlike, strict=True)))
    ranked = [_best_first(names, row) for row in chances]
    if json:
        out_json([
            {"image": file, "present": row, "verdicts": {name: found[name] for name in row}, "unlike": rounded(score)}
            for file, row, found, score in zip(images, ranked, verdicts, unlike, strict=True)
        ])  # fmt: skip
    elif len(images) == 1:
        shown = {concept.name: concept.shown for concept in concepts}
        rows = [(shown[name], f"{p:.3f}", verdicts[0][name]) for name, p in ranked[0].items()]
        out(table(rows, ("NAME", "P(PRESENT)", "VERDICT")))
    else:
        _out_table(images, concepts, chances, verdicts)


def _best_first(names: list[str], row: list[float]) -> dict[str, float]:
    return {name: round(p, 4) for name, p in sorted(zip(names, row, strict=True), key=lambda pair: -pair[1])}


def _out_table(
    images: list[str], concepts: Sequence[Concept], chances: list[list[float]], verdicts: list[dict[str, str]]
) -> None:
    order = sorted(range(len(concepts)), key=lambda i: -max(row[i] for row in chances))[:COLUMNS]
    rows = [
        (file, *(f"{row[i]:.3f}{MARKS[found[concepts[i].name]]}" for i in order))
        for file, row, found in zip(images, chances, verdicts, strict=True)
    ]
    out(table(rows, ("IMAGE", *(concepts[i].shown for i in order))))
    if len(concepts) > COLUMNS:
        say(f"The {COLUMNS} likeliest of {len(concepts)} are shown; --json has all.")
