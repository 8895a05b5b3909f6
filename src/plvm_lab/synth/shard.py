"""One shard made whole: pictures, verdicts, questions, files. Idempotent: the same spec gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from plvm.data.shards import KEPT, PICTURES, QUESTIONS, REFERENCE, REJECTED, encode_png, write_pictures
from plvm.data.spec import Identity, Shard, Spec, check_inputs
from plvm.data.tables import PICTURE_COLUMNS, QUESTION_COLUMNS, write_table
from plvm_lab.synth.backbone_answers import BackboneAnswers, build_answers
from plvm_lab.synth.build_generator import build_generator
from plvm_lab.synth.filters import Filters, Verdict, picture_hash
from plvm_lab.synth.generator import Failure, Generator, Sample
from plvm_lab.synth.picture_readers import build_filters
from plvm_lab.synth.qa import Person, Picture, ask_everything

IN_TAR = ("identity", "people", "split", "name", "prompt", "text_score", "face_score")  # beside a picture in its tar


def is_whole(folder: Path, shard: Shard) -> bool:
    """Whether a shard has been made: its questions are written last."""
    return (folder / f"{shard.name}{QUESTIONS}").exists()


@dataclass(frozen=True)
class Job:
    """What a worker is told before it makes its first shard; `generator` is None where the spec names it."""

    spec: Spec
    folder: Path
    generator: Generator | None = None

    def maker(self) -> ShardMaker:
        """What makes the shards. Raises RequestError where models, packages or inputs are missing."""
        return ShardMaker(self.spec, self.folder, self.generator)


class ShardMaker:
    """Makes shards of one spec into `folder`; parts are built from the spec where they are not given. Raises RequestError
    where the generator's inputs are no longer those of the spec."""

    def __init__(
        self, spec: Spec, folder: Path, generator: Generator | None = None, filters: Filters | None = None,
        answers: BackboneAnswers | None = None,
    ) -> None:  # fmt: skip
        self.spec, self.folder = spec, folder
        self.generator = generator if generator is not None else build_generator(spec)
        check_inputs(spec, self.generator.inputs(), folder)
        self.filters = filters if filters is not None or not spec.filters else build_filters(spec)
        self.answers = answers if answers is not None else build_answers(spec)

    def make(self, shard: Shard) -> None:
        """Write the four files of a shard, the questions last. Raises PlvmError where they cannot be written."""
        rows: list[dict[str, Any]] = []
        pictures: dict[bool, list[tuple[str, bytes, Mapping[str, Any]]]] = {True: [], False: []}
        people, shown = [], []
        for identity in shard.identities:
            samples, failures = self.generator.make(identity)
            rows += [_failure_row(identity, f) for f in failures]
            for sample, verdict in self.judge(samples):
                row = _row(identity, sample, verdict)
                rows.append(row)
                facts = {k: row[k] for k in IN_TAR}
                pictures[verdict.kept].append(
                    (row["picture"], encode_png(sample.image), facts | {"truth": sample.truth})
                )
                if verdict.kept and sample.name == REFERENCE:
                    people.append(self._person(sample))
                elif verdict.kept:
                    shown.append(Picture(row["picture"], sample.people))
        base = self.folder / shard.name
        write_pictures(base.with_name(shard.name + KEPT), pictures[True])
        write_pictures(base.with_name(shard.name + REJECTED), pictures[False])
        write_table(base.with_name(shard.name + PICTURES), rows, PICTURE_COLUMNS)
        rng = random.Random(f"plvm-questions/{self.spec.seed}/{shard.name}")
        items = [item.row() for item in ask_everything(people, shown, rng)]
        write_table(base.with_name(shard.name + QUESTIONS), items, QUESTION_COLUMNS)

    def _person(self, reference: Sample) -> Person:
        """What is known, and what the backbone says, of the person of a reference."""
        known = reference.truth.get("people")
        said = self.answers.about(reference.image) if self.answers is not None else {}
        return Person(reference.people[0], known[0]["traits"] if known else {}, said)

    def judge(self, samples: Sequence[Sample]) -> list[tuple[Sample, Verdict]]:
        """Every sample of one identity with its verdict. Without a reference all of them are refused; without filters all
        others are kept."""
        references = [s for s in samples if s.name == REFERENCE]
        others = [s for s in samples if s.name != REFERENCE]
        if not references:
            return [(s, Verdict(refusals=(("no reference", "the identity has no reference"),))) for s in others]
        if self.filters is None:
            return [(s, Verdict()) for s in samples]
        own, verdicts = self.filters.judge(references[0].image, [s.image for s in others], [s.prompt for s in others])
        return [(references[0], own), *zip(others, verdicts, strict=True)]


def pixel_digest(image: Image.Image) -> str:
    """SHA-256 of size and pixels."""
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()


def _row(identity: Identity, sample: Sample, verdict: Verdict) -> dict[str, Any]:
    width, height = sample.image.size
    owner = sample.people[0] if sample.name == REFERENCE else identity.key
    return {
        "picture": f"{owner}-{sample.name}", "identity": owner, "people": list(sample.people), "split": identity.split,
        "name": sample.name, "prompt": sample.prompt, "kept": verdict.kept,
        "rejected_by": ", ".join(by for by, _ in verdict.refusals),
        "reason": "; ".join(why for _, why in verdict.refusals),
        "text_score": verdict.text, "face_score": verdict.face, "faces": verdict.faces, "nearest": verdict.nearest,
        "width": width, "height": height, "sha256": pixel_digest(sample.image), "hash": picture_hash(sample.image),
        "truth": json.dumps(sample.truth, sort_keys=True, ensure_ascii=False) if sample.truth else "",
    }  # fmt: skip


def _failure_row(identity: Identity, failure: Failure) -> dict[str, Any]:
    return {
        "picture": f"{identity.key}-{failure.name}", "identity": identity.key, "people": [identity.key],
        "split": identity.split, "name": failure.name, "prompt": "", "kept": False, "rejected_by": "unreadable",
        "reason": failure.reason, "truth": "",
    }  # fmt: skip
