"""One HTML page that needs nothing but itself: tables, curves and pictures are inside it, nothing is fetched."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from plvm_lab.report.ablations import ablation_svg, is_ablation
from plvm_lab.report.failures import Identity, Miss, Redrawn, hardest
from plvm_lab.report.markdown import Cell, Table, tables_of, text_of
from plvm_lab.report.plots import roc_svg
from plvm_lab.report.results import Run, by_suite
from plvm_lab.report.sheets import Sheet, sheet_tables

STYLE = """
:root { --ink: #2b2a33; --pale: #6d6977; --paper: #faf8f4; --line: #e6e0d5; --wrong: #c23b3b; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 40px 24px 80px; }
h1 { font-size: 34px; line-height: 1.15; margin: 0 0 6px; letter-spacing: -0.02em; }
h2 { font-size: 24px; margin: 56px 0 4px; } h3 { font-size: 18px; margin: 36px 0 10px; }
p { max-width: 46em; margin: 8px 0; } p.note, footer, .facts { color: var(--pale); font-size: 14px; }
nav { margin: 16px 0; } nav a { margin-right: 18px; } a { color: #0b7285; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 15px; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 12px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; color: var(--pale); font-size: 13px; vertical-align: bottom; white-space: normal; }
th:first-child, td:first-child, .word { text-align: left; } th:first-child, td:first-child { padding-left: 4px; }
td small { display: block; color: var(--pale); font-size: 12px; line-height: 1.2; }
tr.quoted td { color: var(--pale); font-style: italic; } tr.quoted.first td { border-top: 2px solid var(--line); }
.roc { max-width: 700px; } .roc svg { width: 100%; height: auto; }
.person { display: grid; grid-template-columns: 132px 1fr 1fr; gap: 20px; padding: 16px 0;
  border-bottom: 1px solid var(--line); align-items: start; }
.person h4 { margin: 0 0 6px; font-size: 14px; font-weight: 600; color: var(--pale); }
.row { display: flex; flex-wrap: wrap; gap: 8px; }
figure { margin: 0; } figure img { display: block; width: 112px; height: 112px; border-radius: 8px; object-fit: cover; }
.who img { width: 132px; height: 132px; border-radius: 50%; }
figcaption { font-size: 12px; color: var(--pale); text-align: center; } .who figcaption { font-size: 14px; color: var(--ink); }
footer { margin-top: 64px; border-top: 1px solid var(--line); padding-top: 16px; }
@media (max-width: 760px) { .person { grid-template-columns: 1fr; } }
"""
Progress = Callable[[str, int, int], None]


def report_page(
    runs: Sequence[Run], home: Path, progress: Progress = lambda *_: None, *, sheets: Sequence[Sheet] = ()
) -> str:
    """The whole page. `home` is the folder that it will lie in: links to records start there."""
    suites = by_suite(runs)
    sections = [_suite(i, own, home, progress) for i, own in enumerate(suites.values())]
    links = "".join(f'<a href="#suite-{i}">{html.escape(suite)}</a>' for i, suite in enumerate(suites))
    paper, more = ([s for s in sheets if s.of_the_paper == own] for own in (True, False))
    links = ('<a href="#paper">the paper\'s tables</a>' if paper else "") + links
    links += '<a href="#more">further measurements</a>' if more else ""
    latest = max(run.summary["time"] for run in runs)
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>plvm: what was measured</title><style>{STYLE}</style></head>
<body><main>
<h1>What was measured</h1>
<p>{len(runs)} {"run" if len(runs) == 1 else "runs"} on
{len(suites)} {"benchmark" if len(suites) == 1 else "benchmarks"}, the latest of
{html.escape(latest[:10])}. Shares are percent with 95 % bootstrap intervals over identities.</p>
<nav>{links}</nav>
{_sheets("The paper's tables and figures", "paper", paper, home)}{"".join(sections)}
{_sheets("Further measurements", "more", more, home)}
<footer>Made by <code>plvm report</code> from result files alone. Every figure can be found in the file that its run
names, with command, commit, seed and versions.</footer>
</main></body></html>
"""


def _suite(number: int, runs: Sequence[Run], home: Path, progress: Progress) -> str:
    tables = "".join(_table(table) for table in tables_of(runs))
    grids = "".join(_failures(run, progress) for run in runs if run.records is not None and Redrawn.can(run))
    return f"""<h2 id="suite-{number}">{html.escape(runs[0].suite)}</h2>
<p class="facts">{html.escape(_flaws(runs[0]))}</p>{tables}{_curves(runs)}{grids}{_sources(runs, home)}"""


def _sheets(title: str, anchor: str, sheets: Sequence[Sheet], home: Path) -> str:
    """The tables, charts and pages of result files, each file with where it comes from."""
    parts = []
    for sheet in sheets:
        facts, page = sheet.content, sheet.page
        parts += [_table(table) for table in sheet_tables(sheet)]
        parts += [f'<div class="roc">{ablation_svg(facts)}</div>'] if is_ablation(facts) else []
        parts += [f"<h3>{_link(page, home, sheet.title)}</h3>"] if page else []
        told = f"<code>{html.escape(facts['command'])}</code>, commit {html.escape((facts['commit'] or 'none')[:10])}"
        counted = f", n {facts['n']:,}" if "n" in facts else ""
        seeds = sorted({row["seed"] for row in facts["rows"]}) if is_ablation(facts) else [facts["seed"]]
        seeded = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
        parts.append(f'<p class="facts">{_link(sheet.file, home, sheet.file.name)}: {told}, {seeded}{counted}.</p>')
    return f'<h2 id="{anchor}">{title}</h2>{"".join(parts)}' if parts else ""


def _flaws(run: Run) -> str:
    flaws = run.summary["benchmark"].get("defects")
    return f"Flaws of the folder: {', '.join(f'{k} {n}' for k, n in flaws.items())}." if flaws else ""


def _table(table: Table) -> str:
    first = table.rows[0] if table.rows else [""] * len(table.header)
    head = "".join(f"<th{_kind(cell)}>{html.escape(name)}</th>" for name, cell in zip(table.header, first, strict=True))
    rows = []
    own = len(table.rows) - table.quoted
    for i, row in enumerate(table.rows):
        kind = "" if i < own else ' class="quoted first"' if i == own else ' class="quoted"'
        rows.append(f"<tr{kind}>{''.join(_cell(c) for c in row)}</tr>")
    note = f'<p class="note">{html.escape(table.note)}</p>' if table.note else ""
    return (
        f'<h3>{html.escape(table.title)}</h3><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{note}"
    )


def _cell(cell: Cell) -> str:
    value, _, interval = text_of(cell).partition(" [")
    if not interval:
        return f"<td{_kind(cell)}>{html.escape(value)}</td>"
    return f"<td>{value}<small>{interval.removesuffix(']').replace(', ', ' to ')}</small></td>"


def _kind(cell: Cell) -> str:
    """Words stand at the left, numbers at the right."""
    return ' class="word"' if isinstance(cell, str) and cell[:1].isalpha() else ""


def _curves(runs: Sequence[Run]) -> str:
    curves = {r.name: r.summary["recognition"]["roc"] for r in runs if "roc" in r.summary.get("recognition", {})}
    if not curves:
        return ""
    svg = roc_svg({name: (c["false"], c["true"]) for name, c in curves.items()})
    return f'<h3>Recognition: ROC curves</h3><div class="roc">{svg}</div>'


def _failures(run: Run, progress: Progress) -> str:
    found = hardest(run)
    if not found:
        return ""
    redrawn = Redrawn(run)
    people = []
    for i, identity in enumerate(found):
        people.append(_person(identity, redrawn))
        progress(f"pictures of {run.name}", i + 1, len(found))
    return (
        f"<h3>Hardest identities for {html.escape(run.name)}</h3>"
        '<p class="note">The wrong decisions that it was surest of, with its P(Yes). The pictures are drawn again from '
        f"the seed.</p>{''.join(people)}"
    )


def _person(identity: Identity, redrawn: Redrawn) -> str:
    def row(title: str, misses: Sequence[Miss]) -> str:
        if not misses:
            return f"<div><h4>{title}: none</h4></div>"
        figures = "".join(
            figure(redrawn.query(m.picture), "not read" if m.probability is None else f"{m.probability:.3f}", 112)
            for m in misses
        )
        return f'<div><h4>{title}</h4><div class="row">{figures}</div></div>'

    caption = f"&lt;{html.escape(identity.name)}&gt;<br>{identity.wrong} of {identity.asked} wrong"
    return (
        f'<section class="person"><div class="who">{figure(redrawn.reference(identity.name), caption, 132)}</div>'
        f"{row('Overlooked', identity.missed)}{row('Somebody else taken for them', identity.mistaken)}</section>"
    )


def figure(picture: Image.Image, caption: str, side: int) -> str:
    """A picture inside the page, `side` pixels wide; the caption is HTML."""
    small = picture.copy()
    small.thumbnail((round(side * 1.3), round(side * 1.3)), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=75)
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure><img src="data:image/webp;base64,{data}" width="{side}" height="{side}" alt="">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _sources(runs: Sequence[Run], home: Path) -> str:
    rows = []
    for run in runs:
        summary = _link(run.file, home, run.file.name)
        records = _link(run.records, home, "records") if run.records is not None else "not kept"
        commit = (run.summary["commit"] or "no commit")[:10]
        rows.append(
            f'<tr><td>{html.escape(run.name)}</td><td class="word"><code>{html.escape(run.summary["command"])}</code>'
            f"</td><td>{html.escape(commit)}</td><td>{run.summary['seed']}</td><td>{run.summary['n']:,}</td>"
            f'<td class="word">{summary}</td><td class="word">{records}</td></tr>'
        )
    words = ("command", "file", "items")
    names = ("system", "command", "commit", "seed", "n", "file", "items")
    header = "".join(f'<th{" class=word" if name in words else ""}>{name}</th>' for name in names)
    return (
        '<h3>Where the figures come from</h3><div class="scroll"><table><thead><tr>'
        f"{header}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _link(path: Path, home: Path, text: str) -> str:
    target = Path(os.path.relpath(path.resolve(), home.resolve())).as_posix()
    return f'<a href="{html.escape(target)}">{html.escape(text)}</a>'
