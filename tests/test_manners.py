"""The list of ordinary inputs is what its page says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "research" / "manners"
KINDS = {"description": 50, "greeting": 30, "outside": 40, "language": 30, "colloquial": 50}


def test_there_are_200_inputs_half_of_them_sealed_in_every_kind() -> None:
    inputs = [json.loads(line) for line in (FOLDER / "inputs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert Counter(i["kind"] for i in inputs) == KINDS and len({i["text"] for i in inputs}) == 200
    halves = Counter((i["kind"], i["half"]) for i in inputs)
    assert halves == {(kind, half): n // 2 for kind, n in KINDS.items() for half in ("development", "sealed")}
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{kind}` | {n} |" in page for kind, n in KINDS.items())
    assert all(("asks" in i) == (i["kind"] == "colloquial") for i in inputs)
