"""Records -> figures: one function per part of the suite. Nothing is asked here, so figures can be made again from a
file.

Each takes the records of its part and those of all parts (where another part is the comparison), and returns a part of
summary.json. Answers that could not be read count as wrong and are counted as `unparsable`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from plvm_lab.evaluate.benchmark_scenes import CHANGES
from plvm_lab.evaluate.controls import constant
from plvm_lab.evaluate.items import LETTERS
from plvm_lab.evaluate.metrics import (
    Counts,
    Scored,
    accuracy,
    best_threshold,
    difference,
    ece,
    figure,
    recognition,
    roc,
)
from plvm_lab.evaluate.parsing import NOBODY

Record = dict[str, Any]
Records = Mapping[str, Sequence[Record]]
WORDINGS = ("trained", "held-out")
ARMS = ("from_start", "added_later")


def unparsable(records: Iterable[Record]) -> int:
    """How many answers could not be read."""
    return sum(r["answer"] is None for r in records)


def _scored(records: Sequence[Record]) -> Scored:
    return Scored.of(
        [r["truth"] == "Yes" for r in records],
        [math.nan if r["probability"] is None else r["probability"] for r in records],
        [r["about"] for r in records],
    )


def recognition_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """Positive, negative and mean, AUC and EER, the ROC curve, the calibration, and the accuracy at a threshold chosen on the
    part "validation"."""
    scored = _scored(records)
    found = recognition(scored) | {"unparsable": unparsable(records), "ece": ece(scored), "roc": roc(scored)}
    if (other := every.get("validation")) and records is every.get("recognition"):
        chosen = _scored(other)
        threshold, balance = best_threshold(chosen.truth, chosen.ranked)
        tuned = recognition(replace(scored, threshold=threshold))
        found["tuned"] = {"threshold": round(threshold, 6), "on_validation": round(balance, 6)} | {
            k: tuned[k] for k in ("positive", "negative", "mean")
        }
    return found


def strict_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """Positive, negative and mean by the free answer, and how many answers of `recognition` are the same."""
    said = {True: 1.0, False: 0.0, None: math.nan}
    scored = Scored.of(
        [r["truth"] == "Yes" for r in records],
        [said[None if r["answer"] is None else r["answer"] == "Yes"] for r in records],
        [r["about"] for r in records],
    )
    whole = recognition(scored)
    found = {k: whole[k] for k in ("positive", "negative", "mean", "n_positive", "n_negative")}
    found["unparsable"] = unparsable(records)
    by_probability = {(r["about"], r["picture"]): r["answer"] for r in every.get("recognition", ())}
    if by_probability:
        same = [r["answer"] == by_probability[r["about"], r["picture"]] for r in records]
        found["same_as_probability"] = accuracy(same, [r["about"] for r in records])
    return found


def among_several_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """Recognition and visual QA by the number of concepts in the prompt; `lost` is against the same questions with one."""
    found: dict[str, Any] = {"unparsable": unparsable(records)}
    alone = {r["id"]: r for r in every.get("visual_qa", ())}
    for count in sorted({r["in_prompt"] for r in records}):
        own = [r for r in records if r["in_prompt"] == count]
        pairs, choices = ([r for r in own if r["of"] == part] for part in ("recognition", "visual_qa"))
        found[str(count)] = {"recognition": recognition(_scored(pairs))} if pairs else {}
        found[str(count)]["visual_qa"] = _accuracy_of(choices)
        if alone:
            before = [alone[r["id"]]["right"] for r in choices]
            about = [r["about"] for r in choices]
            found[str(count)]["lost"] = difference(before, [r["right"] for r in choices], about)
    return found


def caption_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """recall: of the names that should be said, how many were; precision: of those said, how many should be; by the
    number of concepts in the prompt, and of all."""
    found: dict[str, Any] = {}
    counts = sorted({len(r["names"]) for r in records})
    for key, own in [("all", list(records)), *((str(c), [r for r in records if len(r["names"]) == c]) for c in counts)]:
        due = [(name in r["answer"], name) for r in own for name in r["truth"]]
        told = [(name in r["truth"], name) for r in own for name in r["answer"]]
        found[key] = {
            "recall": accuracy(*_columns(due)),
            "precision": accuracy(*_columns(told)),
            "exact": _accuracy_of(own),
        }
    return found | {"unparsable": unparsable(records)}


def _columns(rows: Sequence[tuple[bool, str]]) -> tuple[list[bool], list[str]]:
    return [right for right, _ in rows], [name for _, name in rows]


def lookalike_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """Recognition on identities and look-alikes, all and by the number of traits that a look-alike differs in."""
    by_changes = {str(k): recognition(_scored([r for r in records if r["changes"] in (0, k)])) for k in CHANGES}
    return recognition(_scored(records)) | {"by_changes": by_changes, "unparsable": unparsable(records)}


def triple_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """Recognition with three concepts in the prompt; `one_concept`: of the same pairs with the concept alone in it."""
    found = recognition(_scored(records)) | {"unparsable": unparsable(records)}
    alone = {(r["about"], r["picture"]): r for r in every.get("recognition", ())}
    if alone:  # the same pairs, with the concept alone in its prompt
        found["one_concept"] = recognition(_scored([alone[r["about"], r["picture"]] for r in records]))
    return found


def _accuracy_of(records: Sequence[Record]) -> dict[str, Any]:
    return accuracy([r["right"] for r in records], [r["about"] for r in records])


def choice_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """The share of multiple-choice questions answered right, of all and by kind."""
    kinds = dict.fromkeys(r["kind"] for r in records)
    return {
        "accuracy": _accuracy_of(records),
        "by_kind": {k: _accuracy_of([r for r in records if r["kind"] == k]) for k in kinds},
        "unparsable": unparsable(records),
    }


def control_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """The share answered right under every control of `controls.py`, and by always saying the same letter."""
    found: dict[str, Any] = {}
    for part in dict.fromkeys(r["of"] for r in records):
        own = [r for r in records if r["of"] == part]
        original = [r for r in own if r["control"] == "no_reference"]  # in the order of the questions as they are
        keys = [LETTERS.index(r["key"]) for r in original]
        found[part] = {"constant": constant(keys, [r["about"] for r in original])}
        for control in dict.fromkeys(r["control"] for r in own):
            found[part][control] = _accuracy_of([r for r in own if r["control"] == control])
    return found | {"unparsable": unparsable(records)}


def held_out_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """Each part in wordings of the training and in held-out ones; `lost` is the difference on the same items."""
    found: dict[str, Any] = {}
    for part in dict.fromkeys(r["of"] for r in records):
        trained, new = ([r for r in records if r["of"] == part and r["wording"] == w] for w in WORDINGS)
        before = {r["id"]: r for r in trained}
        paired = [before[r["id"]] for r in new]
        about = [r["about"] for r in new]
        if part == "recognition":
            found[part] = recognition(_scored(new)) | {"trained": recognition(_scored(paired))}
            found[part]["lost"] = _lost_mean(paired, new)
        else:
            lost = difference([r["right"] for r in paired], [r["right"] for r in new], about)
            found[part] = {"accuracy": _accuracy_of(new), "trained": _accuracy_of(paired), "lost": lost}
    return found | {"unparsable": unparsable(records)}


def _lost_mean(before: Sequence[Record], after: Sequence[Record]) -> dict[str, Any]:
    """How much of the recognition mean (balanced accuracy) is lost from `before` to `after`, on the same pairs."""
    halves = []
    names = sorted({r["about"] for r in after})
    for truth in ("Yes", "No"):
        sides = []
        for records in (before, after):
            own = [r for r in records if r["truth"] == truth]
            sides.append(Counts.of([r["right"] for r in own], [r["about"] for r in own]))
        halves.append((sides[0].share - sides[1].share, sides[0].samples(names) - sides[1].samples(names)))
    return figure((halves[0][0] + halves[1][0]) / 2, (halves[0][1] + halves[1][1]) / 2, len(after))


def who_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """right, wrong (a wrong name), refused: of the questions about enrolled people; unknown: refusals where nobody
    enrolled is in the picture; unknown_beside: where somebody enrolled is, but not the one asked about."""
    found: dict[str, Any] = {}
    for count in sorted({r["concepts"] for r in records}):
        own = [r for r in records if r["concepts"] == count]
        cases = {c: [r for r in own if r["case"] == c] for c in ("enrolled", "beside", "nobody")}

        def share(case: str, holds: Callable[[Record], bool], cases: Any = cases) -> dict[str, Any]:
            return accuracy([holds(r) for r in cases[case]], [r["about"] for r in cases[case]])

        found[str(count)] = {
            "right": share("enrolled", lambda r: r["right"]),
            "wrong": share("enrolled", lambda r: r["answer"] not in (None, NOBODY, r["truth"])),
            "refused": share("enrolled", lambda r: r["answer"] == NOBODY),
            "unknown": share("nobody", lambda r: r["answer"] == NOBODY),
            "unknown_beside": share("beside", lambda r: r["answer"] == NOBODY),
            "unparsable": unparsable(own),
        }
    return found


def dialogue_figures(records: Sequence[Record], every: Records) -> dict[str, Any]:
    """The share of right answers about a concept that was there from the start and one that joined later; `lost` is the
    difference on the same questions."""
    arms = {arm: {r["id"]: r for r in records if r["arm"] == arm} for arm in ARMS}
    found: dict[str, Any] = {arm: _accuracy_of(list(own.values())) for arm, own in arms.items()}
    paired = [(r, arms["added_later"][i]) for i, r in arms["from_start"].items()]
    found["lost"] = difference(
        [a["right"] for a, _ in paired], [b["right"] for _, b in paired], [a["about"] for a, _ in paired]
    )
    return found | {"unparsable": unparsable(records)}
