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
import random
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from plvm import personal
from plvm_lab.demo.cards import EDGE, GROUND, INK, PALE, RIGHT, WHITE, WRONG, S, draw_mark, font_of, paste
from plvm_lab.evaluate.drawings import Drawings
from plvm_lab.evaluate.items import LETTERS, Choice
from plvm_lab.evaluate.portraits_benchmark import SMALL, Benchmark, portraits
from plvm_lab.evaluate.system import Ask, Chooses, Recognizes, System
from plvm_lab.report.pages import render
from plvm_lab.systems import build_system

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, write_result

KINDS = {
    "recognition": ("Recognition", "a query picture: is the person in it?"),
    "text_qa": ("Text-only QA", "no query picture: what is known from the reference"),
    "visual_qa": ("Visual QA", "about the person in a query picture"),
}
PANEL, GAP, INSIDE, PHOTO, FACE, ROW = 500, 24, 26, 236, 132, 36  # pixels of the finished figure
TINT, BAR = "#f1f7f3", "#dfe8fb"

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
    image = Image.new("RGB", (width * S, (height + 2 * GAP) * S), GROUND)
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
        canvas.rounded_rectangle(box(right, y, PHOTO, PHOTO), 18 * S, GROUND, EDGE, S)
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
    canvas.ellipse(box(x, y + 3, 26, 26), RIGHT if key else GROUND, None if key else EDGE, S)
    letter = LETTERS[i] if example.kind != "recognition" else words[0]
    canvas.text(((x + 13) * S, (y + 16) * S), letter, WHITE if key else PALE, font_of(15, letter), anchor="mm")
    room = inner - 34 - 112
    canvas.rounded_rectangle(box(x + 34, y + 2, room, 28), 9 * S, GROUND)
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


def page_of(figures: Mapping[str, Any], album: Drawings | None = None) -> str:
    """The same as an HTML page; nothing is fetched. Without an album the pictures of the file's benchmark are drawn again."""
    album = portraits("test", int(figures["benchmark"].rpartition("/")[2])).album() if album is None else album
    examples = [Example(**{k: tuple(v) if isinstance(v, list) else v for k, v in e.items()}) for e in figures["examples"]]
    kinds = [
        {"title": title, "about": about, "examples": [_article(e, album) for e in examples if e.kind == kind]}
        for kind, (title, about) in KINDS.items()
    ]
    return render("figure5.html.j2", Path(__file__).parent, kinds=kinds, system=figures["system"])


def _article(example: Example, album: Drawings) -> dict[str, Any]:
    shares = [f"{100 * share:.0f} %" for share in example.shares]
    return {
        "name": f"<{example.about}>", "reference": album.reference(example.about), "question": example.question,
        "picture": None if example.picture is None else album.query(example.picture),
        "options": list(zip(example.options, shares, strict=True)), "key": example.key, "said": example.said,
    }  # fmt: skip


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
    right = sum(e.said == e.key for e in examples)
    print(f"{arguments.system}: {right} of {len(examples)} right")
    figures = {"benchmark": bench.key, "system": arguments.system, "n": len(examples), "right": right}
    figures |= {"examples": [asdict(e) for e in examples]}
    write_result(arguments.out / "figure5.json", arguments.seed, figures, shown(figures))
    (arguments.out / "index.html").write_text(page_of(figures, album), encoding="utf-8")


def shown(figures: Mapping[str, Any]) -> Shown:
    """Its page alone."""
    return Shown(place="Figure 5")


if __name__ == "__main__":
    main()
