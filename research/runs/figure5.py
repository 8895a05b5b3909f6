"""Figure 5 of the paper on mini: examples of the three kinds of questions, with what a system answers.

    python research/runs/figure5.py                             # research/results/figure5/: figure5.png, index.html, figure5.json
    python research/runs/figure5.py --system llava-prompt

Two questions of each kind from the published portraits benchmark: recognition (somebody who is there, somebody who is not),
text-only QA (the reference alone) and visual QA. Which ones is drawn by --seed, not chosen by their answers. Bars are the
shares of probability that the system gives its options; green letters are the keys.

Claim: none; an illustration, not a measurement. A laptop's CPU, a few seconds.
"""

from __future__ import annotations

import argparse
import html
import random
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from plvm import personal
from plvm_lab.demo.cards import EDGE, INK, PALE, PAPER, RIGHT, WHITE, WRONG, S, draw_mark, font_of, paste
from plvm_lab.evaluate.drawings import Drawings
from plvm_lab.evaluate.items import LETTERS, Choice
from plvm_lab.evaluate.portraits_benchmark import SMALL, Benchmark, portraits
from plvm_lab.evaluate.system import Ask, Chooses, Recognizes, System
from plvm_lab.report.report_page import STYLE, figure
from plvm_lab.systems import build_system

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
from result import RESULTS, write_result  # noqa: E402 - it lies beside the benchmarks

KINDS = {
    "recognition": ("Recognition", "a query picture: is the person in it?"),
    "text_qa": ("Text-only QA", "no query picture: what is known from the reference"),
    "visual_qa": ("Visual QA", "about the person in a query picture"),
}
PANEL, GAP, INSIDE, PHOTO, FACE, ROW = 500, 24, 26, 236, 132, 36  # pixels of the finished figure
TINT, BAR = "#f1f7f3", "#dfe8fb"
OWN_STYLE = """
.kinds { display: grid; grid-template-columns: repeat(3, 1fr); gap: 24px; align-items: start; }
.kind { background: #fff; border: 1px solid var(--line); border-radius: 16px; padding: 4px 22px 18px; }
.pair { display: flex; gap: 18px; align-items: center; margin: 18px 0 10px; }
.pair figure:first-child img { border-radius: 50%; } .pair figure img { border-radius: 12px; }
ol { list-style: upper-alpha; padding-left: 26px; margin: 6px 0; } li.key { color: #2f9e63; font-weight: 600; }
li small { color: var(--pale); font-weight: 400; } .right { color: #2f9e63; } .wrong { color: var(--wrong); }
@media (max-width: 1000px) { .kinds { grid-template-columns: 1fr; } }
"""


@dataclass(frozen=True)
class Example:
    """A question with its options, the key, the query picture's number (None: none) and the shares of the answer."""

    kind: str
    about: str
    picture: int | None
    question: str
    options: tuple[str, ...]
    key: int
    shares: tuple[float, ...] = ()

    @property
    def said(self) -> int:
        """The option that the system chose."""
        return int(np.argmax(self.shares))


def drawn(bench: Benchmark, seed: int) -> list[Example]:
    """Two questions of each kind, about six people."""
    rng = random.Random(f"plvm-figure-5/{seed}")
    free = rng.sample(range(len(bench.names)), 2)
    found = []
    for truth in (True, False):
        i = free.pop()
        picture = rng.choice(np.flatnonzero(bench.present[i] == truth).tolist())
        question = bench.wording.format(x=f"<{bench.names[i]}>")
        found.append(Example("recognition", bench.names[i], picture, question, ("Yes", "No"), 0 if truth else 1))
    for kind in ("text_qa", "visual_qa"):
        asked: list[Choice] = []
        for item in rng.sample(getattr(bench, kind), len(getattr(bench, kind))):
            if item.about in {e.about for e in found} | {c.about for c in asked} or item.kind in {
                c.kind for c in asked
            }:
                continue
            asked.append(item)
            if len(asked) == 2:
                break
        found += [Example(kind, c.about, c.picture, c.question, c.options, c.key) for c in asked]
    return found


def answered(example: Example, system: System, album: Drawings) -> Example:
    """The example with the system's shares."""
    picture = None if example.picture is None else album.query(example.picture)
    known = system.learn(example.about, album.reference(example.about))
    if example.kind == "recognition":
        assert isinstance(system, Recognizes)
        yes = float(system.recognize([picture], [known])[0, 0])
        return Example(**asdict(example) | {"shares": (yes, 1 - yes)})
    assert isinstance(system, Chooses)
    shares = system.choose([Ask(picture, example.question, (known,), example.options)])[0]
    return Example(**asdict(example) | {"shares": tuple(float(s) for s in shares)})


