"""The tables of result files whose name says what they hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from plvm_lab.report.markdown import Cell, Table, controls, lasting
from plvm_lab.report.published import TABLE_6
from plvm_lab.report.results import Run

Content = Mapping[str, Any]
RECOGNITION = ("positive", "negative", "mean", "auc")
SYSTEM_HEADER = ("system", "positive", "negative", "mean", "AUC", "text QA", "visual QA", "enrolment")
OTHER_PICTURES = "The paper's figures are of photos and a 7B model: compare orders, not numbers."


# ---- tables of the paper


def table_1(content: Content) -> list[Table]:
    """Every system, the paper's figures beside it, and the controls of its multiple choice."""
    rows = [(*system_cells(row), *_papers(row.get("paper") or {})) for row in content["rows"]]
    header = (*SYSTEM_HEADER, "paper: mean", "paper: text QA", "paper: visual QA")
    note = f"Percent, 95 % intervals over identities; n {content['n']:,} pairs. {OTHER_PICTURES}"
    asked = [Run(row["system"], _as_summary(row), Path()) for row in content["rows"]]
    found = controls([run for run in asked if run.summary["controls"]])
    return [Table("Every system under one protocol (Table 1)", header, tuple(rows), note), *([found] if found else [])]


def system_cells(row: Content) -> tuple[Cell, ...]:
    """A system's row: recognition, both kinds of questions, and what enrolling takes."""
    shares = [*((row["recognition"] or {}).get(k) for k in RECOGNITION), row["text_qa"], row["visual_qa"]]
    learned = row["enroll_seconds"]
    return (row["system"], *(s or "-" for s in shares), "-" if learned is None else lasting(learned))


def _papers(paper: Content) -> tuple[str, ...]:
    values = (paper.get(key) for key in ("mean", "text_qa", "visual_qa"))
    return tuple("-" if value is None else f"{value:.1f}" for value in values)


def _as_summary(row: Content) -> dict[str, Any]:
    qa = {part: {"accuracy": row[part]} for part in ("text_qa", "visual_qa") if row[part]}
    return {**qa, "controls": row["controls"] or {}}


def table_6(content: Content) -> list[Table]:
    """How systems learn somebody, what that takes, and how good it is."""
    rows = tuple(
        (row["system"], *("yes" if row[k] else "no" for k in ("tuned_per_concept", "needs_detector", "joins_mid_dialogue")),
         str(row["images"]), lasting(row["enroll_seconds"]), f"{row['times_plvm']:,.0f}", f"{row['enroll_bytes']:,}",
         row["recognition"]["mean"], row["visual_qa"], TABLE_6.get(row["system"], "-"))
        for row in content["rows"]
    )  # fmt: skip
    header = ("system", "tuned for a concept", "needs a detector", "may join a dialogue", "pictures", "enrolment",
              "times plvm's", "bytes kept", "recognition, mean", "visual QA", "paper: enrolment")  # fmt: skip
    note = f"Times of one run, {content['n']} people each in turn. {OTHER_PICTURES}"
    return [Table("How systems learn somebody (Table 6)", header, rows, note)]


# ---- of our own


def all_systems(content: Content) -> list[Table]:
    """The overview of `plvm eval --system all`."""
    rows = tuple((*system_cells(row), f"{row['seconds'] / 60:.0f} min") for row in content["systems"])
    note = f"Percent. Everything was asked of every system: {content['seconds'] / 60:.0f} minutes in all."
    return [Table("plvm eval --system all", (*SYSTEM_HEADER, "all of it took"), rows, note)]


def forms(content: Content) -> list[Table]:
    """Forms of the Aligner, trained alike."""
    paths = (("recognition", "mean"), ("recognition_lookalikes", "mean"), ("text_qa", "accuracy"), ("visual_qa", "accuracy"))
    rows = []
    for name, arm in content["arms"].items():
        run = Run(name, arm["test"], Path())
        rows.append((name, *(run.figure(*path) or "-" for path in paths)))
    header = ("form", "recognition, mean", "look-alikes, mean", "text QA", "visual QA")
    note = f"Percent. On validation people the best is {content['best_on_val']}."
    return [Table("Forms of the Aligner", header, tuple(rows), note)]


def by_key(title: str, of: str, key: str, columns: Mapping[str, str], note: str) -> Callable[[Content], list[Table]]:
    """A table with a row for every entry of content[of]; `columns` are keys of an entry and what they are called."""

    def make(content: Content) -> list[Table]:
        rows = tuple((f"{int(n):,}", *(_cell(entry, c) for c in columns)) for n, entry in content[of].items())
        return [Table(title, (key, *columns.values()), rows, note)]

    return make


def _cell(entry: Content, name: str) -> Cell:
    value = entry[name]
    return lasting(value) if name.endswith("seconds") else value


def shared_pictures(content: Content) -> list[Table]:
    """What sharing pictures saves in training."""
    keys = ("image_tokens", "m", "naive_per_s", "shared_per_s", "speedup")
    rows = tuple(
        (*(f"{row[k]:g}" for k in keys), f"{100 * row['peak_memory_ratio']:.0f} %", f"{row['max_gradient_difference']:.0e}")
        for row in content["rows"]
    )
    header = ("image tokens", "questions a picture", "naive a second", "shared a second", "speed-up", "memory", "gradients")
    gpu = content.get("device", "cpu") != "cpu"
    machine = content["machine"]["gpu" if gpu else "cpu"]
    note = f"On {machine}; medians of {content['n']} steps. Gradients: the largest difference, relative to the largest one."
    return [Table(f"Shared pictures in training, on a {'GPU' if gpu else 'CPU'}", header, rows, note)]


def full_size(content: Content) -> list[Table]:
    """What was claimed at full size."""
    names = {"enrol_ms": "encoder and Aligner, ms", "decode_share_of_limit": "decoding, share of the memory's bandwidth",
             "score_seconds": "34 people in 246 pictures, s", "shared_over_naive": "training, shared over naive"}  # fmt: skip
    rows = tuple(
        (names[k], f"{claim['value']:g}", f"{claim['bar']:g}", "yes" if claim["holds"] else "no")
        for k, claim in content["claims"].items()
    )
    note = f"{content['preset']} with random weights in {content['dtype']} on {content['device']}; medians of {content['n']}."
    return [Table("Full size on a GPU", ("what", "measured", "aim", "holds"), rows, note)]


_SHARES = {"positive": "positive", "negative": "negative", "mean": "mean", "auc": "AUC"}
MAKERS: Mapping[str, tuple[str, Callable[[Content], list[Table]]]] = {  # name of a file -> a key it has, its tables
    "table1": ("rows", table_1),
    "table6": ("rows", table_6),
    "systems": ("systems", all_systems),
    "arms": ("arms", forms),
    "five_seeds": (
        "recognition",
        by_key("Fresh benchmarks with other people", "recognition", "seed", _SHARES, "Percent. Seed 0 is the published one."),
    ),
    "references": (
        "references",
        by_key("Several reference pictures", "references", "pictures", _SHARES | {"gained": "gained"}, "Recognition, percent."),
    ),
    "enrolled": (
        "enrolled",
        by_key(
            "Ever more people enrolled", "enrolled", "people",
            {"found": "found", "false_alarms": "others taken for there", "seconds": "a picture with everybody"},
            "Percent; every person in the store is looked for in pictures of one of them.",
        ),
    ),
    "bench_train": ("rows", shared_pictures),
    "bench_train_gpu": ("rows", shared_pictures),
    "full_size": ("claims", full_size),
}  # fmt: skip
