"""What systems share that learn a concept by gradient while everything else stays frozen: what is asked and answered
about its pictures (`Lesson`), pictures of other people (`Strangers`), the logits of lessons, and what was learned on disk.

Only rows are learned, and they are arguments (`plvm.prompt.vocabulary`): the backbone is never written to. A picture's prefix
depends on no concept where the picture comes first, so it is computed without gradients, once for all passes over it as
far as the cache of prefixes goes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from plvm.data.wordings import ASK, ATTRIBUTES, NO, YES
from plvm.engine.gathered import stack
from plvm.engine.layout import lay_out
from plvm.engine.request import Request
from plvm.errors import RequestError
from plvm.model.backbone import KeyValues
from plvm.model.encoder import Encoder
from plvm.personal import Personal
from plvm.prompt.turns import Tokens
from plvm.prompt.vocabulary import ConceptVocabulary
from plvm.train.rows import pad_rows
from plvm_lab.evaluate.drawings import QUERY_SIZE, REFERENCE_SIZE
from plvm_lab.evaluate.suite import Pictures
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.render import draw
from plvm_lab.portraits.scene import draw_portrait, draw_scene, people_count
from plvm_lab.synth.backbone_answers import BackboneAnswers

SPACE = "tuning"  # the namespace of cached prefixes
FEW = 4  # a backbone that names fewer traits of a portrait in one description is asked trait by trait


@dataclass(frozen=True, eq=False)
class Lesson:
    """One question about a picture (None: none) with its answer; the concept stands as `<name>` in both."""

    image: Image.Image | None
    question: str
    answer: str


def recognition_lessons(
    name: str, images: Sequence[Image.Image], present: bool, count: int, rng: random.Random
) -> list[Lesson]:
    """`count` questions whether the concept is in a picture: pictures in turn, in all wordings."""
    if not images:
        return []
    wordings, said = rng.sample(ASK, len(ASK)), YES if present else NO
    asked = [(images[i % len(images)], wordings[i % len(wordings)], rng.choice(said)) for i in range(count)]
    return [Lesson(image, q.format(x=f"<{name}>"), a.format(x=f"<{name}>")) for image, q, a in asked]


def attribute_lessons(vlm: Personal, name: str, image: Image.Image, count: int, rng: random.Random) -> list[Lesson]:
    """`count` questions about looks: the frozen backbone's own answers about the reference. They are
    asked without the picture."""
    if not count:
        return []
    said = BackboneAnswers(vlm, describes=True).about(image)
    if len(said) < FEW:
        said = BackboneAnswers(vlm, describes=False).about(image)
    slots = [slot for slot in said if slot in ATTRIBUTES]
    picked = [slots[i % len(slots)] for i in range(count)] if slots else []
    asked = [(rng.choice(ATTRIBUTES[slot][0]), said[slot].replace("<n0>", f"<{name}>")) for slot in picked]
    return [Lesson(None, question.format(x=f"<{name}>"), answer) for question, answer in asked]


@dataclass(frozen=True, eq=False)
class Lessons:
    """A batch of lessons as token rows, with the pasts that they continue: ids, supervise int64[B, T]; positions
    int64[B, T]; mask bool[B, P + T]."""

    past: KeyValues
    ids: Tensor
    supervise: Tensor
    positions: Tensor
    mask: Tensor

    def embedded(self, vlm: Personal, vocabulary: ConceptVocabulary) -> Tensor:
        """[B, T, D]."""
        return vocabulary.embed(self.ids, vlm.backbone.word_rows)


def lesson_rows(vlm: Personal, name: str, lessons: Sequence[Lesson], ids: ConceptVocabulary) -> Lessons:
    """Lessons in the words and order of the model's own prompts; `ids` says which ids the concept has."""
    backbone, prompt = vlm.backbone, vlm.prompt
    states = vlm.engine.look([x.image for x in lessons], namespace=SPACE)
    rows = []
    for lesson in lessons:
        tokens = Tokens()
        prompt.turn(tokens, lesson.question, [name], ids, joining=[0], answer=lesson.answer)
        rows.append(tokens)
    device = backbone.device
    lengths, own = [s.length for s in states], [len(r) for r in rows]
    layout = lay_out(lengths, [s.length + s.shift for s in states], max(own), device, own)
    mask = layout.mask
    return Lessons(
        stack([Request(s, "") for s in states], max(lengths)),
        pad_rows([r.ids for r in rows], prompt.end_id).to(device),
        pad_rows([r.supervise for r in rows], 0).to(device),
        layout.positions,
        mask if mask is not None else torch.ones(len(own), max(lengths) + max(own), dtype=torch.bool, device=device),
    )


class Strangers:
    """Pictures of people who are not the concept, with their encoder features [N, E]: where negatives come from."""

    def __init__(self, encoder: Encoder, pictures: Sequence[Image.Image]) -> None:
        if not pictures:
            raise RequestError("There are no pictures of strangers to learn from.", "Give some.")
        self.encoder, self.pictures = encoder, list(pictures)
        self.features = global_features(encoder, self.pictures)

    def nearest(self, references: Sequence[Image.Image], count: int) -> list[Image.Image]:
        """The `count` pictures that look most like any of the references."""
        near = (self.features @ global_features(self.encoder, references).T).amax(1)
        return [self.pictures[i] for i in near.argsort(descending=True)[:count].tolist()]


def global_features(encoder: Encoder, pictures: Sequence[Image.Image]) -> Tensor:
    """float32[N, E] on the CPU: normalised global features."""
    parts = [encoder.features(encoder.pixels(pictures[i : i + 32])) for i in range(0, len(pictures), 32)]
    return F.normalize(torch.cat([z[:, 0].float().cpu() for z in parts]), dim=-1)


def strangers_of(album: Pictures, encoder: Encoder, portraits: int, scenes: int) -> Strangers:
    """People to learn against: those that a suite has for it, or else drawn ones, `portraits` and `scenes` of them."""
    own = album.benchmark.strangers(portraits + scenes)
    return Strangers(encoder, own) if own else drawn_strangers(encoder, portraits, scenes)


def drawn_strangers(encoder: Encoder, portraits: int, scenes: int) -> Strangers:
    """Drawn people of a stream of their own, who are in no split: `portraits` like references, `scenes` like queries."""
    pictures = []
    for i in range(portraits + scenes):
        rng = random.Random(f"plvm-tuning-stranger/{i}")
        if i < portraits:
            pictures.append(draw(draw_portrait(person_of("tuning-stranger", 4 * i), rng), REFERENCE_SIZE))
        else:
            people = [person_of("tuning-stranger", 4 * i + k) for k in range(people_count(rng))]
            pictures.append(draw(draw_scene(people, rng), QUERY_SIZE))
    return Strangers(encoder, pictures)


def cached_on_disk(
    folder: Path | None, key: str, make: Callable[[], Mapping[str, Tensor]]
) -> tuple[dict[str, Tensor], float]:
    """What `make` learns and the seconds that it took; with a folder it is kept there as `key`, and not made twice."""
    path = folder / f"{key}.safetensors" if folder is not None else None
    if path is not None and path.exists():
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, float(file.metadata()["seconds"])  # noqa: SIM118
    begun = time.perf_counter()
    made = {name: tensor.detach().float().cpu().contiguous() for name, tensor in make().items()}
    seconds = time.perf_counter() - begun
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file(made, partial, {"seconds": f"{seconds:.4f}"})
        partial.replace(path)
    return made, seconds