# ---------------------------------------------------------------- the picture


def lines_of(canvas: ImageDraw.ImageDraw, words: str, size: int, width: int) -> list[str]:
    """`words` broken into lines of at most `width` pixels."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and canvas.textlength(longer, font_of(size, words)) > width * S:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def height_of(canvas: ImageDraw.ImageDraw, example: Example) -> int:
    """How high an example is drawn."""
    return (
        PHOTO
        + 22
        + 28 * len(lines_of(canvas, example.question, 20, PANEL - 2 * INSIDE))
        + 10
        + ROW * len(example.options)
    )


def draw_figure(examples: list[Example], album: Drawings, system: str) -> Image.Image:
    """A panel for each kind, two examples in each, as an RGB picture."""
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    columns = [[e for e in examples if e.kind == kind] for kind in KINDS]
    slots = [max(height_of(ruler, column[i]) for column in columns) for i in range(2)]
    height = 78 + sum(slots) + 56 + 22
    width = 3 * PANEL + 4 * GAP
    image = Image.new("RGB", (width * S, (height + 2 * GAP) * S), PAPER)
    canvas = ImageDraw.Draw(image)
    for n, (kind, column) in enumerate(zip(KINDS, columns, strict=True)):
        left, y = GAP + n * (PANEL + GAP), GAP
        canvas.rounded_rectangle(box(left, y, PANEL, height), 22 * S, WHITE, EDGE, S)
        title, about = KINDS[kind]
        canvas.text(((left + INSIDE) * S, (y + 20) * S), title, INK, font_of(26, title))
        canvas.text(((left + INSIDE) * S, (y + 52) * S), about, PALE, font_of(15, about))
        y += 92
        for i, example in enumerate(column):
            draw_example(canvas, image, example, album, system, left + INSIDE, y)
            y += slots[i] + 28
            if i == 0:
                canvas.line([((left + INSIDE) * S, (y - 14) * S), ((left + PANEL - INSIDE) * S, (y - 14) * S)], EDGE, S)
                y += 14
    return image.resize((image.width // S, image.height // S), Image.Resampling.LANCZOS)


def box(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    """Corners on the canvas."""
    return (x * S, y * S, (x + width) * S, (y + height) * S)


def draw_example(
    canvas: ImageDraw.ImageDraw, image: Image.Image, example: Example, album: Drawings, system: str, x: int, y: int
) -> None:
    """Reference and query picture, the question, the options with the system's shares."""
    inner = PANEL - 2 * INSIDE
    face = album.reference(example.about).resize((FACE * S, FACE * S), Image.Resampling.LANCZOS)
    top = y + (PHOTO - FACE - 28) // 2
    canvas.ellipse(box(x + 16, top - 4, FACE + 8, FACE + 8), EDGE)
    paste(image, face, ((x + 20) * S, top * S), lambda d, b: d.ellipse(b, 255))
    name = f"<{example.about}>"
    canvas.text(((x + 20 + FACE / 2) * S, (top + FACE + 10) * S), name, INK, font_of(18, name), anchor="ma")
    right = x + inner - PHOTO
    if example.picture is None:
        canvas.rounded_rectangle(box(right, y, PHOTO, PHOTO), 18 * S, PAPER, EDGE, S)
        words = "no picture"
        canvas.text(((right + PHOTO / 2) * S, (y + PHOTO / 2) * S), words, PALE, font_of(17, words), anchor="mm")
    else:
        query = album.query(example.picture).resize((PHOTO * S, PHOTO * S), Image.Resampling.LANCZOS)
        paste(image, query, (right * S, y * S), lambda d, b: d.rounded_rectangle(b, 18 * S, 255))
    y += PHOTO + 20
    for line in lines_of(canvas, example.question, 20, inner):
        canvas.text((x * S, y * S), line, INK, font_of(20, line))
        y += 28
    y += 8
    for i, option in enumerate(example.options):
        draw_option(canvas, example, i, option, system, x, y, inner)
        y += ROW


