"""Yo'LLaVA (arXiv 2406.09400): K+1 input rows and K+1 head rows learned per concept by gradient, the backbone frozen.

Data per concept: Yes on its own pictures, No on the strangers that look most like it and on others, and questions about
its looks without a picture, answered by the frozen backbone itself. Plain cross-entropy on the answers (with their end
token), AdamW, no schedule, pictures flipped half of the time. After each epoch beyond `best_after` the concept is asked
about on its own training pictures; the rows with the best mean of Yes and No are kept, later ones where equal.

The backbone is never resized: rows are a `ConceptVocabulary` of K+1 words in training. The head rows of the K context
tokens take part in the softmax there, as in the published code; no answer ever says them, so answering leaves them out.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

from plvm.engine.prefix import digest_of
from plvm.engine.request import Request
from plvm.engine.score import yes_of
from plvm.personal import Personal
from plvm.prompt.image_first import Prompt
from plvm.prompt.vocabulary import ConceptVocabulary
from plvm.train.loss import answer_logits, answer_loss
from plvm.types import Concept, ConceptTokens
from plvm_lab.evaluate.suite import Pictures
from plvm_lab.systems.plain_names import with_prompt
from plvm_lab.systems.plvm import Learned, Plvm
from plvm_lab.systems.tuning import (
    SPACE,
    Lesson,
    Strangers,
    attribute_lessons,
    cached_on_disk,
    lesson_rows,
    recognition_lessons,
    strangers_of,
)

ME = "n0"  # in lessons: the rows do not depend on how a concept is called


@dataclass(frozen=True)
class Tuning:
    """Everything that decides how a concept is learned; the defaults are the published ones. `positive`, `hard`,
    `others` and `looks` count the lessons of an epoch; `batch` lessons make a step."""

    context_tokens: int = 16
    epochs: int = 15
    batch: int = 1
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-2
    positive: int = 67
    hard: int = 115
    others: int = 99
    looks: int = 40
    flip: float = 0.5
    best_after: int = 4
    seed: int = 0


MINI = Tuning(epochs=12, batch=8, learning_rate=5e-2, positive=32, hard=24, others=16, looks=24, best_after=6)
SMALL_WIDTH = 1024  # backbones below it are tuned with the settings for mini


class YoLlava(Plvm):
    """`tuning`: None chooses by the backbone's size. `references`: from how many pictures it learns. `strangers`: None
    has them drawn. `keep`: a folder for what was learned, so that a run that stopped learns nothing twice."""

    name = "yollava"

    def __init__(
        self,
        vlm: Personal,
        *,
        references: int = 1,
        tuning: Tuning | None = None,
        strangers: Strangers | None = None,
        keep: Path | None = None,
        **changes: Any,
    ) -> None:
        super().__init__(with_prompt(vlm, Prompt))
        small = vlm.backbone.width < SMALL_WIDTH
        self.tuning = replace(tuning if tuning is not None else MINI if small else Tuning(), **changes)
        self.references, self.strangers, self.keep = references, strangers, keep

    @property
    def fingerprint(self) -> str:
        settings = hashlib.sha256(repr(sorted(asdict(self.tuning).items())).encode()).hexdigest()[:12]
        return f"yollava-{super().fingerprint}-{self.references}-{settings}"

    @property
    def facts(self) -> dict[str, Any]:
        facts = {k: v for k, v in super().facts.items() if k not in ("architecture", "aligner")}
        return facts | {"references": self.references, "tuning": asdict(self.tuning)}

    def prepare(self, album: Pictures) -> None:
        if self.strangers is None:
            count = self.tuning.hard + self.tuning.others
            self.strangers = strangers_of(album, self.vlm.encoder, count, self.tuning.others)

    def learn(self, name: str, *images: Image.Image) -> Learned:
        key = hashlib.sha256("/".join([self.fingerprint, *map(digest_of, images)]).encode()).hexdigest()[:24]
        rows, seconds = cached_on_disk(self.keep, key, lambda: self.tune(images))
        return Learned(Concept(name, tokens_of(rows["rows"], rows["head"]), self.vlm.fingerprint), seconds=seconds)

    def tune(self, images: Sequence[Image.Image]) -> dict[str, Tensor]:
        """rows, head [K+1, D]: the best rows of a concept shown in `images`."""
        s, generator = self.tuning, torch.Generator().manual_seed(self.tuning.seed)
        rows = torch.nn.Parameter(self._start(self.vlm.backbone.word_rows, generator))
        head = torch.nn.Parameter(self._start(self.vlm.backbone.head_rows, generator))
        optimizer = torch.optim.AdamW([rows, head], lr=s.learning_rate, betas=s.betas, weight_decay=s.weight_decay)
        rng = random.Random(f"yollava/{s.seed}")
        near, far, lessons = self.lessons(images, rng)
        best, kept = -1.0, {"rows": rows.detach().clone(), "head": head.detach().clone()}
        for epoch in range(1, s.epochs + 1):
            rng.shuffle(lessons)
            for i in range(0, len(lessons), s.batch):
                loss = self.loss([self._flipped(x, rng) for x in lessons[i : i + s.batch]], rows, head)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            if epoch > s.best_after or epoch == s.epochs:
                score = self.score(images, [*near, *far], tokens_of(rows, head))
                if score >= best:
                    best, kept = score, {"rows": rows.detach().clone(), "head": head.detach().clone()}
        return kept

    def lessons(
        self, images: Sequence[Image.Image], rng: random.Random
    ) -> tuple[list[Image.Image], list[Image.Image], list[Lesson]]:
        """(strangers who look alike, other ones, the lessons of an epoch)."""
        assert self.strangers is not None, "prepare() has strangers drawn"
        s = self.tuning
        near = self.strangers.nearest(images, s.hard)
        rest = [p for p in self.strangers.pictures if not any(p is q for q in near)]
        far = rng.sample(rest, min(s.others, len(rest)))
        lessons = recognition_lessons(ME, images, True, s.positive, rng)
        lessons += recognition_lessons(ME, near, False, s.hard, rng) + recognition_lessons(
            ME, far, False, s.others, rng
        )
        return near, far, lessons + attribute_lessons(self.vlm, ME, images[0], s.looks, rng)

    def loss(self, lessons: Sequence[Lesson], rows: Tensor, head: Tensor) -> Tensor:
        """Mean cross-entropy on the answers; rows, head [K+1, D]."""
        backbone, count, width = self.vlm.backbone, len(rows), rows.shape[1]
        base = backbone.vocabulary_size
        one, none = torch.zeros(1, 1, width), torch.zeros(1, count, 0, width, device=rows.device)
        ids = ConceptVocabulary(base, one, one, torch.zeros(1, 1, count - 1, width), torch.ones(1, 1, dtype=torch.bool))
        packed = lesson_rows(self.vlm, ME, lessons, ids)
        n = len(lessons)
        vocabulary = ConceptVocabulary(
            base, rows.expand(n, -1, -1), head.expand(n, -1, -1), none.expand(n, -1, -1, -1),
            torch.ones(n, count, dtype=torch.bool, device=rows.device),
        )  # fmt: skip
        hidden, _ = backbone.hidden(packed.embedded(self.vlm, vocabulary), packed.past, packed.positions, packed.mask)
        logits = answer_logits(vocabulary, hidden, packed.supervise, backbone.head_rows)
        return answer_loss(logits, packed.ids, packed.supervise, 1.0)

    def score(self, own: Sequence[Image.Image], others: Sequence[Image.Image], tokens: ConceptTokens) -> float:
        """The mean of the shares of Yes on its own pictures and of No on others', in the protocol's wording."""
        concept = Concept(ME, tokens, "")
        question = self.vlm.prompt.template.recognize.replace("{name}", f"<{ME}>")
        states = self.vlm.engine.look([*own, *others], namespace=SPACE)
        yes = yes_of(self.vlm.backbone, self.vlm.prompt, [Request(p, question, (concept,)) for p in states]) > 0.5
        return (float(yes[: len(own)].float().mean()) + 1 - float(yes[len(own) :].float().mean())) / 2

    def _start(self, frozen: Tensor, generator: torch.Generator) -> Tensor:
        """float32[K+1, D]: new rows drawn like the frozen ones, with their mean and spread per dimension."""
        table = frozen.float()
        noise = torch.randn(self.tuning.context_tokens + 1, table.shape[1], generator=generator).to(table)
        return table.mean(0) + table.std(0) * noise

    def _flipped(self, lesson: Lesson, rng: random.Random) -> Lesson:
        if lesson.image is None or rng.random() >= self.tuning.flip:
            return lesson
        return replace(lesson, image=ImageOps.mirror(lesson.image))


def tokens_of(rows: Tensor, head: Tensor) -> ConceptTokens:
    """Learned rows as concept tokens: the first of each is the name's."""
    return ConceptTokens(rows[0].detach(), head[0].detach(), rows[1:].detach(), torch.zeros(0))
