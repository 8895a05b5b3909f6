"""A frozen backbone that answers: pictures -> image prefixes, questions -> checked requests, requests -> answers.

The way of a question is straight: `requests` checks it and looks at its picture, `gather` lays it beside others, the
backbone computes, and the answer counts what was computed for it. `Personal` and `Chat` hold an engine; a server would too.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace

from PIL import Image

from plvm.engine.checks import checked_question, refuse_other_aligners, refuse_twins
from plvm.engine.decoding import Completion, Decoding, Writing
from plvm.engine.generate import generate, stream
from plvm.engine.prefix import ImagePrefix, PrefixCache, compute_prefixes, digest_of
from plvm.engine.request import Request, Session
from plvm.engine.score import BATCH, yes_probability
from plvm.engine.window import Said, window_of
from plvm.images import Source, open_image
from plvm.model.backbone import Backbone
from plvm.model.familiarity import Familiarity
from plvm.prompt.image_first import Prompt
from plvm.types import Answer, Concept, SamplingParams

Picture = Source | ImagePrefix | None  # None: no picture
LOOKED = 16  # so many pictures are looked at together in `recognize`


class Engine:
    """`fingerprint` names the Aligner whose concepts the backbone reads; `prefixes` keeps what was computed of pictures;
    `familiarity` says how unlike the training they are. `local`: the backbone computes here."""

    local = True

    def __init__(
        self, backbone: Backbone, prompt: Prompt, fingerprint: str, prefixes: PrefixCache | None = None,
        familiarity: Familiarity | None = None,
    ) -> None:  # fmt: skip
        self.backbone = backbone
        self.prompt = prompt
        self.fingerprint = fingerprint
        self.prefixes = prefixes if prefixes is not None else PrefixCache()
        self.familiarity = familiarity

    # ---- questions -> requests

    def check(self, concepts: Iterable[Concept]) -> None:
        """Raise AlignerMismatchError for a concept of another Aligner, DuplicateConceptError for a name given twice."""
        concepts = list(concepts)
        refuse_other_aligners(concepts, self.fingerprint)
        refuse_twins([c.name for c in concepts])

    def requests(
        self, questions: Sequence[tuple[Picture, str, Sequence[Concept]]],
        *, strict_names: bool, exact_names: bool = False, namespace: str,
    ) -> list[Request]:  # fmt: skip
        """(picture, question, concepts) each -> a request about it. All are checked before any picture is looked at.

        A name of the question's concepts stands for its concept also without `<` `>`, unless `exact_names`.
        Raises RequestError, ImageError, AlignerMismatchError, DuplicateConceptError and, with `strict_names`,
        UnknownConceptError for a `<name>` that is not among the question's concepts.
        """
        texts = []
        for _, question, concepts in questions:
            self.check(concepts)
            people = {c.name: c.display for c in concepts}
            texts.append(checked_question(question, people, strict_names=strict_names, exact_names=exact_names))
        states = self.look([image for image, _, _ in questions], namespace=namespace)
        return [
            Request(state, text, tuple(concepts))
            for state, text, (_, _, concepts) in zip(states, texts, questions, strict=True)
        ]

    def next_request(
        self, start: ImagePrefix, state: ImagePrefix | Session, question: str, joining: Sequence[Concept],
        said: Said, *, longest: int, strict_names: bool, exact_names: bool = False,
    ) -> Request:  # fmt: skip
        """The next question of a dialogue that began at `start`, stands at `state` and in which `said` was said; `joining`
        concepts join with it. Its window moves on where that leaves no room for an answer of `longest` tokens."""
        going_on = Request(state, question, tuple(joining))
        people = {c.name: c.display for c in going_on.everyone}
        text = checked_question(question, people, strict_names=strict_names, exact_names=exact_names)
        going_on = replace(going_on, question=text)
        window = window_of(self.backbone, self.prompt, longest)
        return window.request(self.backbone, self.prompt, start, going_on, said)

    # ---- pictures -> prefixes

    def look(self, images: Sequence[Picture], *, namespace: str | Sequence[str]) -> list[ImagePrefix]:
        """The image prefix of each picture; equal ones of a `namespace`, which is that of all or one for each, are computed once,
        and counted with the first. Raises ImageError."""
        owners = [namespace] * len(images) if isinstance(namespace, str) else namespace
        found: dict[int, ImagePrefix] = {}
        new: dict[tuple[str, str], tuple[Image.Image | None, list[int]]] = {}
        for i, (image, owner) in enumerate(zip(images, owners, strict=True)):
            if isinstance(image, ImagePrefix):
                found[i] = image
                continue
            picture = None if image is None else open_image(image)
            digest = digest_of(picture)
            known = self.prefixes.get(owner, digest)
            if known is not None:
                found[i] = known
            else:
                new.setdefault((owner, digest), (picture, []))[1].append(i)
        pictures = [picture for picture, _ in new.values()]
        computed = self.computed(pictures)
        for prefix, ((owner, _), (_, rows)) in zip(computed, new.items(), strict=True):
            settled = prefix.settled
            self.prefixes.put(owner, settled)
            found |= dict.fromkeys(rows, settled) | {rows[0]: prefix}
        return [found[i] for i in range(len(images))]

    def computed(self, pictures: Sequence[Image.Image | None]) -> Sequence[ImagePrefix]:
        """The image prefixes of pictures, computed anew."""
        return compute_prefixes(self.backbone, self.prompt, pictures, familiarity=self.familiarity)

    # ---- requests -> answers

    def decoding(self) -> Writing:
        """What writes answers side by side, nothing in it yet."""
        return Decoding(self.backbone, self.prompt)

    def answer(self, requests: Sequence[Request], params: SamplingParams | None, *, batch: int = 32) -> list[Answer]:
        """One answer per request, in order, `batch` at a time. Raises RequestError where a prompt is too long."""
        return generate(
            self.backbone, self.prompt, requests, params if params is not None else SamplingParams(), batch=batch
        )

    def stream(self, request: Request, params: SamplingParams | None) -> Generator[str, None, Completion]:
        """The answer in chunks as it is written; returns (`yield from`) the Completion. Raises RequestError where the prompt
        is too long."""
        return stream(self.backbone, self.prompt, request, params)

    def recognize(
        self, images: Sequence[Source | ImagePrefix], concepts: Sequence[Concept], question: str | None,
        *, namespace: str, batch: int = BATCH,
    ) -> list[list[float]]:  # fmt: skip
        """P(present) of every concept (columns) in every picture (rows); `{name}` in `question` stands for the concept."""
        self.check(concepts)
        found: list[list[float]] = []
        for start in range(0, len(images), LOOKED):  # the prefixes of all pictures at once need not fit into memory
            prefixes = self.look(images[start : start + LOOKED], namespace=namespace)
            found += yes_probability(self.backbone, self.prompt, prefixes, concepts, question, batch=batch).tolist()
        return found
