"""`plvm caption`: every picture of a folder, broken off and gone on, and a sheet of who was found where."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from plvm.engine.prefix import ImagePrefix, digest_of
from plvm.errors import RequestError
from plvm.personal import Personal
from plvm.sidecars.album_sheet import write_contact_sheet
from plvm.sidecars.caption import Caption, Seen
from plvm.sidecars.json_sidecar import JsonSidecar
from plvm.sidecars.watch import Watched
from shell import Shell
from shell import friends as friends
from shell import load_once as load_once
from shell import shell as shell
from toys import picture

pytest_plugins = ["family"]


class Page(HTMLParser):
    """The figures of a sheet: classes, thumbnail and text of each; the texts of its labels; all addresses in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.figures: list[tuple[str, Image.Image, str]] = []
        self.labels: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.addresses += [value for name, value in own.items() if name in ("src", "href", "action")]
        if tag == "figure":
            self._classes = own["class"]
        elif tag == "img":
            image = Image.open(io.BytesIO(base64.b64decode(own["src"].removeprefix("data:image/jpeg;base64,"))))
            self.figures.append((self._classes, image, ""))
        elif tag == "label":
            self.labels.append("")

    def handle_data(self, data: str) -> None:
        inside = next((t for t in reversed(self.tags) if t in ("label", "figure", "main")), "")
        if inside == "label" and data.strip():
            self.labels[-1] += data
        elif inside == "figure" and self.figures:
            classes, image, text = self.figures[-1]
            self.figures[-1] = classes, image, text + data


def written(folder: Path, name: str, text: str, *people: str, unsure: tuple[str, ...] = ()) -> None:
    picture(len(text)).resize((900, 600)).save(folder / name)
    seen, perhaps = ([Seen(who, "word", 0.9, "on the left") for who in whom] for whom in (people, unsure))
    JsonSidecar().write(folder / name, "1", Caption(text, tuple(seen), tuple(perhaps), None, "aligner"))


def test_the_sheet_shows_who_was_found_where_in_one_file_that_fetches_nothing(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    written(tmp_path, "a.png", 'Two & <a "friend">.', "Anna Maria", "</style><b>Tom", unsure=("Mia",))
    written(tmp_path, "below/b.png", "Nobody.")
    written(tmp_path, "c.png", "Anna.", "Anna Maria")
    picture(1).save(tmp_path / "without.png")
    (tmp_path / "d.png.plvm.json").write_text("{}")
    picture(2).save(tmp_path / "d.png")
    sheet, calls = tmp_path / "sheet.html", list[tuple[int, int]]()
    shown = write_contact_sheet(sheet, Watched(tmp_path, []).pictures(), tmp_path, lambda *done: calls.append(done))
    page = Page(text := sheet.read_text(encoding="utf-8"))
    assert shown == 3 and calls[-1] == (3, 3) and len(page.figures) == 3
    assert page.labels == ["All 3", "Anna Maria 2", "</style><b>Tom 1"]
    both = next(f for f in page.figures if "Two" in f[2])
    assert both[0] == "p0 p1" and 'Two & <a "friend">.' in both[2] and "Anna Maria: on the left" in both[2]
    assert "perhaps Mia" in both[2] and "a.png" in both[2]
    assert sorted(f[0] for f in page.figures) == ["", "p0", "p0 p1"] and all(max(f[1].size) == 320 for f in page.figures)
    assert all(address.startswith("data:") for address in page.addresses) and "script" not in page.tags
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text and text.count("</style>") == 1
    assert "#p1:checked ~ main figure:not(.p1) { display: none }" in text


def test_a_folder_is_captioned_once_and_again_when_asked(friends: Shell) -> None:
    Path("broken.jpg").write_bytes(b"no picture")
    said = friends("caption", ".", "--xmp", "--sheet", "sheet.html")
    assert len(said.splitlines()) == 3 and "3 captions written, 1 left out" in friends.err
    for name in ("avril", "billie", "party"):
        assert Path(f"{name}.png.plvm.json").is_file() and Path(f"{name}.png.xmp").is_file()
    first = Path("sheet.html").read_bytes()
    assert len(Page(first.decode()).figures) == 3 and "sheet.html shows 3 pictures" in friends.err
    Path("broken.jpg").unlink()
    times = {path: path.stat().st_mtime_ns for path in Path().glob("*.json")}
    assert friends("caption", ".", "--sheet", "sheet.html") == "" and Path("sheet.html").read_bytes() == first
    friends("caption", ".", "--again")
    assert all(path.stat().st_mtime_ns > time for path, time in times.items())
    friends.refuses("caption", "nowhere")
    friends.refuses("caption", ".", "--sheet", "nowhere/sheet.html")


def test_a_picture_that_is_refused_leaves_the_others_their_captions(friends: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    describe_many, party = Personal.describe_many, digest_of(Image.open("party.png"))

    def refusing(self: Personal, images: Sequence[ImagePrefix], *given: Any, **named: Any) -> Any:
        if any(image.digest == party for image in images):
            raise RequestError("The prompt is too long.", "Ask about fewer people.")
        return describe_many(self, images, *given, **named)

    monkeypatch.setattr(Personal, "describe_many", refusing)
    assert len(friends("caption", ".").splitlines()) == 2
    assert "party.png: The prompt is too long." in friends.err and "2 captions written, 1 left out" in friends.err


@pytest.mark.slow
def test_killed_it_goes_on_where_it_was_and_loses_nothing(friends: Shell) -> None:
    for seed in range(10, 26):
        picture(seed).save(f"{seed}.png")
    code = "import sys; from plvm.cli.program import run; sys.argv = ['plvm'] + sys.argv[1:]; run()"
    words = ["caption", ".", "--json", "--xmp", "--sheet", "sheet.html", "--model", str(friends.family)]
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    before = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGKILL)
    before += process.stdout.readlines()
    assert process.wait(60) == -signal.SIGKILL and not Path("sheet.html").exists()
    after = friends("caption", ".", "--json", "--xmp", "--sheet", "sheet.html").splitlines()
    told = [line.partition(":")[0] for line in (*before, *after)]
    names = {f"{n}.png" for n in ("avril", "billie", "party", *range(10, 26))}
    assert set(told) == names and len(told) <= len(names) + 1 and len(after) < len(names)
    assert all(json.loads(Path(f"{name}.plvm.json").read_text())["caption"] for name in names)
    assert len(Page(Path("sheet.html").read_text()).figures) == len(names)
