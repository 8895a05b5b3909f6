"""Questions with more than one answer at stake: look-alikes, several concepts in one prompt, WHO, dialogues, new
wordings of the recognition question. All a pure function of the benchmark."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from plvm.data.wordings import PROTOCOL
from plvm_lab.evaluate.benchmark_scenes import CHANGES, BenchmarkScenes
from plvm_lab.evaluate.items import Caption, Choice, Line, Pair, Script, Who
from plvm_lab.evaluate.multiple_choice import slots_of
from plvm_lab.portraits.phrases import capital
from plvm_lab.portraits.question_kind import Question
from plvm_lab.portraits.questions import Asker
from plvm_lab.portraits.sentences import HELD_OUT, UNKNOWN


def _ask(name: str, wording: str = PROTOCOL) -> str:
    return wording.format(x=f"<{name}>")


def lookalike_pairs(bench: BenchmarkScenes) -> tuple[Pair, ...]:
    """For every picture of every identity: the identity (Yes) and its look-alikes, who are in no picture (No)."""
    pairs = []
    for picture in range(len(bench.pictures)):
        for name in bench.shown(picture):
            for key in (name, *(f"{name}~{k}" for k in CHANGES)):
                pairs.append(Pair(f"lookalike/{key}/{picture:03}", name, picture, (key,), _ask(name), key == name))
    return tuple(pairs)


def reworded_pairs(bench: BenchmarkScenes) -> tuple[tuple[Pair, Pair], ...]:
    """(in the protocol's wording, in a held-out one): every positive pair and two negatives beside each, same
    pictures."""
    rng, wordings, pairs = bench.rng("reworded"), HELD_OUT["recognize"], list[tuple[Pair, Pair]]()
    for picture in range(len(bench.pictures)):
        shown, absent = bench.shown(picture), bench.absent(picture)
        for name in (*shown, *rng.sample(absent, min(2 * len(shown), len(absent)))):
            wording = wordings[len(pairs) % len(wordings)]
            pair = Pair(f"reworded/{name}/{picture:03}", name, picture, (name,), _ask(name), name in shown)
            pairs.append((pair, replace(pair, question=_ask(name, wording))))
    return tuple(pairs)


def _others(bench: BenchmarkScenes, picture: int, taken: Sequence[str], count: int, rng: random.Random) -> list[str]:
    """`count` further names for a prompt: each one in the picture with probability 1/2, where somebody is left."""
    chosen: list[str] = []
    while len(chosen) < count:
        here = [n for n in bench.shown(picture) if n not in taken and n not in chosen]
        away = [n for n in bench.absent(picture) if n not in taken and n not in chosen]
        chosen.append(rng.choice(here if here and (rng.random() < 0.5 or not away) else away))
    return chosen


def pairs_among(bench: BenchmarkScenes, purpose: str, concepts: int, amount: int) -> tuple[Pair, ...]:
    """`amount` recognition questions with `concepts` in the prompt: half Yes, half No, the target at any place.
    `purpose` names the stream of random numbers."""
    rng = bench.rng(purpose)
    shown = [(n, p) for p in range(len(bench.pictures)) for n in bench.shown(p)]
    pairs: list[Pair] = []
    for i in range(amount):
        if i % (2 * len(shown)) == 0:
            rng.shuffle(shown)
        name, picture = shown[i // 2 % len(shown)]
        if i % 2:
            name = rng.choice(bench.absent(picture))
        names = [name, *_others(bench, picture, [name], concepts - 1, rng)]
        rng.shuffle(names)
        pairs.append(Pair(f"{purpose}/{i:04}", name, picture, tuple(names), _ask(name), i % 2 == 0, names.index(name)))
    return tuple(sorted(pairs, key=lambda p: (p.picture, p.id)))


def choices_among(bench: BenchmarkScenes, concepts: int) -> tuple[Choice, ...]:
    """Every third visual question, with others in the prompt beside the one asked about."""
    rng, items = bench.rng(f"crowd-choices-{concepts}"), list[Choice]()
    for item in bench.visual_qa[::3]:
        assert item.picture is not None
        names = [item.about, *_others(bench, item.picture, [item.about], concepts - 1, rng)]
        rng.shuffle(names)
        items.append(replace(item, concepts=tuple(names)))
    return tuple(items)


CAPTION = "Who is in this photo?"


def captions(bench: BenchmarkScenes) -> tuple[Caption, ...]:
    """Every picture with 1, 2, 3 or 4 concepts in the prompt, in turns; one of them at least is in it."""
    rng, items = bench.rng("captions"), list[Caption]()
    for picture in range(len(bench.pictures)):
        here, concepts = bench.shown(picture), 1 + picture % 4
        first = rng.choice(here)
        names = [first, *_others(bench, picture, [first], concepts - 1, rng)]
        rng.shuffle(names)
        shown = tuple(n for n in names if n in here)
        items.append(Caption(f"caption/{picture:03}", first, picture, tuple(names), CAPTION, shown))
    return tuple(items)


def who_questions(bench: BenchmarkScenes, count: int) -> tuple[Who, ...]:
    """`size.who` WHO questions with `count` concepts in the prompt, the cases in the order enrolled, beside, nobody."""
    rng = bench.rng(f"who-{count}")
    items: list[Who] = []
    shown = [(n, p) for p in range(len(bench.pictures)) for n in bench.shown(p)]
    rng.shuffle(shown)
    accompanied = [(n, p) for n, p in shown if len(bench.pictures[p].figures) > 1 and len(bench.absent(p)) >= count - 1]
    strange = [p for p in range(len(bench.pictures)) if len(bench.absent(p)) >= count]
    for case, amount in zip(("enrolled", "beside", "nobody"), bench.size.who, strict=True):
        for i in range(amount):
            name, picture = (accompanied if case == "beside" else shown)[i % len(accompanied if case == "beside" else shown)]
            if case == "nobody":
                picture = rng.choice(strange)
                names = rng.sample(bench.absent(picture), count)
            else:
                names = [name, *_others(bench, picture, [name], count - 1, rng)]
            if case == "beside" and len(set(names) & set(bench.shown(picture))) == len(bench.pictures[picture].figures):
                names = [name, *rng.sample(bench.absent(picture), count - 1)]
            rng.shuffle(names)
            question = _who(bench, picture, names, name if case == "enrolled" else None, rng)
            true = next((n for n in names if question.answer.startswith(f"<{n}>")), None)
            about = name if case != "nobody" else names[0]
            items.append(
                Who(
                    f"who/{count}/{case}/{i:03}", about, case, question.kind, picture, tuple(names), question.text,
                    question.answer, true,
                )
            )  # fmt: skip
    return tuple(items)


def _who(bench: BenchmarkScenes, picture: int, names: Sequence[str], asked: str | None, rng: random.Random) -> Question:
    """A WHO question about `asked`, or (None) about someone whom no name of the prompt belongs to."""
    asker = Asker(bench.pictures[picture], {n: bench.person(n) for n in names}, rng)
    while True:
        question = asker.ask(rng.choice(WHO_KINDS), asked)
        if question is not None and question.answer.startswith(capital(UNKNOWN) if asked is None else f"<{asked}>"):
            return question


WHO_KINDS = ("who_position", "who_doing", "who_wearing")
LATE_KINDS = ("recognize", "where", "wearing", "doing", "expression", "trait")


def scripts(bench: BenchmarkScenes) -> tuple[Script, ...]:
    """`size.dialogues` scripts: turn 1 about the picture, turn 2 about the first concept, turns 3 and 4 about the
    second one.

    The second concept is in the picture in two thirds; about an absent one recognition and a trait are asked.
    """
    rng = bench.rng("scripts")
    shown = [(n, p) for p in range(len(bench.pictures)) for n in bench.shown(p)]
    rng.shuffle(shown)
    found = []
    for i in range(bench.size.dialogues):
        name, picture = shown[i % len(shown)]
        if i % 3 == 2:
            name = rng.choice(bench.absent(picture))
        first = _others(bench, picture, [name], 1, rng)[0]
        asker = Asker(bench.pictures[picture], {n: bench.person(n) for n in (first, name)}, rng)
        if name in bench.shown(picture):
            kinds = [LATE_KINDS[i // 3 % len(LATE_KINDS)], LATE_KINDS[(i // 3 + 1 + i % 3) % len(LATE_KINDS)]]
        else:
            kinds = ["recognize", "trait"]
        lines = [
            _line(asker, rng.choice(("place", "light", "count")), None, rng),
            _line(asker, rng.choice(("recognize", "trait")), first, rng),
            *(_line(asker, kind, name, rng, asked=True) for kind in kinds),
        ]
        found.append(Script(f"script/{i:03}", name, picture, first, name, tuple(lines)))
    return tuple(found)


def _line(asker: Asker, kind: str, name: str | None, rng: random.Random, asked: bool = False) -> Line:
    if kind == "trait":
        assert name is not None
        kind = rng.choice(slots_of(asker.named[name]))
    question = asker.ask(kind, name)
    assert question is not None
    return Line(kind, question.text, question.answer, question.options, asked)
