"""The report: every figure on the page is one of a result file, the page needs nothing but itself, and the pictures are
those that went wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from plvm_lab.report.ablations import ablation_svg, is_ablation
from plvm_lab.report.markdown import main_table, markdown, percent, tables_of, text_of
from typer.testing import CliRunner

from guess import Guess
from plvm.cli.main import app
from plvm.errors import RequestError
from plvm_lab.evaluate.portraits_benchmark import Size, portraits
from plvm_lab.evaluate.runner import evaluate
from plvm_lab.report.failures import Redrawn, hardest
from plvm_lab.report.plots import roc_svg
from plvm_lab.report.report_page import report_page
from plvm_lab.report.results import Run, find_runs
from plvm_lab.report.sheets import find_sheets, sheet_tables

SHARE = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 9}
TINY = Size(4, 20, text=6, visual=6, triples=12, who=(3, 1, 2), dialogues=1)
PARTS = ["recognition", "recognition_strict", "text_qa", "visual_qa", "controls"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    bench = portraits("val", 9, TINY)
    for name in ("plvm", "other"):
        evaluate(Guess(name), bench, folder / name, command=f"plvm eval --system {name}", parts=PARTS)
    (folder / "broken.json").write_text("{")
    (folder / "enroll.json").write_text('{"command": "x", "n": 3}')
    table = {
        "title": "Tokens & words",
        "header": ["token", "true"],
        "rows": [["<1>", SHARE]],
        "note": "Seen.",
        "quoted": 0,
    }
    (folder / "sheet.json").write_text(
        json.dumps({"command": "y", "commit": None, "seed": 2, "n": 9, "tables": [table]})
    )
    return folder


@pytest.fixture(scope="module")
def runs(results: Path) -> list[Run]:
    return find_runs(results)


def figures(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        return [node] if "low" in node else figures(list(node.values()))
    return [f for child in node for f in figures(child)] if isinstance(node, list) else []


def test_runs_are_found_by_what_files_hold_and_stand_with_their_equals(runs: list[Run], results: Path) -> None:
    assert [run.name for run in runs] == ["plvm", "other"], "files that are no results are passed over"
    assert all(run.records == results / run.name / "records.jsonl" for run in runs)
    assert runs[0].suite == runs[1].suite == "portraits/1/val/9: 4 identities, 20 query pictures"


def test_of_two_measurements_the_later_one_counts_and_another_size_stands_apart(
    runs: list[Run], tmp_path: Path
) -> None:
    old, new, small = (json.loads(runs[0].file.read_text()) for _ in range(3))
    old["time"], new["time"] = "2001-01-01T00:00:00", "2002-01-01T00:00:00"
    new["n"] = 7
    small["benchmark"]["size"]["identities"] = 3
    for name, content in (("a", new), ("b", old), ("c", small)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "many.json").write_text(json.dumps({"systems": {"third": new}}))
    found = find_runs(tmp_path)
    assert [(r.name, r.summary["n"]) for r in found if "4 identities" in r.suite] == [("plvm", 7), ("third", 7)]
    assert len(found) == 3


def test_every_figure_of_a_table_is_one_of_the_result_files(runs: list[Run]) -> None:
    known = {percent(f) for run in runs for f in figures(run.summary)}
    shown = [cell for table in tables_of(runs) for row in table.rows for cell in row]
    with_intervals = [percent(c) if isinstance(c, dict) else c for c in shown if "[" in str(c) or isinstance(c, dict)]
    assert len(with_intervals) > 20 and set(with_intervals) <= known


def test_the_papers_figures_stand_below_ours_and_are_marked(runs: list[Run]) -> None:
    table = main_table(runs)
    assert table is not None and table.quoted == 4
    text = markdown(table)
    assert "| PLVM (paper) | 78.5 | 84.7 | 81.6 | - | 85.9 | 77.5 |" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|") and "---" not in line}) == 1
    assert [row[0] for row in table.rows[:2]] == ["plvm", "other"]
    assert table.rows[0][3] == runs[0].summary["recognition"]["mean"]


def test_the_page_fetches_nothing_and_escapes_what_others_wrote(runs: list[Run], tmp_path: Path) -> None:
    evil = dict(runs[0].summary) | {"command": "<script>alert(1)</script>"}
    page = report_page([Run("<b>x</b>", evil, runs[0].file), *runs], tmp_path)
    assert "<script" not in page and "<b>x</b>" not in page and "&lt;b&gt;x&lt;/b&gt;" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(s.startswith(("data:", "#")) or (tmp_path / s).resolve().exists() for s in sources), sources
    assert any(s.endswith("records.jsonl") for s in sources) and len(page) < 1_500_000


def test_the_hardest_pairs_are_wrong_decisions_of_the_records(runs: list[Run]) -> None:
    records = [json.loads(line) for line in runs[0].records.read_text().splitlines()]  # type: ignore[union-attr]
    wrong = {
        (r["about"], r["picture"], r["truth"] == "Yes")
        for r in records
        if r["part"] == "recognition" and not r["right"]
    }
    found = hardest(runs[0])
    assert sum(i.wrong for i in found) == len(wrong)
    for identity in found:
        for miss in (*identity.missed, *identity.mistaken):
            assert (identity.name, miss.picture, miss.present) in wrong
        sure = [abs((m.probability or 0) - 0.5) for m in identity.mistaken]
        assert sure == sorted(sure, reverse=True)


def test_redrawn_pictures_are_those_that_were_asked_about(runs: list[Run]) -> None:
    bench = portraits("val", 9, TINY)
    again = Redrawn(runs[0])
    assert again.query(3).tobytes() == bench.album().query(3).tobytes()
    name = bench.names[1]
    assert again.reference(name).tobytes() == bench.album().reference(name).tobytes()
    older = Run(
        "plvm",
        runs[0].summary | {"benchmark": {"key": "portraits/0/val/9", "size": {"identities": 4, "pictures": 20}}},
        Path(),
    )
    assert not Redrawn.can(older) and Redrawn.can(runs[0])


def test_a_curve_is_drawn_where_its_points_are() -> None:
    svg = roc_svg({"a<b": ([0, 0.5, 1], [0, 1, 1])})
    assert 'points="56.0,376.0 236.0,16.0 416.0,16.0"' in svg and "a&lt;b" in svg and "a<b" not in svg


def test_the_command_writes_page_tables_and_json(results: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(results), "--out", str(tmp_path / "r"), "--json"])
    assert done.exit_code == 0, done.stderr
    tables, sheet = json.loads(done.stdout).values()
    assert sheet[0]["rows"] == [["<1>", SHARE]]
    assert tables[0]["title"].startswith("Recognition") and tables[0]["rows"][0][0] == "plvm"
    assert "### Multiple choice and its controls" in (tmp_path / "r" / "tables.md").read_text()
    assert (tmp_path / "r" / "index.html").read_text().startswith("<!doctype html>")


def test_files_with_tables_of_their_own_stand_on_the_page_with_their_command(
    runs: list[Run], results: Path, tmp_path: Path
) -> None:
    (sheet,) = find_sheets(results)
    bare = [Run(r.name, r.summary, r.file) for r in runs]  # without records no pictures are drawn
    page = report_page(bare, tmp_path, sheets=[sheet])
    assert "<h3>Tokens &amp; words</h3>" in page and "&lt;1&gt;" in page and "<1>" not in page
    assert "<td>50.0<small>25.0 to 75.0</small></td>" in page and "<code>y</code>, commit none, seed 2, n 9." in page
    assert "#more" not in report_page(bare, tmp_path)


RESULTS = Path(__file__).parents[1] / "research" / "results"
NO_TABLE = {"enroll.json", "planted.json", "synth.json", "synth_answers.json"}  # quoted where they are spoken of


def test_every_published_result_file_is_in_the_report(tmp_path: Path) -> None:
    runs, sheets = find_runs(RESULTS), find_sheets(RESULTS)
    shown = {run.file for run in runs} | {sheet.file for sheet in sheets}
    passed_over = {f.name for f in RESULTS.rglob("*.json") if f not in shown}
    assert passed_over - {"state.json"} == NO_TABLE, "state.json is left by runs in a checkout"
    bare = [Run(r.name, r.summary, r.file) for r in runs]
    page = report_page(bare, tmp_path, sheets=sheets)
    for number in range(1, 10):
        assert f"Table {number})" in page, number
    assert page.index("The paper's tables") < page.index("Further measurements")
    assert 'figure4/index.html">Figure 4</a>' in page and 'figure5/index.html">Figure 5</a>' in page
    assert "--seeds 3</code>" in page and "seeds 0, 1, 2" in page


def test_every_figure_of_the_published_tables_is_in_their_files() -> None:
    for sheet in find_sheets(RESULTS):
        if "tables" in sheet.content or is_ablation(sheet.content):
            continue
        known = {percent(f) for f in figures(sheet.content)}
        cells = [c for table in sheet_tables(sheet) for row in table.rows for c in row]
        assert {percent(c) for c in cells if isinstance(c, dict)} <= known, sheet.file


def test_a_system_that_was_asked_about_one_concept_alone_is_in_no_table_of_several() -> None:
    suite = [run for run in find_runs(RESULTS) if run.key == "portraits/1/test/0"]
    by_title = {table.title: table for table in tables_of(suite)}
    assert {"plvm", "embedding"} <= {row[0] for row in by_title["Decisions"].rows}
    assert [row[0] for row in by_title["Several concepts in one prompt"].rows] == ["plvm"]


def test_table_1_has_every_system_with_the_papers_figures_and_all_controls() -> None:
    (sheet,) = (s for s in find_sheets(RESULTS) if s.file.stem == "table1")
    main, checks = sheet_tables(sheet)
    rows = {row[0]: row for row in main.rows}
    assert len(rows) == len(sheet.content["rows"]) >= 13 and rows["yollava"][-3:] == ("73.4", "77.4", "72.9")
    asked = [r["system"] for r in sheet.content["rows"] if r["text_qa"]]
    assert [row[0] for row in checks.rows] == [name for name in asked for _ in range(2)]
    best = checks.header.index("constant")
    for row in checks.rows:
        assert all(row[i] != "-" for i in range(best, len(row)) if checks.header[i] != "no image" or row[1] == "visual")


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no result"):
        find_runs(tmp_path)
    with pytest.raises(RequestError, match="not a folder"):
        find_runs(tmp_path / "nowhere")


def test_arms_of_a_training_stand_beside_the_papers_figures_as_a_table_and_a_chart(tmp_path: Path) -> None:
    def row(arm: str, seed: int, mean: float, paper: dict[str, float] | None) -> dict[str, Any]:
        share = {"value": mean, "low": mean - 0.05, "high": mean + 0.04}
        recognition = {"positive": share, "negative": share, "mean": share}
        told = {"recognition": recognition, "lookalikes": {"mean": {"value": 0.5, "low": 0.4, "high": 0.6}}}
        return {"arm": arm, "seed": seed, **told, "paper": paper, "n": 8364, "steps": 600}

    quoted = {"positive": 4.0, "negative": 96.0, "mean": 50.0}
    rows = [row("w=1", 0, 0.6, quoted), row("w=1", 1, 0.7, quoted), row("w=5", 0, 0.8, None)]
    content = {"command": "python research/runs/table2_w.py", "commit": "abc", "seed": 1, "rows": rows}
    (tmp_path / "table2_w.json").write_text(json.dumps(content))
    (sheet,) = find_sheets(tmp_path)
    (table,) = sheet_tables(sheet)
    assert "(Table 2)" in table.title
    assert [[text_of(c) for c in r] for r in table.rows] == [
        ["w=1", "2", *["65.0 [60.0, 70.0]"] * 3, "50.0 [50.0, 50.0]", "4.0", "96.0", "50.0"],
        ["w=5", "1", *["80.0 [75.0, 84.0]"] * 3, "50.0 [40.0, 60.0]", "-", "-", "-"],
    ]
    drawn = ablation_svg(content)
    widths = [float(w) for w in re.findall(r'<rect [^>]*width="([\d.]+)"', drawn)]
    assert widths[0] / widths[1] == pytest.approx((0.65 - 0.4) / (0.8 - 0.4), abs=0.01), "bars begin at 40 %"
    assert drawn.count("<circle") == 1
