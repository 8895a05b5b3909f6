"""Every picture in the repository was drawn by us: each has a script here that makes it, and no photograph is among them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from plvm.images import sniff_format

ROOT = Path(__file__).resolve().parents[1]
MAKERS = {  # a tracked picture, or page that holds pictures, or a folder of them: the script that draws it
    "docs/images/dialogue.png": "docs/pictures.py",
    "docs/images/favicon.png": "docs/pictures.py",
    "docs/images/method.svg": "docs/pictures.py",
    "docs/images/growth.svg": "research/benchmarks/growth.py",
    "docs/images/world.png": "docs/pictures.py",
    "docs/images/page.png": "docs/page_pictures.py",
    "docs/images/page-phone.png": "docs/page_pictures.py",
    "docs/images/structure.svg": "docs/architecture.py",
    "docs/images/structure-0.1.svg": "docs/architecture.py",
    "research/results/figure4/index.html": "research/runs/figure4.py",
    "research/results/figure5/index.html": "research/runs/figure5.py",
    "research/results/figure5/figure5.png": "research/runs/figure5.py",
    "src/plvm/server/page/icon.svg": "src/plvm/server/page/icon.svg",  # by hand
    "src/plvm/server/page/samples/": "docs/page_pictures.py",
    "tests/data/0.1/": "tests/data/0.1/make.py",
}
OF_OTHERS = ("insightface", "photos/lfw", "photos/things")  # what a maker must not read
DATA_URI = re.compile(rb"data:image/[a-z]+;base64,[A-Za-z0-9+/]{120}")
MANY_BYTES = re.compile(rb"[A-Za-z0-9+/]{4000}")
HOLDERS = (".npz", ".npy", ".zip", ".gz", ".parquet", ".bin", ".pt", ".db", ".sqlite", ".plvm", ".svg", ".pdf", ".heic", ".ico")


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def holds_a_picture(data: bytes, name: str) -> bool:
    """Whether a file is a picture, holds one as text, or is of a kind in which one could lie."""
    inside = DATA_URI.search(data) or MANY_BYTES.search(data)
    return sniff_format(data) is not None or name.endswith(HOLDERS) or inside is not None


def maker_of(name: str) -> str | None:
    own = (maker for place, maker in MAKERS.items() if name == place or (place[-1] == "/" and name.startswith(place)))
    return next(own, None)


def test_every_tracked_picture_has_a_script_of_ours_that_draws_it() -> None:
    found = [name for name in tracked() if holds_a_picture((ROOT / name).read_bytes(), name)]
    assert len(found) > 20
    assert [name for name in found if maker_of(name) is None] == [], "whose pictures are these?"
    assert [place for place in MAKERS if not any(n.startswith(place) for n in found)] == [], "no longer there"


def test_no_maker_reads_a_photograph() -> None:
    for maker in set(MAKERS.values()):
        text = (ROOT / maker).read_text(encoding="utf-8")
        assert not any(word in text for word in OF_OTHERS), maker


@pytest.mark.parametrize("start", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"<img src='data:image/jpeg;base64," + b"A" * 200])
def test_a_picture_is_seen_whatever_it_is_called(start: bytes) -> None:
    assert holds_a_picture(start, "notes.txt") and not holds_a_picture(b"# Notes\n", "notes.md")
