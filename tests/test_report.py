"""The report: every figure on the page is one of a result file, the page needs nothing but itself, and the pictures are
those that went wrong."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guess import Guess
from plvm.cli.main import app
from plvm.errors import RequestError
from plvm_lab.evaluate.portraits_benchmark import Size, portraits
from plvm_lab.evaluate.result_table import markdown, percent, table_of
from plvm_lab.evaluate.runner import evaluate
from plvm_lab.report.charts import Bar, Chart, chart_svg
from plvm_lab.report.evaluations import main_table, tables_of
from plvm_lab.report.failures import Redrawn, hardest
from plvm_lab.report.measurement import find_measurements
from plvm_lab.report.plots import roc_svg
from plvm_lab.report.report_page import report_page
from plvm_lab.report.result_folder import Results, read_folder
from plvm_lab.report.results import Run, find_runs

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
    (folder / "measurement.json").write_text(
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


def test_published_figures_stand_below_ours_and_are_marked(runs: list[Run]) -> None:
    table = main_table(runs)
    assert table is not None and table.quoted == 4
    text = markdown(table)
    assert "| PLVM (published) | 78.5 | 84.7 | 81.6 | - | 85.9 | 77.5 |" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|") and "---" not in line}) == 1
    assert [row[0] for row in table.rows[:2]] == ["plvm", "other"]
    assert table.rows[0][3] == runs[0].summary["recognition"]["mean"]


def test_the_page_fetches_nothing_and_escapes_what_others_wrote(runs: list[Run], tmp_path: Path) -> None:
    evil = dict(runs[0].summary) | {"command": "<script>alert(1)</script>"}
    page = report_page(Results([Run("<b>x</b>", evil, runs[0].file), *runs], []), tmp_path)
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
    tables, measurement = json.loads(done.stdout).values()
    assert measurement[0]["rows"] == [["<1>", SHARE]]
    assert tables[0]["title"].startswith("Recognition") and tables[0]["rows"][0][0] == "plvm"
    assert "### Multiple choice and its controls" in (tmp_path / "r" / "tables.md").read_text()
    assert (tmp_path / "r" / "index.html").read_text().startswith("<!doctype html>")


def test_files_with_tables_of_their_own_stand_on_the_page_with_their_command(
    runs: list[Run], results: Path, tmp_path: Path
) -> None:
    (measurement,) = find_measurements(results)
    bare = [Run(r.name, r.summary, r.file) for r in runs]  # without records no pictures are drawn
    page = report_page(Results(bare, [measurement]), tmp_path)
    assert "<h3>Tokens &amp; words</h3>" in page and "&lt;1&gt;" in page and "<1>" not in page
    assert "<td>50.0<small>25.0 to 75.0</small></td>" in page and "<code>y</code>, commit none, seed 2, n 9." in page
    assert "#more" not in report_page(Results(bare, []), tmp_path)


TOY = {
    "command": "python toy.py", "commit": "abcdef0123456", "seed": 7, "rows": [{"arm": "a", "seed": 0}, {"arm": "a", "seed": 1}],
    "tables": [{"title": "Toys", "header": ["toy", "loved"], "rows": [["bear", SHARE]], "note": "By children.", "quoted": 0}],
    "charts": [
        {"caption": "loved, %", "bars": [{"name": "bear", "value": 0.7, "low": 0.6, "high": 0.8, "mark": 0.5}], "start": 0.4}
    ],
}  # fmt: skip


def test_a_new_result_table_is_a_file_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "anywhere" / "deep"
    folder.mkdir(parents=True)
    (folder / "whatever.json").write_text(json.dumps(TOY))
    done = CliRunner().invoke(app, ["report", str(tmp_path / "anywhere"), "--out", str(tmp_path / "r")])
    assert done.exit_code == 0, done.stderr
    assert "| bear | 50.0 [25.0, 75.0] |" in (tmp_path / "r" / "tables.md").read_text() and "### Toys" in done.stdout
    page = (tmp_path / "r" / "index.html").read_text()
    assert "<td>50.0<small>25.0 to 75.0</small></td>" in page and "By children." in page
    assert "commit abcdef0123, seeds 0, 1." in page, "rows may have seeds of their own"
    assert page.count("<circle") == 1 and ">loved, %</text>" in page


def test_what_makes_a_published_table_again_stands_first_and_in_its_order(tmp_path: Path) -> None:
    for name, place in (("a", ""), ("b", "Table 10"), ("c", "Table 9"), ("d", "Figure 1")):
        (tmp_path / f"{name}.json").write_text(json.dumps(TOY | {"place": place}))
    assert [measurement.place for measurement in find_measurements(tmp_path)] == ["Figure 1", "Table 9", "Table 10", ""]
    page = report_page(read_folder(tmp_path), tmp_path)
    assert page.index('id="published"') < page.index(">d.json<") < page.index('id="more"') < page.index(">a.json<")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"tables": [{"title": "Toys"}]}, "no title, header or rows"),
        ({"tables": [{"title": "Toys", "header": ["a", "b"], "rows": [["x"]]}]}, "1 cells under 2 words"),
        ({"tables": [{"title": "Toys", "header": ["a"], "rows": [[3]]}]}, "neither a text nor a figure"),
        ({"charts": [{"caption": "x", "bars": [{"nam": "y"}], "start": 0}]}, "no caption, bars or start"),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_file(tmp_path: Path, broken: dict[str, Any], said: str) -> None:
    (tmp_path / "toy.json").write_text(json.dumps(TOY | broken))
    done = CliRunner().invoke(app, ["report", str(tmp_path), "--out", str(tmp_path / "r")])
    assert done.exit_code == 2 and "toy.json" in done.stderr and said in done.stderr


RESULTS = Path(__file__).parents[1] / "research" / "results"


def test_the_package_knows_no_result_file_by_name() -> None:
    own = {path.stem for path in RESULTS.rglob("*.json")} - {"summary", "systems"}  # what evaluations are called
    for file in Path(read_folder.__code__.co_filename).parent.glob("*.py"):
        quoted = set(re.findall(r"[\"'/]([\w-]+)(?:\.json)?[\"']", file.read_text(encoding="utf-8")))
        assert not quoted & own - {"portraits"}, file


def test_every_published_result_file_is_in_the_report(tmp_path: Path) -> None:
    found = read_folder(RESULTS)
    shown = {run.file for run in found.runs} | {measurement.file for measurement in found.measurements}
    passed_over = {f.name for f in RESULTS.rglob("*.json") if f not in shown}
    assert passed_over <= {"state.json"}, "state.json is left by runs in a checkout"
    bare = [Run(r.name, r.summary, r.file) for r in found.runs]
    page = report_page(Results(bare, found.measurements), tmp_path)
    for number in range(1, 10):
        assert f"Table {number})" in page, number
    assert page.index("<h2 id=\"published\">") < page.index("<h2 id=\"more\">")
    assert 'figure4/index.html">Figure 4</a>' in page and 'figure5/index.html">Figure 5</a>' in page
    assert "--seeds 3</code>" in page and "seeds 0, 1, 2" in page


def test_every_figure_of_the_published_tables_is_in_their_files() -> None:
    for measurement in find_measurements(RESULTS):
        if "arm" in (measurement.content.get("rows") or [{}])[0]:
            continue  # means of several trainings
        own = {k: v for k, v in measurement.content.items() if k not in ("tables", "charts")}
        known = {percent(f) for f in figures(own)}
        cells = [c for table in measurement.tables for row in table.rows for c in row]
        assert {percent(c) for c in cells if isinstance(c, dict)} <= known, measurement.file


def test_a_system_that_was_asked_about_one_concept_alone_is_in_no_table_of_several() -> None:
    suite = [run for run in find_runs(RESULTS) if run.key == "portraits/1/test/0"]
    by_title = {table.title: table for table in tables_of(suite)}
    assert {"plvm", "embedding"} <= {row[0] for row in by_title["Decisions"].rows}
    assert [row[0] for row in by_title["Several concepts in one prompt"].rows] == ["plvm"]


def test_table_1_has_every_system_with_the_published_figures_its_command_and_all_controls() -> None:
    (measurement,) = (s for s in find_measurements(RESULTS) if s.file.stem == "table1")
    main, checks, measured = measurement.tables
    rows = {row[0]: row for row in main.rows}
    assert len(rows) == len(measurement.content["rows"]) >= 14 and rows["yollava"][-3:] == ("73.4", "77.4", "72.9")
    asked = [r["system"] for r in measurement.content["rows"] if r["text_qa"]]
    assert [row[0] for row in checks.rows] == [name for name in asked for _ in range(2)]
    assert [row[0] for row in measured.rows] == list(rows)
    best = checks.header.index("constant")
    for row in checks.rows:
        assert all(row[i] != "-" for i in range(best, len(row)) if checks.header[i] != "no image" or row[1] == "visual")


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no result"):
        read_folder(tmp_path)
    with pytest.raises(RequestError, match="not a folder"):
        read_folder(tmp_path / "nowhere")


def test_bars_begin_where_the_axis_does_and_marks_stand_where_there_are_some() -> None:
    bars = (Bar("a<b", 0.65, 0.6, 0.7, mark=0.5), Bar("c", 0.8, 0.75, 0.84), Bar("d", 0.3, 0.2, 0.35))
    drawn = chart_svg(Chart("mean & more", bars, start=0.4))
    widths = [float(w) for w in re.findall(r'<rect [^>]*width="([\d.]+)"', drawn)]
    assert widths[0] / widths[1] == pytest.approx((0.65 - 0.4) / (0.8 - 0.4), abs=0.01) and widths[2] == 0
    assert drawn.count("<circle") == 1 and "a&lt;b" in drawn and "a<b" not in drawn and "mean &amp; more" in drawn


def test_a_table_comes_back_from_json_as_it_was() -> None:
    table = main_table(find_runs(RESULTS)[:1])
    assert table is not None and table_of(json.loads(json.dumps(asdict(table)))) == table
