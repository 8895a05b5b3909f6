"""The published figures of plvm are those of the published answers, item by item; tables of result files are those of their
figures."""

from __future__ import annotations

import json
import runpy
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from plvm.personal import load
from plvm_lab.evaluate.figures import Record
from plvm_lab.evaluate.harness import Harness, ask_choices
from plvm_lab.evaluate.portraits_benchmark import portraits
from plvm_lab.evaluate.protocols import PARTS
from plvm_lab.systems.plvm import Plvm

RESEARCH = Path(__file__).parents[1] / "research"
RESULTS = RESEARCH / "results" / "portraits"
SUMMARY = json.loads((RESULTS / "summary.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def records() -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for line in (RESULTS / "records.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        found[record["part"]].append(record)
    return dict(found)


@pytest.mark.parametrize("part", [part for part in PARTS if part in SUMMARY])
def test_every_figure_can_be_made_again_from_the_answers(part: str, records: dict[str, list[Record]]) -> None:
    assert json.loads(json.dumps(PARTS[part].figures(records[part], records))) == SUMMARY[part]


def test_every_item_of_the_benchmark_was_answered_once(records: dict[str, list[Record]]) -> None:
    bench: Any = portraits("test", 0)
    assert set(records) == set(bench.parts)
    for part, rows in records.items():
        assert len(rows) == PARTS[part].count(bench), part
    asked = {(r["about"], r["picture"]): r["truth"] for r in records["recognition"]}
    assert len(asked) == 34 * 246 == len(records["recognition"])
    present = {(name, p): bool(bench.present[i, p]) for i, name in enumerate(bench.names) for p in range(246)}
    assert asked == {pair: "Yes" if here else "No" for pair, here in present.items()}
    assert SUMMARY["n"] == sum(map(len, records.values()))


@pytest.mark.slow
def test_the_shipped_model_still_gives_the_published_answers_about_the_first_15_pictures(
    records: dict[str, list[Record]],
) -> None:
    """34 people in each: 510 pairs, and 40 questions of each kind of multiple choice."""
    bench: Any = portraits("test", 0)
    harness = Harness(Plvm(load("mini", device="cpu")), bench, bench.album())
    people = harness.concepts(bench.names)
    yes = harness.system.recognize([harness.album.query(p) for p in range(15)], people)
    for record in records["recognition"]:
        if record["picture"] < 15:
            probability = yes[record["picture"], bench.names.index(record["about"])]
            assert ("Yes" if probability > 0.5 else "No") == record["answer"], record["id"]
            assert probability == pytest.approx(record["probability"], abs=2e-3), record["id"]
    for part in ("text_qa", "visual_qa"):
        told = {record["id"]: record["answer"] for record in records[part]}
        some = list(ask_choices(harness, ((item, {}) for item in getattr(bench, part)[:40])))
        assert len(some) == 40 and all(r["answer"] == told[r["id"]] for r in some)


# ---- tables of result files

FILES = [f for f in sorted((RESEARCH / "results").rglob("*.json")) if f.name not in ("summary.json", "state.json")]
EVALUATIONS = {"table8.json"}  # `systems` of summaries: the report makes their tables, as of any evaluation
SHARES = ("recognition", "text_qa", "visual_qa")


@pytest.fixture(scope="module")
def retable() -> dict[str, Any]:
    return runpy.run_path(str(RESEARCH / "retable.py"))


def content_of(name: str) -> dict[str, Any]:
    return json.loads((RESEARCH / "results" / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_making_tables_again_changes_nothing(file: Path, retable: dict[str, Any]) -> None:
    text = file.read_text(encoding="utf-8")
    assert retable["retabled"](text) == text
    assert file.name in EVALUATIONS or retable["shown_of"](json.loads(text)) is not None


def test_tables_are_made_of_the_figures_that_a_file_has(retable: dict[str, Any]) -> None:
    content = content_of("table2_w.json")
    told = content["tables"][0]
    means = [row["recognition"]["mean"]["value"] for row in content["rows"] if row["arm"] == "w=5"]
    was = next(row for row in told["rows"] if row[0] == "w=5")
    assert len(means) == 3 and was[4] == {"value": pytest.approx(sum(means) / 3), "low": min(means), "high": max(means)}
    for row in content["rows"]:
        if row["arm"] == "w=5":
            row["recognition"]["mean"]["value"] = 0.5
    changed = json.loads(retable["retabled"](json.dumps(content, indent=1)))
    now = next(row for row in changed["tables"][0]["rows"] if row[0] == "w=5")
    assert now == [*was[:4], {"value": 0.5, "low": 0.5, "high": 0.5}, *was[5:]]
    bar = {"name": "w=5", "value": 0.5, "low": 0.5, "high": 0.5, "mark": 0.785}
    assert bar in changed["charts"][0]["bars"] and len(changed["charts"][0]["bars"]) == 5
    for key in ("tables", "charts"):
        del changed[key], content[key]
    assert changed == content, "figures, command, commit and seed stay"


def test_rows_of_table_1_say_what_measured_them_or_were_measured_again_to_the_same() -> None:
    again = {row["system"]: row for row in content_of("all/systems.json")["systems"]}
    for row in content_of("table1.json")["rows"]:
        if row["command"] is None:
            assert [row[part] for part in SHARES] == [again[row["system"]][part] for part in SHARES]
        else:
            assert row["system"] in row["command"].split() and row["commit"]


def test_the_published_benchmark_among_the_seeds_is_the_published_one() -> None:
    seeds = content_of("five_seeds.json")
    assert seeds["recognition"]["0"]["mean"] == SUMMARY["recognition"]["mean"]
    assert all(seeds[part]["0"]["accuracy"] == SUMMARY[part]["accuracy"] for part in ("text_qa", "visual_qa"))
    assert len(seeds["tables"][0]["rows"]) == 6


def test_descriptions_that_were_judged_are_those_of_people_of_the_benchmark() -> None:
    judge = runpy.run_path(str(RESEARCH / "benchmarks" / "descriptions.py"))
    bench: Any = portraits("test", 0)
    for told in content_of("descriptions.json")["described"].values():
        assert list(told["said"]) == list(bench.names)
        assert judge["judged"](list(told["said"].values()), bench) == told
    person = bench.people[0]
    assert judge["is_true"](person.phrase("skin"), person) and not judge["is_true"]("a kind person", person)


def test_arms_of_a_crossing_are_told_by_their_settings(retable: dict[str, Any]) -> None:
    """The table of research/runs/crossing.py from rows as it writes them."""
    crossing = retable["script_of"]("python research/runs/crossing.py data/portraits")
    share = {"value": 0.6, "low": 0.5, "high": 0.7, "n": 9}
    recognition = dict.fromkeys(("positive", "negative", "mean"), share)
    found = {"recognition": recognition, "lookalikes": {"mean": share}, "text_qa": share}
    rows = [
        {"arm": arm, "seed": seed, "settings": settings, "n": 9, "steps": 1200, **found}
        for arm, settings in crossing["ARMS"].items()
        for seed in ((0, 1, 2) if arm == "bounded-grounded" else (0,))
    ]
    (table,) = crossing["shown"]({"rows": rows}).tables
    assert [row[:4] for row in table.rows] == [
        ("paper", "single", "-", "1"), ("paper", "grounded", "-", "1"), ("bounded", "single", "-", "1"),
        ("bounded", "grounded", "-", "3"), ("anchored", "single", "no", "1"), ("anchored", "grounded", "no", "1"),
        ("anchored", "single", "yes", "1"), ("anchored", "grounded", "yes", "1"),
    ]  # fmt: skip
    assert len(table.header) == len(table.rows[0]) == 9
