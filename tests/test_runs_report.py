"""The scripts that make tables and figures run from end to end, in small, and write what they promise."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from plvm_lab.evaluate.portraits_benchmark import SMALL, portraits
from plvm_lab.portraits.person import PHRASES, person_of
from test_openai import Server
from test_openai import server as server

pytest_plugins = ["family"]

ROOT = Path(__file__).parents[1]


@pytest.fixture
def run(family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a script on the miniature model in an empty folder; returns what its result file says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def go(script: str, *words: str, out: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", [script, "--model", str(family), *words])
        sys.path.insert(0, str((ROOT / script).parent))
        runpy.run_path(str(ROOT / script), run_name="__main__")
        found = json.loads((tmp_path / out).read_text())
        assert found["command"].startswith("python ") and found["versions"]["torch"] and found["n"]
        return found

    return go


@pytest.mark.slow
def test_table_8_is_measured_on_a_folder_in_yollavas_layout(run: Any, tmp_path: Path) -> None:
    words = ("--small", "--parts", "recognition", "text_qa", "--out", "t8.json")
    found = run("research/runs/table8.py", *words, out="t8.json")
    summary = found["systems"]["plvm"]
    assert summary["suite"] == "yollava" and found["n"] == 6 * 36 == summary["timing"]["recognition"]["n"]
    assert summary["text_qa"]["accuracy"]["n"] == 18 and found["published"]["PLVM"]["mean"] == 86.2
    assert set(summary["benchmark"]["defects"]) <= {"not-the-papers-size", "shared-picture", "skewed-key"}
    folder = next((tmp_path / "build").rglob("train"))
    assert len(list(folder.iterdir())) == 6


def test_figure_4_is_a_dialogue_that_four_people_join(run: Any, tmp_path: Path) -> None:
    found = run("research/runs/figure4.py", "--out", "f4", out="f4/figure4.json")
    said = found["dialogue"]["systems"]["plvm"]
    assert [turn["joins"] for turn in said] == ["billie", "robin", "kai", "noel"]
    assert all(f"<{turn['joins']}>" in turn["question"] and turn["truth"] for turn in said)
    page = (tmp_path / "f4" / "index.html").read_text()
    assert page.count("data:image/webp") == 5 and "http" not in page


def test_figure_4_has_a_column_of_an_endpoint_that_is_asked_once(
    run: Any, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-figure")
    server.plan = lambda number, body: f"Answer {len([m for m in body['messages'] if m['role'] == 'user'])}."
    words = ("--systems", "openai", "--set", f"url={server.url}", "model=m", "--out", "f4")
    for _ in range(2):
        said = run("research/runs/figure4.py", *words, out="f4/figure4.json")["dialogue"]["systems"]["openai"]
        assert [turn["answer"] for turn in said] == [f"Answer {i}." for i in (1, 2, 3, 4)]
    assert len(server.bodies) == 4 and set(server.keys) == {"Bearer sk-figure"}
    assert "sk-figure" not in "".join(p.read_text(errors="ignore") for p in tmp_path.rglob("*.json"))


def test_figure_4_without_an_endpoint_says_what_is_missing(run: Any) -> None:
    with pytest.raises(SystemExit, match="needs an endpoint"):
        run("research/runs/figure4.py", "--systems", "openai", "--out", "f4", out="f4/figure4.json")


@pytest.mark.slow
def test_table_9_asks_about_each_context_token_and_counts_what_is_true(run: Any) -> None:
    found = run("research/runs/table9.py", "--small", "--people", "2", "--out", "t9.json", out="t9.json")
    assert [row["token"] for row in found["tokens"]] == [1, 2, 3, 4] and found["anchored_tokens"] == 3
    assert found["points_at"]["n"] == 3 * 6 and found["forms"]["published"]["right"]["n"] == 4 * 6 == found["n"]
    assert found["tokens"][3]["points_at"] is None and found["tokens"][0]["points_at"]["n"] == 6
    shown = found["people"][0]["tokens"]
    assert len(found["people"]) == 2 and set(shown[0]) == {"token", "word", "published", "described", "asked", "right"}
    assert [table["title"][:20] for table in found["tables"]] == [
        "What each context to",
        "How often that is tr",
        "Ways to ask about a ",
    ]


def test_what_a_text_says_of_a_person_is_true_where_all_of_it_is() -> None:
    table9 = runpy.run_path(str(ROOT / "research" / "runs" / "table9.py"))
    person = person_of("test", 0)
    own, other = (
        person.phrase("hair_color"),
        next(p for p in PHRASES["hair_color"].values() if p != person.phrase("hair_color")),
    )
    cases = {f"<n0> has {own}.": True, f"<n0> has {other}.": False, f"{own}, {other}": False, "<n0> is waving.": False}
    assert {text: table9["is_true"](text, person) for text in cases} == cases


def test_figure_5_shows_two_questions_of_each_kind(run: Any, tmp_path: Path) -> None:
    found = run("research/runs/figure5.py", "--small", "--out", "f5", out="f5/figure5.json")
    asked = found["examples"]
    assert [e["kind"] for e in asked] == [kind for kind in ("recognition", "text_qa", "visual_qa") for _ in range(2)]
    bench = portraits("test", 0, SMALL)
    for example, truth in zip(asked[:2], (True, False), strict=True):
        assert bench.present[bench.names.index(example["about"]), example["picture"]] == truth == (example["key"] == 0)
    assert all((e["picture"] is None) == (e["kind"] == "text_qa") for e in asked)
    assert all(sum(e["shares"]) == pytest.approx(1, abs=1e-3) and len(e["shares"]) == len(e["options"]) for e in asked)
    assert found["right"] == sum(e["shares"][e["key"]] == max(e["shares"]) for e in asked)
    with Image.open(tmp_path / "f5" / "figure5.png") as picture:
        assert picture.width == 1596 and len(picture.getcolors(10**6) or []) > 1000
    page = (tmp_path / "f5" / "index.html").read_text()
    assert page.count("data:image/webp") == 6 + 4 and "http" not in page


def test_table_7_counts_the_papers_parameters_and_times_what_is_here(run: Any) -> None:
    found = run("research/runs/table7.py", "--small", "--out", "t7.json", out="t7.json")
    full, mini = found["full_size"], found["mini"]
    assert round(full["aligner_trainable"] / 1e6) in (128, 129) and round(full["backbone"] / 1e6) == 7063
    assert round(full["aligner_share"], 3) == found["published"]["Aligner"]["share_of_parameters"] == 0.018
    seconds = mini["seconds"]
    assert all(value > 0 for value in seconds.values()) and mini["aligner_trainable"] < mini["backbone"]
    assert mini["aligner_over_answer"] == pytest.approx(seconds["aligner"] / seconds["answer"], abs=2e-4)
    assert found["tables"][0]["rows"][1][1:3] == ["128.8 M", "128 M"]


@pytest.mark.slow
def test_yollavas_budget_is_chosen_on_validation_people_and_learned_once(run: Any, tmp_path: Path) -> None:
    quick = ("positive=2", "hard=1", "others=1", "looks=0", "context_tokens=2", "batch=4")
    words = ("--small", "--people", "1", "--epochs", "1", "2", "--rates", "0.02", "--set", *quick, "--out", "b.json")
    found = run("research/runs/yollava_budget.py", *words, out="b.json")
    assert found["benchmark"] == "portraits/1/val/0" and found["n"] == 36
    means = [cell["recognition"]["mean"]["value"] for cell in found["cells"]]
    assert found["best"]["epochs"] == (1 if means[0] >= means[1] else 2) and len(found["tables"][0]["rows"]) == 2
    kept = sorted((tmp_path / "build" / "yollava_budget").rglob("*.safetensors"))
    times = [path.stat().st_mtime_ns for path in kept]
    again = run("research/runs/yollava_budget.py", *words, out="b.json")
    assert len(kept) == 2 and [path.stat().st_mtime_ns for path in kept] == times
    assert [c["recognition"]["mean"] for c in again["cells"]] == [c["recognition"]["mean"] for c in found["cells"]]


@pytest.mark.slow
def test_recognition_is_measured_against_the_number_of_enrolled_people(run: Any) -> None:
    words = ("--small", "--counts", "1", "3", "--pictures", "4", "--out", "e.json")
    found = run("research/benchmarks/enrolled.py", *words, out="e.json")["enrolled"]
    assert (
        found["1"]["found"]["value"] == 1 and found["1"]["times_as_long"] == 1 and found["1"]["false_alarms"]["n"] == 0
    )
    assert found["3"]["false_alarms"]["n"] == 8 and found["3"]["found"]["n"] == 4


@pytest.mark.slow
def test_recognition_is_measured_with_one_two_and_four_references(run: Any) -> None:
    found = run("research/benchmarks/references.py", "--small", "--out", "r.json", out="r.json")["references"]
    assert set(found) == {"1", "2", "4"} and found["1"]["gained"]["value"] == 0
    assert found["2"]["auc"] != found["1"]["auc"] or found["4"]["auc"] != found["1"]["auc"]


@pytest.mark.slow
def test_a_models_own_descriptions_are_judged_phrase_by_phrase(run: Any) -> None:
    found = run("research/benchmarks/descriptions.py", "--small", "--out", "d.json", out="d.json")
    for told in found["described"].values():
        assert len(told["said"]) == 6 and sum(t["said"] for t in told["by_trait"].values()) == told["true"]["n"]
        assert sum(t["true"] for t in told["by_trait"].values()) == round(told["true"]["value"] * told["true"]["n"])
    assert [table["title"] for table in found["tables"]] == ["How true mini's own descriptions are", "True phrases by trait"]


@pytest.mark.slow
def test_fresh_seeds_are_measured_with_text_and_visual_qa(run: Any) -> None:
    found = run("research/benchmarks/five_seeds.py", "--small", "--seeds", "3", "--out", "s.json", out="s.json")
    assert [list(found[part]) for part in ("recognition", "text_qa", "visual_qa")] == [["0", "3"]] * 3
    assert found["mean_of_fresh"] == found["recognition"]["3"]["mean"]["value"]
    assert len(found["tables"][0]["rows"]) == 2
