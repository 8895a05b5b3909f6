"""The object a user holds: a frozen vision-language model that learns a name from one picture.

`load` assembles it from a folder; `Personal` takes its parts. It owns nothing but a cache of image prefixes: concepts
are values that are passed in and out, and enrolling one changes no weight of anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from plvm.chat import Chat
from plvm.engine.checks import refuse_twins
from plvm.engine.engine import Engine, Picture
from plvm.engine.prefix import ImagePrefix, PrefixCache
from plvm.engine.score import BATCH
from plvm.errors import ImageError, RequestError
from plvm.families import shipped
from plvm.images import KeptImages, Source, open_image
from plvm.model.aligner import Aligner
from plvm.model.assembly import Parts, load_parts
from plvm.model.backbone import Backbone
from plvm.model.encoder import Box, Encoder, key_of
from plvm.model.familiarity import Familiarity
from plvm.model.recording import Replayed
from plvm.naming.display import word_and_display, words_for
from plvm.presence.calibration import Calibration, load_calibration
from plvm.presence.roll import Presence, call_roll, with_places
from plvm.presence.verdicts import YES
from plvm.prompt.image_first import Prompt
from plvm.types import Answer, Concept, ConceptTokens, SamplingParams, check_text
from plvm.vllm.remote_engine import RemoteEngine
from plvm.vllm.wire import Vllm

CAPTION = "Describe the picture."
CAPTION_TOKENS = 96


class Personal:
    """A backbone, an encoder and the Aligner between them.

    Pictures are anything `images.open_image` takes, or an `ImagePrefix` that `look` returned; None is no picture.
    `namespace` keeps cached pictures of different owners apart. `notes` are what its user has to know about the model;
    `familiarity` says how unlike the training a picture is (None: nobody can tell); `calibration` makes verdicts of evidence,
    and its `note` says so where it was never fitted. `engine` is what answers; None: the backbone, here.
    """

    def __init__(
        self,
        backbone: Backbone,
        encoder: Encoder,
        aligner: Aligner,
        prompt: Prompt,
        fingerprint: str,
        *,
        prefixes: PrefixCache | None = None,
        notes: Sequence[str] = (),
        familiarity: Familiarity | None = None,
        calibration: Calibration | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.backbone = backbone
        self.encoder = encoder
        self.aligner = aligner
        self.prompt = prompt
        self.fingerprint = fingerprint
        self.familiarity = familiarity
        self.engine = engine if engine is not None else Engine(backbone, prompt, fingerprint, prefixes, familiarity)
        self.notes = tuple(notes)
        self.calibration = calibration if calibration is not None else Calibration()
        self.rows = Replayed(aligner.tokens_from_features)  # z_ref [N, R, L, E] -> word, head, context

    # ---- enrolling

    def enroll(
        self, name: str, *references: Source, notes: str = "", face: int | None = None, box: Box | None = None,
        kind: str = "",
    ) -> Concept:  # fmt: skip
        """A concept from its reference images, one or more. `name` is any text of up to 60 characters: of "Anna Maria" the
        word `<anna-maria>` is made. Of a single reference `face` or `box` says what is meant, as for `cut_out`. A model
        that tells people from things takes the pictures for a `kind` ("person", "thing"), or decides. Raises ConceptNameError,
        ImageError, RequestError, and WhichFaceError where a reference shows several and none is clearly the largest."""
        if face is not None or box is not None:
            if len(references) != 1:
                raise RequestError("A face or a box is meant of one picture.", "Enrol from one picture, or cut them down first.")
            references = (self.cut_out(references[0], face=face, box=box),)
        try:
            return self.enroll_many({name: references}, notes={name: notes}, kind=kind)[0]
        except ImageError as error:
            if error.index is not None and len(references) > 1:
                error.message = f"Picture {error.index + 1}: {error.message}"
            raise

    def cut_out(self, reference: Source, *, face: int | None = None, box: Box | None = None) -> Image.Image:
        """The part of a reference that is meant: the face of that number (1 is the leftmost), or whoever is inside `box` (left,
        top, right, bottom, in pixels of the upright picture). It is what is kept. Raises ImageError, RequestError."""
        picture = open_image(reference)
        if (face is None) == (box is None):
            raise RequestError("Either a face or a box says what is meant.", "Give one of them.")
        if box is not None and not (0 <= box[0] < box[2] <= picture.width and 0 <= box[1] < box[3] <= picture.height):
            raise ImageError(
                f"The box {','.join(f'{x:g}' for x in box)} is not inside the picture, which has {picture.width} x "
                f"{picture.height} pixels.", "A box is left, top, right, bottom.",
            )  # fmt: skip
        found = self.encoder.subjects(picture)
        if box is not None:
            within = [f for f in found if box[0] <= (f[0] + f[2]) / 2 <= box[2] and box[1] <= (f[1] + f[3]) / 2 <= box[3]]
            alone = len(within) == 1 and within[0] != (0, 0, *picture.size)
            left, top, right, bottom = map(round, box)
            return self.encoder.cut_out(picture, within[0]) if alone else picture.crop((left, top, right, bottom))
        assert face is not None
        if not 1 <= face <= len(found):
            raise ImageError(f"There is no face {face}: {len(found)} were found.", "They count from 1, from left to right.")
        return self.encoder.cut_out(picture, found[face - 1])

    def enroll_many(
        self, references: Mapping[str, Sequence[Source]], *, notes: Mapping[str, str] | None = None, batch: int = 32,
        kind: str = "",
    ) -> list[Concept]:  # fmt: skip
        """Concepts from `{name: its reference images}`, in that order, the encoder run `batch` pictures at a time; all of
        them of a `kind`, as for `enroll`. Names of which the same word would be made get "-2", "-3" ... Raises ConceptNameError,
        DuplicateConceptError, ImageError, RequestError."""
        called = [word_and_display(name) for name in references]
        names = words_for(called, {})
        refuse_twins(names)
        pictures = [[open_image(r) for r in own] for own in references.values()]
        for name, own in zip(names, pictures, strict=True):
            if not own:
                raise ImageError(f"There is no reference image of <{name}>.", "Give at least one picture.")
        z_ref, glances = self._encoded(pictures, batch, [self.encoder.kind_of(own, kind) for own in pictures])
        tokens, unlike = self._tokens_of(z_ref, pictures), self._unlike(glances, pictures)
        strangers = [self.encoder.strangers(z) for z in z_ref.split([len(own) for own in pictures])]
        created = datetime.now(UTC).isoformat(timespec="seconds")
        remarks = [check_text("" if notes is None else notes.get(name, ""), "The notes") for name in references]
        return [
            Concept(name, t, self.fingerprint, KeptImages(own), remark, created, display, scores, strangers=odd)
            for name, (_, display), t, own, remark, scores, odd in zip(
                names, called, tokens, pictures, remarks, unlike, strangers, strict=True
            )
        ]

    def kind_of(self, concept: Concept) -> str:
        """What a concept was enrolled as: "person" or "thing"; "" where the model does not tell."""
        return self.backbone.family.kind_of(concept.tokens)

    def unusable(self, references: Sequence[Image.Image]) -> list[ImageError | None]:
        """Of RGB pictures of one concept, why each cannot be a reference; None where it can."""
        found: list[ImageError | None] = []
        kind = self.encoder.kind_of(references)
        for picture in references:
            try:
                self.encoder.pixels([picture], [kind])
                found.append(None)
            except ImageError as error:
                found.append(error)
        return found

    def tokens_of(self, references: Sequence[Sequence[Image.Image]], *, batch: int = 32) -> list[ConceptTokens]:
        """Concept tokens (float32, CPU) from the RGB reference images of each concept: the model's share of
        enrolling."""
        return self._tokens_of(self._encoded(references, batch, [self.encoder.kind_of(own) for own in references])[0], references)

    def _encoded(self, references: Sequence[Sequence[Image.Image]], batch: int, kinds: Sequence[str]) -> tuple[Tensor, Tensor]:
        """z_ref [N, L, E] and glances [N, F] of all pictures, one concept's, which are of one kind, after the other."""
        flat = [picture for own in references for picture in own]
        each = [kind for kind, own in zip(kinds, references, strict=True) for _ in own]
        if not flat:
            return torch.zeros(0), torch.zeros(0)
        found = []
        for start in range(0, len(flat), batch):
            try:
                pixels = self.encoder.pixels(flat[start : start + batch], each[start : start + batch])
            except ImageError as error:
                error.index = None if error.index is None else start + error.index
                raise
            found.append(self.encoder.features_and_glance(pixels))
        z_ref, glances = zip(*found, strict=True)
        return torch.cat(z_ref), torch.cat(glances)

    def _unlike(self, glances: Tensor, references: Sequence[Sequence[Image.Image]]) -> list[tuple[float, ...]]:
        """How unlike the training each concept's pictures are; () where nobody can tell."""
        if self.familiarity is None or not len(glances):
            return [()] * len(references)
        scores = iter(self.familiarity.references.scores(glances))
        return [tuple(islice(scores, len(own))) for own in references]

    def _tokens_of(self, z_ref: Tensor, references: Sequence[Sequence[Image.Image]]) -> list[ConceptTokens]:
        """z_ref [N, L, E] of all pictures -> the tokens of each concept."""
        starts = [sum(len(own) for own in references[:i]) for i in range(len(references))]
        found: dict[int, ConceptTokens] = {}
        for count in sorted({len(own) for own in references}):
            alike = [i for i, own in enumerate(references) if len(own) == count]
            z = torch.stack([z_ref[starts[i] : starts[i] + count] for i in alike])
            found |= zip(alike, self._tokens(z), strict=True)
        return [found[i] for i in range(len(references))]

    def _tokens(self, z_ref: Tensor) -> list[ConceptTokens]:
        """z_ref [N, R, L, E] -> the concept tokens of N concepts."""
        weight = next(self.aligner.parameters())
        with torch.inference_mode():
            rows = self.rows(z_ref.to(weight))
        whole = z_ref if self.aligner.config.global_token else z_ref.mean(2, keepdim=True)
        keys = [key_of(z) for z in whole]
        word, head, context, key = (t.float().cpu() for t in (*rows, torch.stack(keys)))
        return [ConceptTokens(*(t.clone() for t in own)) for own in zip(word, head, context, key, strict=True)]

    # ---- asking

    def ask(
        self,
        image: Picture,
        question: str,
        concepts: Iterable[Concept] = (),
        params: SamplingParams | None = None,
        *,
        strict_names: bool = True,
        exact_names: bool = False,
        namespace: str = "default",
    ) -> Answer:
        """The answer to one question about `image`, with `concepts` known by name.

        Their names, and display names, stand for them in the question with `<` `>` or without; with `exact_names` only with.
        Raises RequestError, ImageError, AlignerMismatchError, and UnknownConceptError where the question has a `<name>`
        that is not among `concepts` (with `strict_names` off it stays plain text).
        """
        asked = [(image, question, tuple(concepts))]
        return self.ask_many(asked, params, strict_names=strict_names, exact_names=exact_names, namespace=namespace)[0]

    def ask_many(
        self,
        questions: Sequence[tuple[Picture, str, Sequence[Concept]]],
        params: SamplingParams | None = None,
        *,
        strict_names: bool = True,
        exact_names: bool = False,
        namespace: str = "default",
        batch: int = 32,
    ) -> list[Answer]:
        """The answers to many (image, question, concepts), each with its own concepts, `batch` computed side by side.

        Raises RequestError, ImageError, AlignerMismatchError, DuplicateConceptError and, with `strict_names`,
        UnknownConceptError."""
        requests = self.engine.requests(questions, strict_names=strict_names, exact_names=exact_names, namespace=namespace)
        return self.engine.answer(requests, params, batch=batch)

    def stream(
        self,
        image: Picture,
        question: str,
        concepts: Iterable[Concept] = (),
        params: SamplingParams | None = None,
        *,
        strict_names: bool = True,
        exact_names: bool = False,
        namespace: str = "default",
    ) -> Iterator[str]:
        """The answer to one question in chunks, as it is written.

        Raises RequestError, ImageError, AlignerMismatchError, DuplicateConceptError and, with `strict_names`,
        UnknownConceptError: at once, before the first chunk."""
        asked = [(image, question, tuple(concepts))]
        (request,) = self.engine.requests(asked, strict_names=strict_names, exact_names=exact_names, namespace=namespace)
        return self.engine.stream(request, params)

    def chat(
        self,
        image: Picture = None,
        concepts: Iterable[Concept] = (),
        *,
        strict_names: bool = True,
        exact_names: bool = False,
        namespace: str = "default",
    ) -> Chat:
        """A dialogue about `image`. Raises ImageError, AlignerMismatchError, DuplicateConceptError."""
        return Chat(self.engine, image, concepts, strict_names=strict_names, exact_names=exact_names, namespace=namespace)

    def recognize(
        self,
        images: Sequence[Source | ImagePrefix],
        concepts: Sequence[Concept],
        *,
        question: str | None = None,
        namespace: str = "default",
        batch: int = BATCH,
    ) -> list[list[float]]:
        """P(present) of every concept (columns) in every picture (rows); `{name}` in `question` stands for the
        concept. Raises ImageError, AlignerMismatchError, DuplicateConceptError."""
        return self.engine.recognize(images, concepts, question, namespace=namespace, batch=batch)

    def verdicts(
        self,
        images: Sequence[Source | ImagePrefix],
        concepts: Sequence[Concept],
        *,
        chances: Sequence[Sequence[float]] | None = None,
        namespace: str = "default",
    ) -> list[list[Presence]]:
        """Yes, no or unsure about every concept (columns) in every picture (rows), without places. `chances` is what
        `recognize` gave for them, where that is known. Raises ImageError, AlignerMismatchError, DuplicateConceptError."""
        rows = [None] * len(images) if chances is None else chances
        looked = (self.look(image, namespace=namespace) for image in images)
        return [
            call_roll(self.engine, self.calibration, picture, concepts, namespace=namespace, chances=row)
            for picture, row in zip(looked, rows, strict=True)
        ]

    def who(self, image: Source | ImagePrefix, concepts: Sequence[Concept], *, namespace: str = "default") -> list[Presence]:
        """Everyone of `concepts` who is in `image`: surest first, then the unsure ones. `place` is what the model says of where
        each one is. Raises ImageError, AlignerMismatchError, DuplicateConceptError."""
        return self._who([self.look(image, namespace=namespace)], concepts, namespace)[0]

    def _who(self, pictures: Sequence[ImagePrefix], concepts: Sequence[Concept], namespace: str) -> list[list[Presence]]:
        found = self.verdicts(pictures, concepts, namespace=namespace)
        return with_places(self.engine, pictures, concepts, found, namespace=namespace)

    def describe(
        self, image: Source | ImagePrefix, concepts: Sequence[Concept] = (), *, namespace: str = "default"
    ) -> tuple[Answer, list[Presence]]:
        """(the model's caption of `image`, who of `concepts` is there as `who` has it). Those who are surely there are in the
        prompt, so that the caption can name them. Raises ImageError, AlignerMismatchError, DuplicateConceptError."""
        return self.describe_many([image], concepts, namespace=namespace)[0]

    def describe_many(
        self, images: Sequence[Source | ImagePrefix], concepts: Sequence[Concept] = (), *, namespace: str = "default"
    ) -> list[tuple[Answer, list[Presence]]]:
        """`describe` of several pictures, whose answers are written side by side, which takes less time than one after the other.
        Raises ImageError, AlignerMismatchError, DuplicateConceptError."""
        pictures = [picture.settled for picture in self.engine.look(images, namespace=namespace)]
        found = self._who(pictures, concepts, namespace)
        there = [{p.name for p in own if p.verdict == YES} for own in found]
        asked = [(image, CAPTION, [c for c in concepts if c.name in own]) for image, own in zip(pictures, there, strict=True)]
        answers = self.ask_many(asked, SamplingParams(max_tokens=CAPTION_TOKENS), namespace=namespace)
        return list(zip(answers, found, strict=True))

    def look(self, image: Picture, *, namespace: str = "default") -> ImagePrefix:
        """The image prefix of a picture: it can stand wherever a picture can, and nothing of it is computed again. Raises
        ImageError."""
        return self.engine.look([image], namespace=namespace)[0].settled


