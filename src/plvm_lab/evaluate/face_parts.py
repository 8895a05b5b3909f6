"""The parts of the benchmark of faces that only it has: pictures made worse, where, how many, and many people enrolled."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from plvm.model.photo.face_places import PLACES
from plvm_lab.evaluate.figures import Record, Records, recognition_figures, unparsable
from plvm_lab.evaluate.harness import Harness, ask_pairs, batches, verdict
from plvm_lab.evaluate.metrics import Counts, accuracy, figure
from plvm_lab.evaluate.system import Ask, CallsTheRoll

ABSENT = "absent"
WHERE, HOW_MANY = "Where is <{x}> in this photo?", "How many people are in this photo?"
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
_ABSENT = re.compile(r"\b(not in|isn't in|nowhere|do not see|don't see)\b", re.IGNORECASE)


def place_said(text: str) -> str | None:
    """The place that an answer names, "absent" where it says that somebody is not there; None: neither."""
    said = [place for place in PLACES if re.search(rf"\b{place}\b", text, re.IGNORECASE)]
    if said:
        return max(said, key=len)
    return ABSENT if _ABSENT.search(text) else None


def number_said(text: str) -> int | None:
    """The first number of an answer, in digits or words; None where there is none."""
    found = re.search(rf"\b(\d+|nobody|{'|'.join(_NUMBERS)})\b", text, re.IGNORECASE)
    if found is None:
        return None
    word = found[1].lower()
    return int(word) if word.isdigit() else 0 if word == "nobody" else _NUMBERS.index(word)


# ---------------------------------------------------------------- asking


def ask_conditions(harness: Harness) -> Iterator[Record]:
    """Recognition on every kind of picture that was made."""
    return ask_pairs(harness, ((pair, {"kind": kind}) for kind, pair in harness.benchmark.pairs_by_kind))


def ask_where(harness: Harness) -> Iterator[Record]:
    """Where somebody or something is; some are not there."""
    bench = harness.benchmark
    for chunk in batches(bench.asked_where, 32):
        names = [bench.name_of(item.key) for item in chunk]
        asks = [
            Ask(harness.image(item.picture), WHERE.format(x=name), harness.concepts((item.key,)))
            for item, name in zip(chunk, names, strict=True)
        ]
        for item, name, text in zip(chunk, names, harness.system.answer(asks), strict=True):
            said, scene, truth = place_said(text), bench.scenes[item.picture], item.place or ABSENT
            yield {
                "id": f"where/{item.key}/{item.picture}", "about": name, "picture": item.picture, "people": len(scene.who),
                "kind": scene.kind, "truth": truth, "text": text, "answer": said, "right": said == truth,
            }  # fmt: skip


def ask_how_many(harness: Harness) -> Iterator[Record]:
    """How many people are in a row."""
    bench = harness.benchmark
    rng = bench.stream("how many")
    rows = sorted(rng.sample(bench.rows(), min(bench.size.how_many, len(bench.rows()))))
    for chunk in batches(rows, 32):
        for picture, text in zip(chunk, harness.system.answer([Ask(harness.image(p), HOW_MANY) for p in chunk]), strict=True):
            who, said = bench.scenes[picture].who, number_said(text)
            about = next(n for n in who if n is not None)
            yield {
                "id": f"how_many/{picture}", "about": about, "picture": picture, "truth": len(who), "text": text, "answer": said,
                "right": said == len(who),
            }  # fmt: skip


def crowd_pictures(bench: Any) -> list[int]:
    """Rows of as many known people as there are."""
    rows = bench.rows(strangers=False)
    most = max(len(bench.scenes[p].who) for p in rows)
    return [p for p in rows if len(bench.scenes[p].who) == most][: bench.size.crowd]


def ask_crowd(harness: Harness) -> Iterator[Record]:
    """Who of a hundred who are enrolled is in rows of people: as the system calls a roll, or else whom it recognises."""
    bench = harness.benchmark
    names = (*bench.names, *bench.others)
    people = harness.concepts(names)
    for picture in crowd_pictures(bench):
        image, who = harness.album.query(picture), bench.scenes[picture].who
        if isinstance(harness.system, CallsTheRoll):
            found = harness.system.call_roll(image, people)
        else:
            found = [(p > 0.5, p) for p in harness.system.recognize([image], people)[0].tolist()]
        for name, (named, p) in zip(names, found, strict=True):
            yield verdict(f"crowd/{name}/{picture}", name, picture, name in who, math.nan if p is None else p, named=named)


def crowd_count(bench: Any) -> int:
    """How many questions `ask_crowd` asks."""
    return len(crowd_pictures(bench)) * (len(bench.names) + len(bench.others))


# ---------------------------------------------------------------- figures


def condition_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """Recognition by kind of picture."""
    kinds = dict.fromkeys(r["kind"] for r in records)
    found = {kind: recognition_figures([r for r in records if r["kind"] == kind], {}) for kind in kinds}
    kept = ("positive", "negative", "mean", "auc")
    return {kind: {k: f[k] for k in kept} for kind, f in found.items()} | {"unparsable": unparsable(records)}


def where_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """The share of places that are right, of all who are there, by how many are and by kind of picture; and of those who are not
    there, said to be absent."""
    there = [r for r in records if r["truth"] != ABSENT]
    by_people = {str(n): _right([r for r in there if r["people"] == n]) for n in sorted({r["people"] for r in there})}
    by_kind = {kind: _right([r for r in there if r["kind"] == kind]) for kind in dict.fromkeys(r["kind"] for r in there)}
    absent = _right([r for r in records if r["truth"] == ABSENT])
    return {
        "there": _right(there), "by_people": by_people, "by_kind": by_kind, "absent": absent, "unparsable": unparsable(records),
    }  # fmt: skip


def how_many_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """The share of numbers that are right, of all and by the true number."""
    by_number = {str(n): _right([r for r in records if r["truth"] == n]) for n in sorted({r["truth"] for r in records})}
    return {"accuracy": _right(records), "by_number": by_number, "unparsable": unparsable(records)}


def crowd_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """The share of those who are there that is found, and how many names a picture gets that are wrong; how many are enrolled."""
    there = [r for r in records if r["truth"] == "Yes"]
    away = Counts.of([not r["right"] for r in records if r["truth"] == "No"], [r["about"] for r in records if r["truth"] == "No"])
    pictures, asked = len({r["picture"] for r in records}), sum(away.asked.values())
    each = asked / pictures if pictures else math.nan
    false = figure(away.share * each, away.samples(sorted(away.asked)) * each, asked)
    enrolled = len(np.unique([r["about"] for r in records]))
    return {"found": _right(there), "false_names": false, "enrolled": enrolled, "unparsable": unparsable(records)}


def _right(records: Sequence[Record]) -> dict[str, Any]:
    return accuracy([r["right"] for r in records], [r["about"] for r in records])
