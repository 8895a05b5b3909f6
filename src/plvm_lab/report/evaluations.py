"""The tables of evaluations: systems on one suite, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plvm_lab.evaluate.face_pictures import KINDS, WORSE
from plvm_lab.evaluate.result_table import Cell, Table, percent
from plvm_lab.evaluate.things_benchmark import ALIKE, CUT_IN, PEOPLE
from plvm_lab.report.published import TABLE_1, TABLE_8
from plvm_lab.report.results import Run


def tables_of(runs: Sequence[Run]) -> list[Table]:
    """Every table that the runs of one suite have figures for."""
    makers = (main_table, decisions, controls, lookalikes, several, names, worse_faces, groups, things, wordings, times)
    return [table for table in (make(runs) for make in makers) if table is not None]


QUOTED = {"portraits": (" (Table 1)", TABLE_1), "yollava": (" (Table 8)", TABLE_8)}  # suite -> the published rows


def main_table(runs: Sequence[Run]) -> Table | None:
    """Recognition and multiple choice, the published figures below."""
    columns = [("positive", "recognition", "positive"), ("negative", "recognition", "negative"),
               ("mean", "recognition", "mean"), ("AUC", "recognition", "auc"),
               ("text QA", "text_qa", "accuracy"), ("visual QA", "visual_qa", "accuracy")]  # fmt: skip
    number, published = QUOTED.get(runs[0].key.partition("/")[0], ("", {}))
    note = (
        "Percent, 95 % intervals over identities. All pairs of a concept and a picture; mean is the mean of positive "
        "and negative."
    )
    found = _table(f"Recognition and multiple choice{number}", runs, columns, note)
    if found is None or not published:
        return found
    keys = [name.replace(" QA", "_qa") for name in found.header[1:]]
    quoted = tuple(
        (f"{name} (published)", *(f"{row[k]:.1f}" if k in row else "-" for k in keys)) for name, row in published.items()
    )
    note += (
        " The published rows are of photos and 7B to 13B models, ours of drawn portraits: compare orders, not numbers."
    )
    return Table(found.title, found.header, found.rows + quoted, note, len(quoted))


def decisions(runs: Sequence[Run]) -> Table | None:
    """How the recognition decision is made, and how far it can be trusted."""
    columns: list[tuple[str, ...]] = [("mean, P(Yes) > 0.5", "recognition", "mean"),
               ("tuned threshold", "recognition", "tuned", "mean"),
               ("strict answer", "recognition_strict", "mean"), ("EER", "recognition", "eer"),
               ("ECE", "recognition", "ece"), ("unparsable", "recognition_strict", "unparsable")]  # fmt: skip
    note = (
        "Tuned: the threshold that is best on other identities (validation). Strict: what the free answer begins with. "
        "EER: the equal error rate. ECE: the expected calibration error of P(Yes)."
    )
    return _table("Decisions", runs, columns, note)


def controls(runs: Sequence[Run]) -> Table | None:
    """Multiple choice with its controls."""
    rows: list[tuple[Cell, ...]] = []
    for run in runs:
        for part, name in (("text_qa", "text"), ("visual_qa", "visual")):
            own = run.summary.get("controls", {}).get(part, {})
            if run.figure(part, "accuracy") is None:
                continue
            constant = max(own.get("constant", {}).values(), key=lambda f: f["value"], default=None)
            asked = [own.get(c) for c in ("permuted", "no_image", "no_reference", "other_reference")]
            rows.append((run.name, name, *(percent(f) for f in (run.figure(part, "accuracy"), constant, *asked))))
    header = ("system", "QA", "accuracy", "constant", "permuted", "no image", "no reference", "wrong reference")
    note = (
        "Constant: the best letter, always. Permuted: the options in another order, must change nothing. Without "
        "picture or reference, or with somebody else's, what is left is guessing from the words."
    )
    return Table("Multiple choice and its controls", header, tuple(rows), note) if rows else None


def lookalikes(runs: Sequence[Run]) -> Table | None:
    """Recognition against people who differ in few traits."""
    changes = [(f"{k} changed", "recognition_lookalikes", "by_changes", str(k), "mean") for k in (1, 2, 3, 4)]
    return _table(
        "Look-alikes", runs, [("mean", "recognition_lookalikes", "mean"), *changes],
        "Recognition mean between an identity and its look-alikes, by how many traits they differ in.",
    )  # fmt: skip


def several(runs: Sequence[Run]) -> Table | None:
    """Several concepts in one prompt."""
    columns: list[tuple[str, ...]] = [("1: mean", "recognition", "mean"),
               ("2: mean", "several_concepts", "2", "recognition", "mean"),
               ("3: mean", "recognition_three_concepts", "mean"), ("4: mean", "several_concepts", "4", "recognition", "mean"),
               ("1: visual QA", "visual_qa", "accuracy")]  # fmt: skip
    columns += [(f"{n}: visual QA", "several_concepts", str(n), "visual_qa") for n in (2, 3, 4)]
    columns += [("all of them?", "recognition_several", "mean")]
    note = "Recognition mean and visual multiple choice, by the number of concepts in the prompt."
    return _table("Several concepts in one prompt", runs, columns, note, beside=("recognition", "visual_qa"))


def names(runs: Sequence[Run]) -> Table | None:
    """Answers that say names."""
    columns: list[tuple[str, ...]] = [(f"who, {n} known", "who", str(n), "right") for n in (1, 2, 3)]
    columns += [("stranger refused", "who", "1", "unknown"), ("caption recall", "captions", "all", "recall"),
                ("caption precision", "captions", "all", "precision"),
                ("dialogue", "dialogue", "from_start"), ("added later", "dialogue", "added_later")]  # fmt: skip
    return _table("Saying names", runs, columns, "Free answers; what cannot be read is wrong.")


def worse_faces(runs: Sequence[Run]) -> Table | None:
    """Recognition of faces in pictures that were made worse."""
    columns = [(kind, "conditions", kind, "mean") for kind in WORSE]
    note = "Recognition mean. A face is made so many pixels large, cut out tightly, rotated, compressed, or grey."
    return _table("Faces in worse pictures", runs, columns, note)


def groups(runs: Sequence[Run]) -> Table | None:
    """Several people in a picture, strangers among them, and many enrolled."""
    columns: list[tuple[str, ...]] = [(kind, "conditions", kind, "mean") for kind in KINDS if kind not in WORSE]
    columns += [("where", "where", "there"), ("not there", "where", "absent"), ("how many", "how_many", "accuracy"),
                ("found among many", "crowd", "found"), ("false names in 100 pictures", "crowd", "false_names")]  # fmt: skip
    note = "Recognition mean in rows of people; shares of right answers; and recognition of everybody of many who are enrolled."
    return _table("Groups of people", [run for run in runs if not _of_things(run)], columns, note)


def things(runs: Sequence[Run]) -> Table | None:
    """Pets and things, whole and small in other pictures."""
    columns: list[tuple[str, ...]] = [("whole", "recognition", "mean")]
    columns += [(f"{ALIKE}: refused", "conditions", ALIKE, "negative")]
    columns += [(kind, "conditions", kind, "mean") for kind in CUT_IN]
    columns += [(f"{PEOPLE}: refused", "conditions", PEOPLE, "negative"), ("where", "where", "there"),
                ("not there", "where", "absent")]  # fmt: skip
    note = (
        "Recognition mean, of whole pictures and of those cut into photographs so that they take so much of the side; the share "
        "of pictures of another of a thing's kind, and of people, in which it is not seen; shares of right answers."
    )
    return _table("Pets and things", [run for run in runs if _of_things(run)], columns, note)


def _of_things(run: Run) -> bool:
    return run.key.startswith("things/")


def wordings(runs: Sequence[Run]) -> Table | None:
    """Wordings that nothing was trained on."""
    columns = []
    for part, inner in (("recognition", "mean"), ("text_qa", "accuracy"), ("visual_qa", "accuracy")):
        what = part.replace("_qa", " QA")
        columns += [(what, "held_out_wordings", part, inner), (f"{what}: lost", "held_out_wordings", part, "lost")]
    return _table("Wordings never trained on", runs, columns, "Lost: against trained wordings on the same items.")


def times(runs: Sequence[Run]) -> Table | None:
    """Seconds per enrolment and per answer, with the machine."""
    rows: list[tuple[Cell, ...]] = []
    for run in runs:
        timing = run.summary.get("timing", {})
        learned = timing.get("learning")
        each = [_per(timing.get(part)) for part in ("recognition", "visual_qa", "who")]
        enrolled = "-" if not learned else f"{1000 * learned['seconds'] / max(1, learned['n']):.1f}"
        machine = timing.get("machine", {})
        rows.append((run.name, enrolled, *each, f"{machine.get('cpu', '?')}, {machine.get('threads', '?')} threads"))
    header = ("system", "enrol", "recognition", "visual QA", "who", "machine")
    return Table("Time", header, tuple(rows), "Milliseconds each; times of different machines do not compare.")


def _per(timing: dict[str, Any] | None) -> str:
    return f"{1000 * timing['seconds'] / timing['n']:.1f}" if timing and timing["n"] else "-"


def _table(
    title: str, runs: Sequence[Run], columns: Sequence[tuple[str, ...]], note: str = "", beside: Sequence[str] = ()
) -> Table | None:
    """A row per run that has one of the figures; columns that nobody has are left out. Columns of the parts `beside`
    are for comparison: alone they make no row."""

    def cells(run: Run, path: tuple[str, ...]) -> Cell:
        return run.figure(*path) or _count(run, path)

    own = [c for c in columns if c[1] not in beside]
    shown = [run for run in runs if any(cells(run, c[1:]) != "-" for c in own)]
    if not shown:
        return None
    used = [c for c in columns if any(cells(run, c[1:]) != "-" for run in shown)]
    rows = [(run.name, *(cells(run, c[1:]) for c in used)) for run in shown]
    return Table(title, ("system", *(c[0] for c in used)), tuple(rows), note)


def _count(run: Run, path: tuple[str, ...]) -> str:
    node: Any = run.summary
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return f"{node:,}" if isinstance(node, int) else "-"
