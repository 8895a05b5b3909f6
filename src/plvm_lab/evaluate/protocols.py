"""The parts of the suite: what each asks of a system, one record per item. Their figures are made in `figures.py`.

The decisions: recognition is Yes where P(Yes) > 0.5 of {Yes, No}, strictly, and, as a part of its own, by what the free
answer begins with; multiple choice is the option with the highest likelihood as the answer, each option being a whole
answer sentence (`Chooses.choose`), so that the order of the options cannot matter; free answers are read by `parsing.py`;
what cannot be read is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from plvm_lab.evaluate import controls, face_parts, figures
from plvm_lab.evaluate.figures import ARMS, WORDINGS, Record, Records
from plvm_lab.evaluate.harness import Harness, ask_answers, ask_choices, ask_pairs, batches, verdict
from plvm_lab.evaluate.parsing import NOBODY, is_right, names_said, who_is_named, yes_or_no
from plvm_lab.evaluate.system import ANSWER, CHOOSE, CONVERSE, RECOGNIZE, VERIFY, Turn


@dataclass(frozen=True)
class Part:
    """One part: the ability it needs, how many records it makes, how it asks, and its figures."""

    needs: str
    count: Callable[[Any], int]
    ask: Callable[[Harness], Iterator[Record]]
    figures: Callable[[Sequence[Record], Records], dict[str, Any]]


# ---------------------------------------------------------------- recognition


def ask_recognition(harness: Harness) -> Iterator[Record]:
    """Every identity in every picture, in the system's own wording; of a suite that asks about some pairs, those."""
    bench = harness.benchmark
    people = harness.concepts(bench.names)
    asked, present = bench.asked, bench.present
    for pictures in batches(range(len(bench.pictures)), 16):
        found = harness.system.recognize([harness.album.query(p) for p in pictures], people)
        for row, p in enumerate(pictures):
            for i, name in enumerate(bench.names):
                if asked[i, p]:
                    truth = bool(present[i, p])
                    yield verdict(f"recognition/{name}/{p:03}", bench.name_of(name), p, truth, float(found[row, i]))


def ask_validation(harness: Harness) -> Iterator[Record]:
    """Recognition of the identities of another split: what a threshold may be chosen on."""
    other = harness.benchmark.validation
    return ask_recognition(Harness(harness.learner, other, other.album()))


def ask_strict(harness: Harness) -> Iterator[Record]:
    """Recognition in the suite's own wording, answered freely: what does not begin with Yes or No is wrong."""
    for pair, text in ask_answers(harness, harness.benchmark.pairs):
        said = yes_or_no(text)
        yield {
            "id": pair.id, "about": pair.about, "picture": pair.picture, "truth": "Yes" if pair.truth else "No",
            "text": text, "answer": None if said is None else "Yes" if said else "No", "right": said == pair.truth,
        }  # fmt: skip


def ask_several(harness: Harness) -> Iterator[Record]:
    """Questions about several names at once: Yes where all of them are in the picture."""
    return ask_pairs(harness, ((p, {}) for p in harness.benchmark.several))


def ask_lookalikes(harness: Harness) -> Iterator[Record]:
    """Every identity and its look-alikes on the pictures of the identity."""
    pairs = harness.benchmark.lookalike_pairs
    return ask_pairs(harness, ((p, {"changes": int(p.concepts[0].partition("~")[2] or 0)}) for p in pairs))


def ask_triples(harness: Harness) -> Iterator[Record]:
    """One of three concepts in the prompt is asked about."""
    return ask_pairs(harness, ((p, {"place": p.target}) for p in harness.benchmark.triples))


# ---------------------------------------------------------------- multiple choice


def ask_text_qa(harness: Harness) -> Iterator[Record]:
    """Multiple choice about traits, without a picture."""
    return ask_choices(harness, ((item, {}) for item in harness.benchmark.text_qa))


def ask_visual_qa(harness: Harness) -> Iterator[Record]:
    """Multiple choice about how somebody looks in a picture."""
    return ask_choices(harness, ((item, {}) for item in harness.benchmark.visual_qa))


def ask_controls(harness: Harness) -> Iterator[Record]:
    """The questions of text_qa and visual_qa again, under every control."""
    for part, control, items in controls.variants(harness.benchmark):
        yield from ask_choices(harness, ((item, {"of": part, "control": control}) for item in items))


IN_PROMPT = (2, 3, 4)  # concepts


def ask_among_several(harness: Harness) -> Iterator[Record]:
    """One of several concepts in the prompt is asked about: recognition with 2 and 4 of them (3 are a part of their
    own), multiple choice with 2, 3 and 4."""
    bench = harness.benchmark
    for concepts in IN_PROMPT:
        pairs = bench.pairs_among(concepts) if concepts != 3 else ()
        yield from ask_pairs(harness, ((p, {"of": "recognition", "in_prompt": concepts}) for p in pairs))
        items = bench.choices_among(concepts)
        yield from ask_choices(harness, ((item, {"of": "visual_qa", "in_prompt": concepts}) for item in items))


def _among_several_count(bench: Any) -> int:
    return sum(len(bench.choices_among(c)) + (len(bench.pairs_among(c)) if c != 3 else 0) for c in IN_PROMPT)


# ---------------------------------------------------------------- wordings never trained on


