"""MyVLM (arXiv 2403.14599): a concept head says whether somebody is in the picture, and where it says so, one learned
vector stands after the picture's tokens, at the output of the projector. The backbone is frozen.

    face head     nearest to a face of the references: the largest cosine over the picture and a grid of crops. The
                  threshold of the paper belongs to its face encoder; here it is chosen on the validation split.
    linear head   a linear layer over the encoder's feature of the whole picture, trained per concept against strangers
    vector        normalised at every pass, trained with AdamW at a learning rate of 1 so that the backbone, shown a
                  reference, answers about the name; the square of the attention paid to it is a loss of its own, so
                  that it does not draw everything to itself

Names are plain words, and another one in every lesson, so that a vector serves whatever its concept is called.
Recognition is the head's alone. Without a picture nobody is seen: the frozen backbone then answers without the vector,
and knows nothing. There is no dialogue in which somebody joins.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

from plvm.engine.prefix import digest_of
from plvm.model.photo.photo_processor import PhotoProcessor
from plvm.personal import Personal
from plvm.prompt.turns import Tokens, UserTurn
from plvm.prompt.vocabulary import ConceptVocabulary
from plvm.train.loss import answer_logits, answer_loss
from plvm_lab.evaluate.benchmark_scenes import NAMES
from plvm_lab.evaluate.suite import Pictures
from plvm_lab.evaluate.system import Answers, Ask, Chooses, Recognizes, System, Verifies
from plvm_lab.systems.embedding import Embedding, Face
from plvm_lab.systems.face_codes import FaceCodes
from plvm_lab.systems.llava import Llava
from plvm_lab.systems.plain_names import PlainNames, nameless
from plvm_lab.systems.plvm import Learned
from plvm_lab.systems.tuning import (
    Lesson,
    Strangers,
    attribute_lessons,
    cached_on_disk,
    global_features,
    lesson_rows,
    strangers_of,
)

ME = "n0"  # in lessons, until they are given a name


class AfterImage(PlainNames):
    """Writes concepts as vectors right after the picture's tokens, before anything is said."""

    def prefix(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return self.control(self.template.begin), ()

    def user_turn(self, tokens: Tokens, turn: UserTurn) -> None:
        for concept in turn.joining:
            if turn.descriptions.get(concept) != "":  # "": the head does not see the concept
                tokens.add(turn.vocabulary.context_ids(concept), owner=concept)
        tokens.add(self.control(self.template.after_image))
        super().user_turn(tokens, replace(turn, joining=()))


@dataclass(frozen=True)
class Tuning:
    """How vector and linear head are learned; the published settings. `steps` are passes over the references."""

    steps: int = 100
    batch: int = 4
    learning_rate: float = 1.0
    weight_decay: float = 1e-4
    clip: float = 0.05
    attention: float = 10.0
    head_steps: int = 500
    head_batch: int = 16
    head_rate: float = 1e-3
    head_floor: float = 5e-6
    head_decay: float = 0.01
    head_clip: float = 0.1
    negatives: int = 150
    seed: int = 0


@dataclass(frozen=True, eq=False)
class LearnedWithHead:
    """What was learned of somebody: the vector as a concept without a name of its own, faces, and the linear head [2, E+1]."""

    learned: Learned
    faces: tuple[Face, ...]
    head: np.ndarray
    seconds: float


class MyVlm(System, Recognizes, Verifies, Chooses, Answers):
    """MyVLM around the model `vlm`. `head` decides who is there. `tuning`: how vector and head are learned, from `references`
    pictures. `threshold` of the face head: None has it chosen. `strangers`: None has them drawn. `keep`: a folder for what was
    learned, so that a run that stopped learns nothing twice."""

    def __init__(
        self,
        vlm: Personal,
        *,
        head: Literal["face", "linear"] = "face",
        references: int = 1,
        threshold: float | None = None,
        tuning: Tuning | None = None,
        strangers: Strangers | None = None,
        keep: Path | None = None,
        **changes: Any,
    ) -> None:
        self.engine = Llava(vlm, writer=AfterImage)
        self.vlm = self.engine.vlm
        self.name = "myvlm" if head == "face" else "myvlm-linear"
        self.faces = face_head(vlm, threshold)
        self.tuning = replace(tuning if tuning is not None else Tuning(), **changes)
        self.head, self.references, self.strangers, self.keep = head, references, strangers, keep

    @property
    def fingerprint(self) -> str:
        settings = hashlib.sha256(repr(sorted(asdict(self.tuning).items())).encode()).hexdigest()[:12]
        return f"{self.name}-{self.engine.fingerprint}-{self.faces.fingerprint}-{self.references}-{settings}"

    @property
    def facts(self) -> dict[str, Any]:
        seen = self.faces.facts if self.head == "face" else {"encoder": Path(self.vlm.encoder.name).name}
        return self.engine.facts | seen | {"head": self.head, "tuning": asdict(self.tuning)}

    def prepare(self, album: Pictures) -> None:
        if self.head == "face":
            self.faces.prepare(album)
        if self.strangers is None:
            half = self.tuning.negatives // 2
            self.strangers = strangers_of(album, self.vlm.encoder, half, self.tuning.negatives - half)

    # ---- learning

    def learn(self, name: str, *images: Image.Image) -> LearnedWithHead:
        key = hashlib.sha256("/".join([self.fingerprint, *map(digest_of, images)]).encode()).hexdigest()[:24]
        made, seconds = cached_on_disk(self.keep, key, lambda: self._learned(images))
        concept = nameless(name, self.vlm.backbone, F.normalize(made["vector"], dim=-1)[None])
        faces = tuple(self.faces.learn(name, image) for image in images)
        return LearnedWithHead(Learned(concept), faces, made.get("head", torch.zeros(0)).numpy(), seconds)

    def bytes_of(self, known: LearnedWithHead) -> int:
        vector = known.learned.concept.tokens.context.nbytes
        return vector + (sum(f.feature.nbytes for f in known.faces) if self.head == "face" else known.head.nbytes)

    def seconds_of(self, known: LearnedWithHead) -> float:
        return known.seconds

    def _learned(self, images: Sequence[Image.Image]) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(self.tuning.seed)
        head = {"head": self._linear_head(images, generator)} if self.head == "linear" else {}
        return {"vector": self._vector(images, generator)} | head

    def _vector(self, images: Sequence[Image.Image], generator: torch.Generator) -> Tensor:
        s, backbone = self.tuning, self.vlm.backbone
        vector = F.normalize(torch.randn(backbone.width, generator=generator), dim=-1).to(backbone.device)
        vector = torch.nn.Parameter(vector)
        optimizer = torch.optim.AdamW([vector], lr=s.learning_rate, weight_decay=s.weight_decay)
        rng = random.Random(f"myvlm/{s.seed}")
        looks = [attribute_lessons(self.vlm, ME, image, 2 * s.batch if s.steps else 0, rng) for image in images]
        for _ in range(s.steps if all(looks) else 0):
            lessons = [
                with_plain_name(rng.choice(NAMES), replace(said, image=rng.choice((image, ImageOps.mirror(image)))))
                for image, own in zip(images, looks, strict=True)
                for said in rng.sample(own, min(len(own), max(1, s.batch // len(images))))
            ]
            loss = self.loss(lessons, vector)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_([vector], s.clip)
            optimizer.step()
        return vector

    def loss(self, lessons: Sequence[Lesson], vector: Tensor) -> Tensor:
        """Mean cross-entropy on the answers, and per layer the mean squared attention to the vector."""
        backbone, n, width = self.vlm.backbone, len(lessons), len(vector)
        none = torch.zeros(n, 1, width, device=vector.device)
        context = F.normalize(vector, dim=-1).expand(n, 1, 1, -1)
        absent = torch.zeros(n, 1, dtype=torch.bool, device=vector.device)
        vocabulary = ConceptVocabulary(backbone.vocabulary_size, none, none, context, absent)
        packed = lesson_rows(self.vlm, ME, lessons, vocabulary)
        hidden, attention = backbone.attended(
            packed.embedded(self.vlm, vocabulary), packed.past, packed.positions, packed.mask
        )
        at = packed.past[0][0].shape[2]  # the vector is the first thing after the picture
        drawn = torch.stack([layer[..., at].float().square().mean() for layer in attention]).sum()
        logits = answer_logits(vocabulary, hidden, packed.supervise, backbone.head_rows)
        answers = answer_loss(logits, packed.ids, packed.supervise, 1.0)
        return answers + self.tuning.attention * drawn

    def _linear_head(self, images: Sequence[Image.Image], generator: torch.Generator) -> Tensor:
        """[2, E+1]: weights and bias of {somebody else, the concept}, over normalised features."""
        assert self.strangers is not None, "prepare() has strangers drawn"
        s, own = self.tuning, global_features(self.vlm.encoder, [v for image in images for v in views_for_training(image)])
        others = self.strangers.features
        layer = torch.nn.Linear(own.shape[1], 2)
        with torch.no_grad():
            bound = own.shape[1] ** -0.5
            for p in layer.parameters():
                p.uniform_(-bound, bound, generator=generator)
        optimizer = torch.optim.AdamW(layer.parameters(), lr=s.head_rate, weight_decay=s.head_decay)
        half = s.head_batch // 2  # as many of the concept as of strangers
        truth = torch.tensor([1] * half + [0] * half)
        for step in range(s.head_steps):
            share = 0.5 * (1 + math.cos(math.pi * step / s.head_steps))
            optimizer.param_groups[0]["lr"] = s.head_floor + (s.head_rate - s.head_floor) * share
            mine = own[torch.randint(len(own), (half,), generator=generator)]
            theirs = others[torch.randint(len(others), (half,), generator=generator)]
            loss = F.cross_entropy(layer(torch.cat([mine, theirs])), truth)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(layer.parameters(), s.head_clip)
            optimizer.step()
        return torch.cat([layer.weight, layer.bias[:, None]], 1)

    # ---- answering

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[LearnedWithHead]) -> np.ndarray:
        if self.head == "face":
            every = [face for seen in concepts for face in seen.faces]
            near = self.faces.probability(self.faces.similarity(images, every))
            ends = np.cumsum([len(seen.faces) for seen in concepts])[:-1]
            return np.stack([part.max(1) for part in np.split(near, ends, axis=1)], 1)
        features = global_features(self.vlm.encoder, images).numpy()
        logits = np.stack([features @ (s.head[1] - s.head[0])[:-1] + (s.head[1] - s.head[0])[-1] for s in concepts], 1)
        return 1 / (1 + np.exp(-logits))

    def verify(self, asks: Sequence[Ask]) -> np.ndarray:
        """The head's answer about the concept that the question names, whatever its wording."""
        found = []
        for ask in asks:
            assert ask.image is not None
            named = next(s for s in ask.concepts if f"<{s.learned.concept.name}>" in ask.question)
            found.append(self.recognize([ask.image], [named])[0, 0])
        return np.array(found)

    def choose(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        return self.engine.choose([self._looked(ask) for ask in asks])

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        return self.engine.answer([self._looked(ask) for ask in asks])

    def _looked(self, ask: Ask) -> Ask:
        """A question with the vectors of those alone whom the heads see."""
        seen = np.zeros(len(ask.concepts))
        if ask.image is not None and ask.concepts:
            seen = self.recognize([ask.image], ask.concepts)[0]
        known = tuple(
            s.learned if p > 0.5 else replace(s.learned, description="") for s, p in zip(ask.concepts, seen, strict=True)
        )
        return replace(ask, concepts=known)


def face_head(vlm: Personal, threshold: float | None) -> Embedding:
    """What tells faces apart: codes of faces where the model reads them, as the paper's head does; else encoder features."""
    family: Any = vlm.backbone.family
    kind = FaceCodes if isinstance(family.image_processor, PhotoProcessor) else Embedding
    return kind(vlm, threshold=threshold)


def with_plain_name(name: str, lesson: Lesson) -> Lesson:
    """A lesson about `<n0>` as one about somebody of this name, in plain words."""
    plain = (text.replace(f"<{ME}>", name) for text in (lesson.question, lesson.answer))
    return Lesson(lesson.image, *plain)


def views_for_training(image: Image.Image) -> list[Image.Image]:
    """A reference as the linear head is trained on it: mirrored or not, upright and turned by up to 30 degrees."""
    both = (image, ImageOps.mirror(image))
    return [
        i.rotate(angle, Image.Resampling.BILINEAR, fillcolor=(255, 255, 255))
        for i in both
        for angle in (-30, -15, 0, 15, 30)
    ]
