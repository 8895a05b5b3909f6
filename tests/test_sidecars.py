"""Captions beside pictures: written once, with names, and nothing of others is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from plvm.errors import RequestError
from plvm.sidecars.caption import Caption, Seen, describe
from plvm.sidecars.json_sidecar import JsonSidecar
from plvm.sidecars.watch import Watched
from plvm.sidecars.xmp import XmpSidecar
from plvm.types import SamplingParams
from shell import Shell
from shell import friends as friends
from shell import load_once as load_once
from shell import shell as shell
from toys import picture

pytest_plugins = ["family"]

DC, RDF = "{http://purl.org/dc/elements/1.1/}", "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
PERSONS = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}PersonInImage"
FOREIGN = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="somebody">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmp:Rating="4" xmp:Label="two&#10;lines&#9;and &amp; &quot;more&quot;">
   <!-- a remark -->
   <dc:subject><rdf:Bag><rdf:li>holiday</rdf:li><rdf:li>Anna Maria</rdf:li></rdf:Bag></dc:subject>
   <xmp:Note><![CDATA[<b>]]> a&#13;b</xmp:Note>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def caption(text: str = "Somebody.", *names: str) -> Caption:
    return Caption(text, tuple(Seen(name, name.lower(), 0.9, "on the left") for name in names), (), None, "aligner")


def items(root: ET.Element, property: str) -> list[str | None]:
    return [li.text for element in root.iter(property) for li in element.iter(f"{RDF}li")]


def facts(root: ET.Element) -> list[tuple[str, str | None, dict[str, str]]]:
    """All of a document that is not plvm's."""
    return [(e.tag, (e.text or "").strip() or None, dict(e.attrib)) for e in root.iter()]


def test_a_new_xmp_has_description_keywords_and_persons(tmp_path: Path) -> None:
    path = XmpSidecar().write(tmp_path / "a.jpg", "1-2", caption("A <b> & c.", "Anna Maria", "kim"))
    root = ET.parse(path).getroot()
    assert path.name == "a.jpg.xmp"
    assert items(root, f"{DC}description") == ["A <b> & c. In the picture: Anna Maria, kim."]
    assert items(root, f"{DC}subject") == items(root, PERSONS) == ["Anna Maria", "kim"]
    assert XmpSidecar().mark(tmp_path / "a.jpg") == "1-2" and XmpSidecar().mark(tmp_path / "b.jpg") is None


def test_what_others_wrote_in_an_xmp_stays_and_ours_is_taken_back(tmp_path: Path) -> None:
    file = tmp_path / "a.xmp"
    file.write_text(FOREIGN)
    before = facts(ET.parse(file).getroot())
    XmpSidecar().write(tmp_path / "a.jpg", "1", caption("One.", "Anna Maria", "kim"))
    assert not (tmp_path / "a.jpg.xmp").exists()  # Adobe's name was there already
    root = ET.parse(file).getroot()
    assert items(root, f"{DC}subject") == ["holiday", "Anna Maria", "kim"]
    assert all(fact in facts(root) for fact in before)
    assert "<!-- a remark -->" in file.read_text() and "<?xpacket end" in file.read_text()
    XmpSidecar().write(tmp_path / "a.jpg", "2", caption("Two.", "Ole"))
    root = ET.parse(file).getroot()
    assert items(root, f"{DC}subject") == ["holiday", "Anna Maria", "Ole"] and items(root, PERSONS) == ["Ole"]
    assert items(root, f"{DC}description") == ["Two. In the picture: Ole."]
    text = file.read_text().replace("Two. In the picture: Ole.</rdf:li>", "Mine.</rdf:li>")
    file.write_text(text)
    XmpSidecar().write(tmp_path / "a.jpg", "3", caption("Three."))
    root = ET.parse(file).getroot()
    assert items(root, f"{DC}description") == ["Mine."] and items(root, PERSONS) == []
    assert items(root, f"{DC}subject") == ["holiday", "Anna Maria"]
    assert all(fact in facts(root) for fact in before)


@pytest.mark.parametrize(
    "text",
    ["", "<a", "<a/>", '<!DOCTYPE a [<!ENTITY b "c">]><a/>', FOREIGN.replace("holiday", "\ue00a")],
)
def test_what_is_no_xmp_is_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.jpg.xmp"
    file.write_text(text)
    for act in (lambda: XmpSidecar().mark(tmp_path / "a.jpg"), lambda: XmpSidecar().write(tmp_path / "a.jpg", "1", caption())):
        with pytest.raises(RequestError, match="it was left as it is"):
            act()
    assert file.read_text() == text


def test_json_keeps_the_fields_of_others_and_leaves_their_files_alone(tmp_path: Path) -> None:
    path = JsonSidecar().write(tmp_path / "a.jpg", "1", caption("One.", "kim"))
    found = json.loads(path.read_text())
    assert path.name == "a.jpg.plvm.json" and found["people"][0]["name"] == "kim"
    path.write_text(json.dumps(found | {"stars": 5}))
    JsonSidecar().write(tmp_path / "a.jpg", "2", caption("Two."))
    found = json.loads(path.read_text())
    assert (found["stars"], found["caption"], JsonSidecar().mark(tmp_path / "a.jpg")) == (5, "Two.", "2")
    for text in ("{", "[]", '{"title": "a"}'):
        path.write_text(text)
        with pytest.raises(RequestError):
            JsonSidecar().write(tmp_path / "a.jpg", "3", caption())
        assert path.read_text() == text