def draw_option(
    canvas: ImageDraw.ImageDraw, example: Example, i: int, option: str, system: str, x: int, y: int, inner: int
) -> None:
    """One option: its letter (green for the key), its words over a bar of its share, and who chose it."""
    words = option.replace(f"<{example.about}> ", "").rstrip(".")
    key, said, share = i == example.key, i == example.said, example.shares[i]
    canvas.ellipse(box(x, y + 3, 26, 26), RIGHT if key else PAPER, None if key else EDGE, S)
    letter = LETTERS[i] if example.kind != "recognition" else words[0]
    canvas.text(((x + 13) * S, (y + 16) * S), letter, WHITE if key else PALE, font_of(15, letter), anchor="mm")
    room = inner - 34 - 112
    canvas.rounded_rectangle(box(x + 34, y + 2, room, 28), 9 * S, PAPER)
    if share > 0.03:
        canvas.rounded_rectangle(box(x + 34, y + 2, max(18, room * share), 28), 9 * S, BAR)
    size = next((s for s in (17, 15, 13) if canvas.textlength(words, font_of(s, words)) <= (room - 16) * S), 12)
    canvas.text(((x + 44) * S, (y + 16) * S), words, INK, font_of(size, words), anchor="lm")
    if said:
        draw_mark(canvas, x + inner - 96, y + 16, key)
        short = f"{system} {100 * share:.0f} %"
        tone = RIGHT if key else WRONG
        canvas.text(((x + inner - 78) * S, (y + 16) * S), short, tone, font_of(13, short), anchor="lm")


# ---------------------------------------------------------------- the page


def figure_page(examples: list[Example], album: Drawings, system: str) -> str:
    """The same as an HTML page; nothing is fetched."""
    kinds = []
    for kind, (title, about) in KINDS.items():
        own = "".join(_article(e, album, system) for e in examples if e.kind == kind)
        kinds.append(f'<section class="kind"><h3>{title}</h3><p class="note">{about}</p>{own}</section>')
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>plvm: three kinds of questions</title><style>{STYLE}{OWN_STYLE}</style></head>
<body><main>
<h1>Three kinds of questions</h1>
<p>Drawn at random from the portraits benchmark, not chosen by their answers. Keys are green; percentages are the shares
of probability that {html.escape(system)} gives the options.</p>
<div class="kinds">{"".join(kinds)}</div>
</main></body></html>
"""


def _article(example: Example, album: Drawings, system: str) -> str:
    who = figure(album.reference(example.about), f"&lt;{html.escape(example.about)}&gt;", 112)
    query = "" if example.picture is None else figure(album.query(example.picture), "", 190)
    marks = ["key" if i == example.key else "" for i in range(len(example.options))]
    options = "".join(
        f'<li class="{mark}">{html.escape(option)} <small>{100 * share:.0f} %</small></li>'
        for mark, option, share in zip(marks, example.options, example.shares, strict=True)
    )
    right = example.said == example.key
    said = f'<span class="{"right" if right else "wrong"}">{html.escape(example.options[example.said])}</span>'
    return (
        f'<div class="pair">{who}{query}</div><p>{html.escape(example.question)}</p><ol>{options}</ol>'
        f"<p>{html.escape(system)}: {said}</p>"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--system", default="plvm", help="whose answers")
    parser.add_argument("--benchmark", type=int, default=0, help="its seed; 0 is the published one")
    parser.add_argument("--seed", type=int, default=0, help="which questions")
    parser.add_argument("--small", action="store_true", help="a small benchmark, to see that it runs")
    parser.add_argument("--out", type=Path, default=RESULTS / "figure5")
    arguments = parser.parse_args()

    bench = portraits("test", arguments.benchmark, SMALL if arguments.small else None)
    album = bench.album()
    system = build_system(arguments.system, personal.load(arguments.model))
    system.prepare(album)
    if not isinstance(system, Recognizes) or not isinstance(system, Chooses):
        raise SystemExit(f"{arguments.system} does not answer all three kinds of questions: take another one.")
    examples = [answered(e, system, album) for e in drawn(bench, arguments.seed)]
    arguments.out.mkdir(parents=True, exist_ok=True)
    draw_figure(examples, album, arguments.system).save(arguments.out / "figure5.png", optimize=True)
    (arguments.out / "index.html").write_text(figure_page(examples, album, arguments.system), encoding="utf-8")
    right = sum(e.said == e.key for e in examples)
    print(f"{arguments.system}: {right} of {len(examples)} right")
    figures = {"benchmark": bench.key, "system": arguments.system, "n": len(examples), "right": right}
    write_result(arguments.out / "figure5.json", arguments.seed, figures | {"examples": [asdict(e) for e in examples]})


if __name__ == "__main__":
    main()
