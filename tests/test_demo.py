"""The demo: what it asks has a truth, its verdicts are honest, and what it writes can be looked at anywhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

import plvm
from plvm.cli.main import app
from plvm.types import Answer, SamplingParams
from plvm_lab.demo.cards import Bubble, Card, Portrait, draw_card
from plvm_lab.demo.demo_files import write_demo
from plvm_lab.demo.events import Answered, Joined, Opened, Recognized, Show
from plvm_lab.demo.story import PEOPLE, STORY, Step, Truth, person, truth_of
from toys import picture

pytest_plugins = ["family"]


def turns() -> list[tuple[Any, Step, tuple[str, ...]]]:
    """Every question of the demo with who is known by then."""
    found = []
    for scenario in STORY:
        known = scenario.known
        for step in scenario.steps:
            if step.joins:
                known = (*known, step.joins)
            else:
                found.append((scenario, step, known))
    return found


def test_the_people_of_the_demo_are_clearly_different() -> None:
    people = [person(name) for name in PEOPLE]
    assert min(a.differences(b) for i, a in enumerate(people) for b in people[:i]) >= 8


def test_every_question_has_a_truth_that_is_judged_right_and_others_that_are_not() -> None:
    for scenario, step, known in turns():
        truth = truth_of(scenario, step, known)
        assert truth.judge(truth.answer, known), step
        for wrong in ("", "I am a teapot.", "<nobody> is on the moon.", "Maybe."):
            assert not truth.judge(wrong, known), (step, wrong)
        for option in truth.options:
            same = option.rstrip(".") in truth.answer
            assert truth.judge(option, known) == same, (step, option)


def test_verdicts_do_not_flatter() -> None:
    names = ("billie", "avril")
    who = Truth("who_position", "Someone I do not know is on the left.")
    assert not who.judge("<billie> is on the left.", names)
    assert who.judge("someone I don't know is on the left", names)
    assert not Truth("who_position", "<billie> is on the left.").judge("<avril> is next to <billie>.", names)
    both = Truth("doing_both", "<billie> is waving and <avril> is reading a book.")
    assert not both.judge("<billie> is waving and <avril> is waving.", names)
    assert not Truth("recognize", "No.").judge("Yes, <billie> is in this photo.", names)


def test_the_names_of_a_question_are_known_when_it_is_asked() -> None:
    for _, step, known in turns():
        assert set(re.findall(r"<(\w+)>", step.text)) <= set(known), step


def test_the_demo_from_end_to_end(family: Path, tmp_path: Path) -> None:
    vlm = plvm.load(family)
    ask = plvm.Chat.ask
    short = SamplingParams(max_tokens=4)
    show = Show(vlm)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plvm.Chat, "ask", lambda chat, question: ask(chat, question, short))
        events = list(show.events())
    kinds = [type(event) for event in events]
    assert kinds.count(Opened) == len(STORY) and kinds.count(Answered) == len(turns()) and kinds[-1] is Recognized
    assert kinds.index(Joined) > kinds.index(Answered)
    assert show.recognized is not None and sum(map(sum, show.recognized.present)) == 7
    files = write_demo(show, tmp_path / "demo")
    assert files[0].name == "index.html" and all(file.is_file() for file in files)
    check_page(files[0].read_text(encoding="utf-8"), len(turns()))
    for file in files[1:]:
        with Image.open(file) as image:
            assert image.size == (512, 512) if file.parent.name == "pictures" else image.width == 1160


class Page(HTMLParser):
    """Collects what a page refers to, and checks that its elements are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.links += [value for key, value in attrs if key in ("src", "href", "srcset")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def check_page(html: str, questions: int) -> None:
    page = Page()
    page.feed(html)
    assert page.open == [] and page.links
    assert all(link.startswith("data:image/") for link in page.links)  # nothing is fetched
    assert html.count('class="bubble asked"') == questions
    assert "<dustin> joins" in page.text


def test_plvm_demo_tells_it_all(family: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(chat: plvm.Chat, question: str) -> Answer:
        return Answer("Yes.", seconds=0.01)

    monkeypatch.setattr(plvm.Chat, "ask", ask)
    out = tmp_path / "demo"
    done = CliRunner().invoke(app, ["demo", "--out", str(out), "--model", str(family)])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.count("Enrolled <") == 3 and "  <dustin> joins." in done.stdout
    assert "WRONG, the truth: <billie> has red hair." in done.stdout
    right = done.stdout.count("[right;")
    assert f"{right} of {len(turns())} answers are true. Open {out / 'index.html'}" in done.stdout
    assert not (home / "plvm").exists()  # the user's own concepts are left alone


# ---------------------------------------------------------------- cards


def test_a_card_grows_with_what_is_said_and_keeps_its_width() -> None:
    people = tuple(Portrait("x" * n, picture(n)) for n in (1, 20, 64))
    short = draw_card(Card("", None, people[:1], (Bubble("Hello?", asked=True),)))
    said = (Bubble("word " * 80), Bubble("y" * 300, right=False, truth="z " * 200), Bubble("", right=True))
    long = draw_card(Card("A title", picture(9), people, said))
    assert short.width == long.width == 1160 and long.height > short.height