def load(
    name_or_folder: str | Path = "mini",
    device: str | None = None,
    dtype: str | None = None,
    *,
    bits: int | None = None,
    device_map: str | Mapping[str, Any] | None = None,
    offline: bool = False,
    vllm: Vllm | None = None,
) -> Personal:
    """A personal model: "mini" or "photo" (shipped in the package), the folder of a trained Aligner, its Hub id, or a preset.

    `device` is where to compute ("cpu", "cuda", "mps"; None: the best that is here), `dtype` the number format ("float32",
    "bfloat16", "float16"; None: what the device computes best), `bits` 4 or 8 to quantise the backbone; `device_map`
    spreads it over several devices. With `offline` nothing is downloaded. A preset has an untrained Aligner, and `notes`
    say so. With `vllm` the backbone is not loaded: that server runs it, and names are spelled. Raises CheckpointError,
    RequestError, EngineError.
    """
    place = shipped(name_or_folder) or name_or_folder
    if vllm is not None:
        return _behind(vllm, load_parts(place, device, dtype, offline=offline, words_only=True))
    parts = load_parts(place, device, dtype, bits=bits, device_map=device_map, offline=offline)
    return Personal(
        parts.backbone, parts.encoder, parts.aligner, parts.prompt, parts.fingerprint, notes=parts.notes,
        familiarity=parts.familiarity,
        calibration=load_calibration(parts.folder, parts.fingerprint),
    )  # fmt: skip


def _behind(vllm: Vllm, parts: Parts) -> Personal:
    """What a vLLM server runs the backbone of. Nobody knows here how a picture looks to it, so nothing is said of how unlike the
    training it is, and verdicts follow from P(Yes) alone."""
    engine = RemoteEngine(parts.backbone, parts.prompt, parts.fingerprint, vllm)
    return Personal(
        parts.backbone, parts.encoder, parts.aligner, parts.prompt, parts.fingerprint, notes=parts.notes,
        familiarity=parts.familiarity, engine=engine,
    )  # fmt: skip
