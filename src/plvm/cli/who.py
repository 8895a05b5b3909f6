"""`plvm who`: those who are in a picture, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Typer

from plvm.cli import options as o
from plvm.cli import remote
from plvm.cli.console import out, out_json, say, table
from plvm.cli.verbs import add_verb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plvm.presence.roll import Presence
    from plvm.types import Concept


def register(app: Typer) -> None:
    add_verb(app, "who", who, "Pictures", "IMAGE")


def who(
    image: Annotated[str, Argument(metavar="IMAGE", help="The picture.")],
    store: o.StoreOptions,
    model: o.ModelOptions,
    server: remote.ServerOptions,
    json: o.Json = False,
) -> None:
    """List those who are in a picture, with places.

    A verdict is calibrated evidence: P(Yes), how alike the picture is to each reference, and how many are enrolled.
    Of many, only the likeliest are asked about. Where somebody is, the model says. Whoever may be there is listed
    apart, as unsure.
    """
    if (client := server.client(store, model)) is not None:
        with client:
            remote.who(client, image, json=json)
        return
    from plvm.images import open_image

    picture = open_image(image)
    with store.open() as opened:
        opened.check_not_empty()
        vlm = model.load()
        concepts = opened.list(aligner=vlm.fingerprint)
        if vlm.calibration.note:
            say(vlm.calibration.note)
        found = vlm.who(picture, concepts, namespace=opened.namespace)
        opened.used([p.name for p in found if p.verdict == "yes"])
    if json:
        out_json({"image": image, "enrolled": len(concepts), "calibrated": vlm.calibration.verdicts.calibrated,
                  "who": [as_json(p) for p in found if p.verdict == "yes"],
                  "unsure": [as_json(p) for p in found if p.verdict == "unsure"]})  # fmt: skip
    else:
        out(told(found, concepts))


def as_json(presence: Presence) -> dict[str, Any]:
    """One person as JSON has them."""
    p = presence.probability
    return {"name": presence.name, "verdict": presence.verdict, "probability": None if p is None else round(p, 4),
            "evidence": round(presence.evidence, 3), "place": presence.place}  # fmt: skip


def told(found: Sequence[Presence], concepts: Sequence[Concept]) -> str:
    """Those who are there as a table, and the unsure ones as another under it."""
    shown = {c.name: c.shown for c in concepts}
    parts = []
    for verdict, header in (("yes", "NAME"), ("unsure", "UNSURE")):
        rows = [(shown[p.name], _percent(p.probability), p.place) for p in found if p.verdict == verdict]
        if rows:
            parts.append(table(rows, (header, "P(PRESENT)", "WHERE, SAYS THE MODEL")))
    if not any(p.verdict == "yes" for p in found):
        parts.insert(0, "Nobody I know for sure." if found else "Nobody I know.")
    return "\n\n".join(parts)


def _percent(probability: float | None) -> str:
    return "-" if probability is None else f"{probability:.3f}"
