"""The published figures of plvm are those of the published answers, item by item."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from plvm_lab.evaluate.figures import Record
from plvm_lab.evaluate.portraits_benchmark import portraits
from plvm_lab.evaluate.protocols import PARTS

RESULTS = Path(__file__).parents[1] / "research" / "results" / "portraits"
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
