"""One shard made whole: pictures, verdicts, questions, files. Idempotent: the same spec gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from plvm.synth.answers import Answers, build_answers
from plvm.synth.filters import Filters, Verdict, picture_hash
from plvm.synth.generator import REFERENCE, Failure, Generator, Sample, build_generator
from plvm.synth.judges import build_filters
from plvm.synth.questions import Person, ask_everything
from plvm.synth.spec import Identity, Shard, Spec
from plvm.synth.tables import (
    PICTURE_COLUMNS,
    QUESTION_COLUMNS,
    encode_png,
    write_pictures,
    write_table,
)

KEPT, REJECTED, PICTURES, QUESTIONS = ".tar", ".rejected.tar", ".pictures.parquet", ".questions.parquet"
PARTS = (KEPT, REJECTED, PICTURES, QUESTIONS)


def is_whole(folder: Path, shard: Shard) -> bool:
    """Whether a shard has been made: its questions are written last."""
    return (folder / f"{shard.name}{QUESTIONS}").exists()


class ShardMaker:
    """Makes shards of one spec into `folder`; parts are built from the spec where they are not given."""

    def __init__(
        self, spec: Spec, folder: Path, generator: Generator | None = None, filters: Filters | None = None,
        answers: Answers | None = None,
    ) -> None:  # fmt: skip
        self.spec, self.folder = spec, folder
        self.generator = generator if generator is not None else build_generator(spec)
        self.filters = filters if filters is not None else build_filters(spec)
        self.answers = answers if answers is not None else build_answers(spec)

    def make(self, shard: Shard) -> None:
        """Write the four files of a shard, the questions last. Raises PlvmError where they cannot be written."""
        rows: list[dict[str, Any]] = []
        pictures: dict[bool, list[tuple[str, bytes, Mapping[str, Any]]]] = {True: [], False: []}
        people = []
        for identity in shard.identities:
            samples, failures = self.generator.make(identity)
            rows += [_failure_row(identity, f) for f in failures]
            judged = self.judge(samples)
            kept = []
            for sample, verdict in judged:
                row = _row(identity, sample, verdict)
                rows.append(row)
                told = {k: row[k] for k in ("identity", "split", "name", "prompt", "text_score", "face_score")}
                pictures[verdict.kept].append(
                    (row["picture"], encode_png(sample.image), told | {"truth": sample.truth})
                )
                if verdict.kept and sample.name != REFERENCE:
                    kept.append(row["picture"])
            references = [sample for sample, verdict in judged if sample.name == REFERENCE and verdict.kept]
            if references:
                traits = references[0].truth.get("traits", {})
                said = self.answers.about(references[0].image) if self.answers is not None else {}
                people.append(Person(identity.key, tuple(kept), traits, said))
        base = self.folder / shard.name
        write_pictures(base.with_name(shard.name + KEPT), pictures[True])
        write_pictures(base.with_name(shard.name + REJECTED), pictures[False])
        write_table(base.with_name(shard.name + PICTURES), rows, PICTURE_COLUMNS)
        rng = random.Random(f"plvm-questions/{self.spec.seed}/{shard.name}")
        items = [item.row() for item in ask_everything(people, rng)]
        write_table(base.with_name(shard.name + QUESTIONS), items, QUESTION_COLUMNS)

    def judge(self, samples: Sequence[Sample]) -> list[tuple[Sample, Verdict]]:
        """Every sample of one identity with its verdict. Without a good reference all of them are refused."""
        references = [s for s in samples if s.name == REFERENCE]
        others = [s for s in samples if s.name != REFERENCE]
        if not references:
            return [(s, Verdict(refusals=(("no reference", "the identity has no reference"),))) for s in others]
        own, verdicts = self.filters.judge(references[0].image, [s.image for s in others], [s.prompt for s in others])
        return [(references[0], own), *zip(others, verdicts, strict=True)]


def pixel_digest(image: Image.Image) -> str:
    """SHA-256 of size and pixels."""
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()


def _row(identity: Identity, sample: Sample, verdict: Verdict) -> dict[str, Any]:
    width, height = sample.image.size
    return {
        "picture": f"{identity.key}-{sample.name}", "identity": identity.key, "split": identity.split,
        "name": sample.name, "prompt": sample.prompt, "kept": verdict.kept,
        "rejected_by": ", ".join(by for by, _ in verdict.refusals),
        "reason": "; ".join(why for _, why in verdict.refusals),
        "text_score": verdict.text, "face_score": verdict.face, "faces": verdict.faces, "nearest": verdict.nearest,
        "width": width, "height": height, "sha256": pixel_digest(sample.image), "hash": picture_hash(sample.image),
        "truth": json.dumps(sample.truth, sort_keys=True, ensure_ascii=False) if sample.truth else "",
    }  # fmt: skip


def _failure_row(identity: Identity, failure: Failure) -> dict[str, Any]:
    return {
        "picture": f"{identity.key}-{failure.name}", "identity": identity.key, "split": identity.split,
        "name": failure.name, "prompt": "", "kept": False, "rejected_by": "unreadable", "reason": failure.reason,
        "truth": "",
    }  # fmt: skip