def test_a_caption_is_the_models_sentence_and_who_is_there(vlm: Any) -> None:
    people = [vlm.enroll("Anna Maria", picture(3)), vlm.enroll("kim", picture(4))]
    (found,) = describe(vlm, [picture(3)], people)
    roll = vlm.who(picture(3), people)
    assert [s.word for s in found.people] == [p.name for p in roll if p.verdict == "yes"]
    assert [s.word for s in found.unsure] == [p.name for p in roll if p.verdict == "unsure"]
    there = [person for person in people if person.name in {s.word for s in found.people}]
    said = vlm.ask(picture(3), "Describe the picture.", there, SamplingParams(max_tokens=96)).shown(people)
    assert found.text.split() == "".join(c if c.isprintable() else " " for c in said).split()
    assert describe(vlm, [picture(3)], [])[0].people == ()


def test_pictures_described_side_by_side_have_the_captions_that_each_has_alone(
    vlm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, read = [vlm.enroll("anna", picture(3)), vlm.enroll("kim", picture(4))], []
    pixels = type(vlm.backbone).pixels
    monkeypatch.setattr(type(vlm.backbone), "pixels", lambda self, images: (read.extend(images), pixels(self, images))[1])
    pictures = [picture(number) for number in (3, 4, 5)]
    together = describe(vlm, pictures, people)
    assert len(read) == 3, "each picture is looked at once, whatever is asked of it"
    assert together == [describe(vlm, [image], people)[0] for image in pictures]
    assert any(found.people or found.unsure for found in together)


def test_a_name_that_the_caption_says_is_not_said_again() -> None:
    assert caption("Anna Maria is at the beach.", "Anna Maria", "Kim").sentence == (
        "Anna Maria is at the beach. In the picture: Kim."
    )


def test_every_picture_gets_its_caption_once(friends: Shell) -> None:
    Path("below/.thumbs").mkdir(parents=True)
    picture(7).save("below/seven.jpg")
    picture(8).save("below/.thumbs/eight.jpg")
    Path("broken.jpg").write_bytes(b"no picture")
    said = friends("watch", ".", "--once", "--xmp", "--json")
    assert len(said.splitlines()) == 4 and "broken.jpg" in friends.err and "4 captions written, 1 left out" in friends.err
    found = sorted(str(p) for p in Path().rglob("*") if p.suffix in (".json", ".xmp"))
    assert found == sorted(f"{p}{end}" for p in ("avril.png", "below/seven.jpg", "billie.png", "party.png")
                           for end in (".plvm.json", ".xmp"))  # fmt: skip
    written = {path: Path(path).stat().st_mtime_ns for path in found}
    Path("broken.jpg").unlink()
    assert friends("watch", ".", "--once", "--xmp", "--json") == ""
    picture(9).save("party.png")
    assert friends("watch", ".", "--once", "--xmp", "--json").startswith("party.png: ")
    changed = {path for path in found if Path(path).stat().st_mtime_ns != written[path]}
    assert changed == {"party.png.plvm.json", "party.png.xmp"}


def test_a_picture_that_still_grows_waits(tmp_path: Path) -> None:
    now = 1000.0
    watched = Watched(tmp_path, [JsonSidecar()], now=lambda: now)
    picture(1).save(tmp_path / "a.png")
    os.utime(tmp_path / "a.png", (999.5, 999.5))
    assert watched.waiting(print) == []
    with open(tmp_path / "a.png", "ab") as file:
        file.write(b"more")
    os.utime(tmp_path / "a.png", (999.9, 999.9))
    assert watched.waiting(print) == []
    assert [shot.path.name for shot in watched.waiting(print)] == ["a.png"]
    assert [shot.path.name for shot in Watched(tmp_path, [JsonSidecar()], now=lambda: now).waiting(print, all_=True)] == ["a.png"]


def test_what_cannot_be_watched_is_said(friends: Shell) -> None:
    friends.refuses("watch", "nowhere")
    friends.refuses("watch", "party.png")
    friends.refuses("watch", ".", "--every", "0")


def test_ctrl_c_ends_it_and_the_next_one_goes_on(friends: Shell) -> None:
    """In a process of its own, which a real signal ends."""
    words = ["watch", ".", "--every", "0.1", "--model", str(friends.family)]
    code = "import sys; from plvm.cli.program import run; sys.argv = ['plvm'] + sys.argv[1:]; run()"
    words = [sys.executable, "-c", code, *words]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    assert all(": " in line for line in lines)
    picture(7).save("new.png")
    assert process.stdout.readline().startswith("new.png: ")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Stopped: 4 captions written." in err and "Traceback" not in err and out == ""
    assert friends("watch", ".", "--once") == ""
