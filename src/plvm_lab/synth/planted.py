"""Planted faults: drawn portraits among which some are wrong on purpose, to measure what the filters catch and what they
cost.

Each kind of fault is wrong in one thing alone, so that one filter has to see it: another person in the very same scene
(face), the same person in another scene (text), a blank picture (blank), a saved-again copy of a picture (duplicate).
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from plvm.data.spec import Identity, Spec
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.render import draw
from plvm_lab.portraits.scene import Scene, draw_scene
from plvm_lab.synth.filters import Filters
from plvm_lab.synth.portraits_generator import PortraitsGenerator, prompt_of

RIGHT = {"person": "face", "scene": "text", "blank": "blank", "double": "duplicate"}


@dataclass(frozen=True)
class Planted:
    """One picture with its prompt; `fault` is a key of RIGHT, or "" for a good one."""

    image: Image.Image
    prompt: str
    fault: str


def plant(generator: PortraitsGenerator, identity: Identity, share: float) -> tuple[Image.Image, list[Planted]]:
    """The reference of an identity and its pictures, each of them wrong with probability `share`."""
    size, rng = generator.spec.size, random.Random(f"plvm-planted/{generator.spec.seed}/{identity.key}")
    group = generator.group(identity)
    (reference,) = group.references.values()
    pictures: list[Planted] = []
    for scene in group.scenes:
        fault = rng.choice(list(RIGHT)) if rng.random() < share else ""
        if fault == "double" and not pictures:
            fault = "scene"
        image = {
            "": lambda s: draw(s, size),
            "person": lambda s: draw(_with_another(s, rng), size),
            "scene": lambda s: draw(draw_scene([s.figures[0].person], rng), size),
            "blank": lambda s: Image.new("RGB", (size, size), (rng.randrange(256),) * 3),
            "double": lambda s: _saved_again(
                rng.choice([p.image for p in pictures if p.fault != "blank"] or [pictures[0].image])
            ),
        }[fault](scene)
        pictures.append(Planted(image, prompt_of(scene), fault))
    return draw(reference, size), pictures


def _with_another(scene: Scene, rng: random.Random) -> Scene:
    """A scene with a stranger of the same gender in the same clothes."""
    figure = scene.figures[0]
    others = (person_of("synth-stranger", rng.randrange(10**9)) for _ in range(1000))
    stranger = next(p for p in others if p["gender"] == figure.person["gender"])
    return replace(scene, figures=(replace(figure, person=stranger),))


def _saved_again(image: Image.Image) -> Image.Image:
    """A copy that was scaled a little and saved as JPEG."""
    file = io.BytesIO()
    smaller = image.resize((round(image.width * 0.9), round(image.height * 0.9)), Image.Resampling.BICUBIC)
    smaller.save(file, "JPEG", quality=80)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB").resize(image.size, Image.Resampling.BICUBIC)


def measure(
    filters: Filters, *, pictures: int = 1000, share: float = 0.2, seed: int = 991,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:  # fmt: skip
    """{"faults": {kind: {"planted", "caught", "by_the_right_filter"}}, "good": {"pictures", "lost", "by"}}.

    `pictures` portraits, five of each identity, at 224 pixels, of whom about `share` are wrong.
    """
    spec = Spec(identities=-(-pictures // 5), seed=seed, filters=False)
    generator = PortraitsGenerator(spec)
    faults = {kind: {"planted": 0, "caught": 0, "by_the_right_filter": 0} for kind in RIGHT}
    by: dict[str, int] = {}
    good = lost = 0
    for i, key in enumerate(generator.keys()):
        reference, planted = plant(generator, Identity(key, "test", i), share)
        _, verdicts = filters.judge(reference, [p.image for p in planted], [p.prompt for p in planted])
        for picture, verdict in zip(planted, verdicts, strict=True):
            names = [name for name, _ in verdict.refusals]
            if picture.fault:
                entry = faults[picture.fault]
                entry["planted"] += 1
                entry["caught"] += not verdict.kept
                entry["by_the_right_filter"] += RIGHT[picture.fault] in names
            else:
                good += 1
                lost += not verdict.kept
                for name in names:
                    by[name] = by.get(name, 0) + 1
        report(i + 1, spec.identities)
    return {"faults": faults, "good": {"pictures": good, "lost": lost, "by": by}}