def ask_held_out(harness: Harness) -> Iterator[Record]:
    """Recognition and both kinds of multiple choice, each item in a trained wording and in held-out ones."""
    bench = harness.benchmark
    pairs = [(p, {"of": "recognition", "wording": w}) for both in bench.held_out_pairs for p, w in zip(both, WORDINGS)]
    yield from ask_pairs(harness, pairs)
    for part, both_ways in (("text_qa", bench.held_out_text), ("visual_qa", bench.held_out_visual)):
        trained = {item.id: item for item, _ in both_ways}
        yield from ask_choices(harness, ((item, {"of": part, "wording": WORDINGS[0]}) for item in trained.values()))
        yield from ask_choices(harness, ((item, {"of": part, "wording": WORDINGS[1]}) for _, item in both_ways))


def _held_out_count(bench: Any) -> int:
    choices = sum(len(b) + len({i.id for i, _ in b}) for b in (bench.held_out_text, bench.held_out_visual))
    return 2 * len(bench.held_out_pairs) + choices


# ---------------------------------------------------------------- answers that say names


def ask_who(harness: Harness) -> Iterator[Record]:
    """WHO questions with 1, 2 and 3 concepts in the prompt, answered freely."""
    for count in (1, 2, 3):
        for item, text in ask_answers(harness, harness.benchmark.who(count)):
            said = who_is_named(text, item.concepts)
            yield {
                "id": item.id, "about": item.about, "concepts": count, "case": item.case, "kind": item.kind,
                "picture": item.picture, "question": item.question, "names": list(item.concepts),
                "truth": item.name or NOBODY, "text": text, "answer": said, "right": said == (item.name or NOBODY),
            }  # fmt: skip


def ask_captions(harness: Harness) -> Iterator[Record]:
    """Questions whose answer should name everyone who is in the prompt and in the picture."""
    for item, text in ask_answers(harness, harness.benchmark.captions):
        said = names_said(text, item.concepts)
        yield {
            "id": item.id, "about": item.about, "picture": item.picture, "question": item.question,
            "names": list(item.concepts), "truth": list(item.shown), "text": text, "answer": said,
            "right": set(said) == set(item.shown),
        }  # fmt: skip


# ---------------------------------------------------------------- dialogue


def ask_dialogues(harness: Harness) -> Iterator[Record]:
    """Every script twice: the concept that turns 3 and 4 ask about is there from the start, or joins at turn 3."""
    for script in harness.benchmark.scripts:
        image = harness.album.query(script.picture)
        for arm in ARMS:
            joins = 0 if arm == "from_start" else script.joins
            turns = [
                Turn(
                    line.question, harness.concepts([k for k, at in ((script.first, 0), (script.added, joins)) if at == i])
                )
                for i, line in enumerate(script.lines)
            ]
            for i, (line, text) in enumerate(zip(script.lines, harness.system.converse(image, turns), strict=True)):
                if line.asked:
                    right = is_right(line, text)
                    yield {
                        "id": f"{script.id}/{i + 1}", "arm": arm, "about": script.about, "picture": script.picture,
                        "kind": line.kind, "question": line.question, "truth": line.answer, "text": text,
                        "answer": None if right is None else text, "right": bool(right),
                    }  # fmt: skip


FACE_PARTS = ("conditions", "where", "how_many", "crowd")  # of photographs of faces alone
PARTS: dict[str, Part] = {
    "recognition": Part(RECOGNIZE, lambda b: int(b.asked.sum()), ask_recognition, figures.recognition_figures),
    "validation": Part(RECOGNIZE, lambda b: b.validation.present.size, ask_validation, figures.recognition_figures),
    "recognition_strict": Part(ANSWER, lambda b: len(b.pairs), ask_strict, figures.strict_figures),
    "recognition_lookalikes": Part(VERIFY, lambda b: len(b.lookalike_pairs), ask_lookalikes, figures.lookalike_figures),
    "recognition_three_concepts": Part(VERIFY, lambda b: len(b.triples), ask_triples, figures.triple_figures),
    "recognition_several": Part(VERIFY, lambda b: len(b.several), ask_several, figures.recognition_figures),
    "text_qa": Part(CHOOSE, lambda b: len(b.text_qa), ask_text_qa, figures.choice_figures),
    "visual_qa": Part(CHOOSE, lambda b: len(b.visual_qa), ask_visual_qa, figures.choice_figures),
    "several_concepts": Part(CHOOSE, _among_several_count, ask_among_several, figures.among_several_figures),
    "who": Part(ANSWER, lambda b: 3 * sum(b.size.who), ask_who, figures.who_figures),
    "conditions": Part(VERIFY, lambda b: len(b.pairs_by_kind), face_parts.ask_conditions, face_parts.condition_figures),
    "where": Part(ANSWER, lambda b: len(b.asked_where), face_parts.ask_where, face_parts.where_figures),
    "how_many": Part(ANSWER, lambda b: b.size.how_many, face_parts.ask_how_many, face_parts.how_many_figures),
    "crowd": Part(RECOGNIZE, face_parts.crowd_count, face_parts.ask_crowd, face_parts.crowd_figures),
    "captions": Part(ANSWER, lambda b: len(b.captions), ask_captions, figures.caption_figures),
    "dialogue": Part(CONVERSE, lambda b: 4 * len(b.scripts), ask_dialogues, figures.dialogue_figures),
    "held_out_wordings": Part(CHOOSE, _held_out_count, ask_held_out, figures.held_out_figures),
    "controls": Part(
        CHOOSE, lambda b: sum(len(i) for _, _, i in controls.variants(b)), ask_controls, figures.control_figures
    ),
}
