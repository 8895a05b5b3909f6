"""Whole transcripts of what a user types, on an untrained miniature of the real thing: what comes out, where, and with
which exit code; and that no mistake changes the store."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import plvm
from pictures import animation, encoded, png_bomb
from plvm.cli.main import app
from plvm.cli.reference import reference
from plvm.personal import load
from plvm.store import ConceptStore
from toys import picture

pytest_plugins = ["family"]
ROOT = Path(__file__).parents[1]


class Shell:
    """A folder with pictures and a store, and a way to type commands there."""

    def __init__(self, family: Path, home: Path) -> None:
        self.family, self.store = family, home / "plvm" / "concepts.db"
        self.out = self.err = ""

    def __call__(self, *words: str, exit: int = 0, input: str = "", model: Path | str | None = None) -> str:
        """Type `plvm` and `words`; the model is the miniature. Returns stdout."""
        needs_model = words[0] in ("add", "ask", "chat", "recognize", "demo", "eval")
        extra = ("--model", str(self.family if model is None else model)) if needs_model else ()
        done = CliRunner().invoke(app, [*words, *extra], input=input)
        self.out, self.err = done.stdout, done.stderr
        problem = done.exception if not isinstance(done.exception, SystemExit) else None
        assert done.exit_code == exit, (words, self.out, self.err, problem)
        return self.out

    def refuses(self, *words: str, model: Path | str | None = None, input: str = "") -> tuple[str, str]:
        """Type something that is wrong: exit code 2, nothing on stdout, the store as it was. Returns the message and
        the hint."""
        before = self.kept()
        self(*words, exit=2, model=model, input=input)
        assert self.out == "", self.out
        assert self.kept() == before
        lines = self.err.strip().splitlines()
        assert len(lines) == 2 and lines[0].startswith("Error: ") and lines[1], self.err
        return lines[0].removeprefix("Error: "), lines[1]

    def kept(self) -> Any:
        """Everything in the store, by value."""
        if not self.store.exists():
            return []
        try:
            with ConceptStore.open(self.store) as store:
                return [(c.name, c.aligner, c.notes, c.created, c.references) for c in store.list()]
        except plvm.StoreError:
            return self.store.read_bytes()


@pytest.fixture
def shell(
    family: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load_once: Callable[..., Any]
) -> Shell:
    """A shell in a folder with billie.png, avril.png, party.png; models are read from disk once for all tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("plvm.personal.load", load_once)
    for seed, name in enumerate(("billie", "avril", "party")):
        picture(seed).save(f"{name}.png")
    return Shell(family, home)


@pytest.fixture(scope="session")
def load_once() -> Callable[..., Any]:
    return cache(load)


@pytest.fixture
def friends(shell: Shell) -> Shell:
    """A shell where <avril> and <billie> are enrolled."""
    shell("add", "billie", "billie.png", "--notes", "my sister")
    shell("add", "avril", "avril.png")
    return shell


# ---------------------------------------------------------------- concepts


def test_add_list_show_rename_forget(shell: Shell) -> None:
    assert shell("list") == ""
    assert "plvm add NAME PICTURE" in shell.err
    assert re.fullmatch(r"Enrolled <billie> from 1 picture in \d+ ms\.\n", shell("add", "<billie>", "billie.png"))
    assert shell("add", "zoë", "avril.png", "party.png", "--notes", "two pictures").startswith(
        "Enrolled <zoë> from 2 pictures"
    )
    header, *rows = shell("list").splitlines()
    assert header.split() == ["NAME", "PICTURES", "ADDED", "NOTES"]
    assert [row.split()[:2] for row in rows] == [["billie", "1"], ["zoë", "2"]]
    assert rows[1].endswith("two pictures")
    assert "80 x 80 PNG, 80 x 80 PNG" in shell("show", "zoë")
    assert shell("rename", "billie", "kim") == "<billie> is now <kim>.\n"
    assert shell("forget", "kim", input="y\n") == "Forgot <kim>.\n"
    assert "[y/N]" in shell.err
    assert [c["name"] for c in json.loads(shell("list", "--json"))] == ["zoë"]


def test_what_is_shown_as_json_says_the_same(friends: Shell) -> None:
    facts = json.loads(friends("show", "billie", "--json"))
    assert facts in json.loads(friends("list", "--json"))
    assert facts["notes"] == "my sister" and facts["tokens"]["context"] == [4, 64]
    assert facts["references"] == [
        {"format": "PNG", "width": 80, "height": 80, "bytes": facts["references"][0]["bytes"]}
    ]


def test_a_reference_can_be_saved(friends: Shell) -> None:
    friends("show", "billie", "--save-reference", "saved.png")
    friends("show", "billie", "--save-reference", "saved.jpg")
    assert plvm.images.open_image("saved.png").tobytes() == picture(0).tobytes()  # type: ignore[attr-defined]
    assert Path("saved.jpg").read_bytes()[:2] == b"\xff\xd8"
    before = Path("saved.png").read_bytes()
    friends("show", "billie", "--save-reference", "saved.png", exit=2)
    assert "exists already" in friends.err and Path("saved.png").read_bytes() == before


def test_forgetting_asks_first(friends: Shell) -> None:
    friends("forget", "billie", input="n\n", exit=2)
    assert "Nobody was forgotten" in friends.err
    friends("forget", "billie", exit=2)  # nobody there to confirm
    assert "--yes" in friends.err
    friends("forget", "billie", "nobody", "--yes", exit=2)  # one unknown name: nobody is forgotten
    assert len(friends.kept()) == 2
    assert friends("forget", "billie", "avril", "--yes") == "Forgot <billie>.\nForgot <avril>.\n"
    assert friends.kept() == []


def test_adding_a_name_again_needs_replace(friends: Shell) -> None:
    message, hint = friends.refuses("add", "billie", "party.png")
    assert "<billie> is in the store already" in message and "--replace" in hint
    friends("add", "billie", "party.png", "--replace")
    friends("show", "billie", "--save-reference", "now.png")
    assert plvm.images.open_image("now.png").tobytes() == picture(2).tobytes()  # type: ignore[attr-defined]


def test_export_and_import(friends: Shell, tmp_path: Path) -> None:
    assert friends("export", "all.plvm") == "Exported 2 concepts to all.plvm: <avril>, <billie>.\n"
    assert json.loads(friends("export", "one.plvm", "billie", "--json")) == {"exported": ["billie"]}
    before = friends.kept()
    message, hint = friends.refuses("import", "one.plvm")
    assert "<billie>" in message and "--replace" in hint
    friends("forget", "billie", "avril", "--yes")
    assert friends("import", "all.plvm") == "Imported 2 concepts from all.plvm: <avril>, <billie>.\n"
    assert friends.kept() == before
    assert "exists already" in friends.refuses("export", "all.plvm")[0]


def test_namespaces_and_stores_are_apart(friends: Shell) -> None:
    assert friends("list", "--namespace", "other") == ""
    friends("add", "billie", "party.png", "--namespace", "other")
    assert friends("list", "--store", "another.db") == ""
    assert "no concept called <avril>" in friends.refuses("show", "avril", "--namespace", "other")[0]
    assert len(friends.kept()) == 2


def test_a_whole_folder_of_people(shell: Shell) -> None:
    people = Path("people")
    for name in ("billie", "avril", "bad name", "broken", "empty", ".hidden"):
        (people / name).mkdir(parents=True)
    picture(1).save(people / "billie" / "1.png")
    picture(2).save(people / "billie" / "2.JPG")
    (people / "billie" / "3.jpg").write_bytes(b"not a picture")
    (people / "billie" / "notes.txt").write_text("not looked at")
    picture(3).save(people / "avril" / "a.png")
    picture(4).save(people / "bad name" / "a.png")
    (people / "broken" / "a.png").write_bytes(encoded(picture(5))[:200])
    picture(6).save(people / "stray.png")
    header, *rows = shell("add", "--folder", "people", exit=2).splitlines()
    assert [re.split(r"  +", row) for row in rows] == [
        ["avril", "1", "0", "enrolled"],
        ["bad name", "0", "0", "not enrolled"],
        ["billie", "2", "1", "enrolled"],
        ["broken", "0", "1", "not enrolled"],
        ["empty", "0", "0", "not enrolled"],
    ]
    for complaint in ("1 picture directly in people", "3.jpg", "contains ' '", "a.png", "holds no picture"):
        assert complaint in shell.err
    assert [(name, len(pictures)) for name, _, _, _, pictures in shell.kept()] == [("avril", 1), ("billie", 2)]
    for name in ("bad name", "broken", "empty"):
        shutil.rmtree(people / name)
    before = shell.kept()
    shell("add", "--folder", "people")  # everyone is there already: nothing changes, nothing is wrong
    assert shell.kept() == before
    done = json.loads(shell("add", "--folder", "people", "--replace", "--json"))
    assert done["enrolled"] == [{"name": "avril", "pictures": 1}, {"name": "billie", "pictures": 2}]
    assert [Path(item["file"]).name for item in done["skipped"]] == ["3.jpg"]


def test_another_aligner_enrols_everyone_again(friends: Shell) -> None:
    other, before = friends.family.parent / "other", friends.kept()
    for words in (("ask", "party.png", "Who is <billie>?"), ("recognize", "party.png"), ("ask", "party.png", "Who?")):
        message, hint = friends.refuses(*words, model=other)
        assert "made by another Aligner" in message and "plvm add --re-enrol" in hint
    assert friends("add", "--re-enrol", model=other) == "Enrolled 2 concepts again.\n"
    assert [row[:1] + row[2:] for row in friends.kept()] == [row[:1] + row[2:] for row in before]
    assert {row[1] for row in friends.kept()}.isdisjoint(row[1] for row in before)
    friends("ask", "party.png", "Who is <billie>?", "--max-tokens", "2", model=other)
    assert "already" in friends("add", "--re-enrol", model=other)


# ---------------------------------------------------------------- talking


def test_ask_says_what_the_library_says(friends: Shell, load_once: Callable[..., Any]) -> None:
    said = friends("ask", "party.png", "Where is <billie>?", "--max-tokens", "6")
    facts = json.loads(friends("ask", "party.png", "Where is <billie>?", "--max-tokens", "6", "--json"))
    with ConceptStore.open(friends.store) as store:
        answer = load_once(str(friends.family), device=None).ask(
            "party.png", "Where is <billie>?", [store.get("billie")], plvm.SamplingParams(max_tokens=6)
        )
    assert facts["answer"] == answer.text and facts["concepts"] == ["billie"]
    assert facts["new_tokens"] == 6 and facts["finish"] == "length"
    assert said.rstrip("\n").replace("\\x", "") != "" and friends.err == ""


def test_which_concepts_go_into_a_prompt(friends: Shell) -> None:
    def concepts(*words: str) -> list[str]:
        return json.loads(friends("ask", *words, "--json", "--max-tokens", "1"))["concepts"]

    assert concepts("party.png", "Is <avril> here?") == ["avril"]
    assert concepts("party.png", "Who is here?") == ["avril", "billie"]
    assert concepts("party.png", "Is <avril> here?", "--with", "billie") == ["billie", "avril"]
    assert concepts("party.png", "Is </s> or <image> here?") == ["avril", "billie"]  # plain text
    for name in ("carl", "dina", "emma"):
        friends("add", name, "party.png")
    assert len(concepts("party.png", "Who is here?")) == 4
    assert "likeliest" in friends.err
    message, hint = friends.refuses("ask", "--no-image", "Who has red hair?")
    assert "5 concepts" in message and "--with" in hint
    assert concepts("--no-image", "Who has red hair?", "--with", "emma", "--with", "avril") == ["emma", "avril"]


def test_temperature_zero_is_greedy_and_a_seed_repeats(friends: Shell) -> None:
    def ask(*options: str) -> str:
        return friends("ask", "party.png", "Who is <billie>?", "--max-tokens", "8", *options)

    assert ask() == ask("--temperature", "0") == ask("--temperature", "0", "--seed", "1")
    hot = ("--temperature", "2.5", "--top-p", "0.99", "--top-k", "200")
    assert ask(*hot, "--seed", "1") == ask(*hot, "--seed", "1") != ask(*hot, "--seed", "2")
    for option, value in (("--temperature", "-1"), ("--top-p", "0"), ("--max-tokens", "0"), ("--stop", "")):
        friends.refuses("ask", "party.png", "Who?", option, value)


def test_recognize_one_picture_and_several(friends: Shell) -> None:
    header, *rows = friends("recognize", "party.png").splitlines()
    assert header.split() == ["NAME", "P(PRESENT)"]
    chances = {name: float(p) for name, p in (row.split() for row in rows)}
    assert set(chances) == {"avril", "billie"} and list(chances.values()) == sorted(chances.values(), reverse=True)
    found = json.loads(friends("recognize", "party.png", "avril.png", "--json"))
    assert [row["image"] for row in found] == ["party.png", "avril.png"]
    assert found[0]["present"] == pytest.approx(chances, abs=6e-4)
    assert [row.split()[0] for row in friends("recognize", "party.png", "avril.png").splitlines()] == [
        "IMAGE", "party.png", "avril.png",
    ]  # fmt: skip


def test_a_dialogue_in_which_people_join_and_errors_do_not_end_it(friends: Shell) -> None:
    picture(7).save("zed.png")
    picture(8).save("other one.png")
    typed = ["Is <billie> here?", "/add zed zed.png", "And <zed>?", "/add zed zed.png", "/add kim missing.jpeg", "/who",
             "/list", "/wha", "<nobody>?", "", "/image other one.png", "Who is it?", "/add avril", "/help", "/quit",
             "never asked"]  # fmt: skip
    said = friends("chat", "party.png", "--with", "billie", "--max-tokens", "4", input="\n".join(typed))
    chatter = friends.err.splitlines()
    assert chatter == [
        "In the dialogue: <billie>. /help lists the commands, /quit ends it.",
        "Enrolled <zed> from 1 picture; <zed> joins.",
        "Error: <zed> is in the store already.",
        "Choose another name, or say /add zed to let it join.",
        "Error: missing.jpeg does not exist.",
        "Check the path.",
        "Error: There is no command /wha.",
        "Did you mean /who?",
        "Error: There is no concept called <nobody>.",
        "`plvm list` shows all; `plvm add nobody PICTURE` adds it.",
        "Looking at it; everyone stays in the dialogue.",
        "<avril> joins.",
    ]
    dialogue = "in the dialogue"
    for part in ("P(PRESENT)", "<avril>   enrolled", f"<billie>  {dialogue}", f"<zed>     {dialogue}", "/image FILE"):
        assert part in said
    assert [row[0] for row in friends.kept()] == ["avril", "billie", "zed"]


def test_a_dialogue_ends_with_its_input_and_joins_whoever_is_named(friends: Shell) -> None:
    friends("chat", "--max-tokens", "2", "--with", "avril", input="What hair has <billie>?\n/who\n/image\n")
    assert "<billie> joins." in friends.err and "There is no picture." in friends.err
    friends("chat", input="")


def test_an_interrupted_answer_does_not_count(friends: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = plvm.Chat.stream

    def stream(chat: Any, question: str, params: Any) -> Any:
        asked.append(question)
        chunks = real(chat, question, params)
        yield next(chunks)
        if len(asked) == 1:
            raise KeyboardInterrupt
        yield from chunks

    monkeypatch.setattr(plvm.Chat, "stream", stream)
    friends("chat", "party.png", "--max-tokens", "3", input="First?\nSecond?\n")
    assert asked == ["First?", "Second?"] and "does not count" in friends.err


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty"),
        (b"hello", "not a picture"),
        (encoded(picture(1))[:300], "cut off"),
        (png_bomb(), "900,000,000 pixels"),
        (animation("GIF"), "frames"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_bad_pictures_are_refused_everywhere(friends: Shell, content: bytes, complaint: str) -> None:
    Path("bad.png").write_bytes(content)
    commands = ("add", "kim", "bad.png"), ("ask", "bad.png", "Who?"), ("recognize", "party.png", "bad.png"), (
        "chat", "bad.png")  # fmt: skip
    for words in commands:
        assert complaint in friends.refuses(*words)[0]
    for words in (("add", "kim", "."), ("add", "kim", "partie.png"), ("ask", "http://x.org/a.png", "Who?")):
        friends.refuses(*words)
    assert "party.png" in friends.err or "network" in friends.err


@pytest.mark.parametrize("name", ["", "two words", "a<b", "a\nb", "x" * 10_000, "-x-"[1:2] + "\u202e", "image"])
def test_bad_names_are_refused(friends: Shell, name: str) -> None:
    friends.refuses("add", name, "party.png")
    friends.refuses("rename", "billie", name)


def test_unknown_names_are_told_what_is_near(friends: Shell) -> None:
    message, hint = friends.refuses("ask", "party.png", "Where is <bilie>?")
    assert "<bilie>" in message and "<billie>" in hint
    for words in (("show", "bilie"), ("rename", "bilie", "x"), ("forget", "bilie", "--yes"), ("export", "f", "bilie"),
                  ("ask", "party.png", "Who?", "--with", "bilie")):  # fmt: skip
        assert "Did you mean <billie>" in friends.refuses(*words)[1]


def test_wrong_ways_to_say_it(shell: Shell) -> None:
    for words, complaint in (
        (("add",), "One of NAME IMAGE"),
        (("add", "billie"), "no picture"),
        (("add", "billie", "billie.png", "--folder", "people"), "One of NAME IMAGE"),
        (("add", "--folder", "people"), "does not exist"),
        (("add", "--folder", "."), "nobody"),
        (("ask", "party.png"), "A picture and a question"),
        (("ask", "party.png", "Where", "is", "he?"), "too many"),
        (("ask", "party.png", " "), "empty"),
        (("recognize", "party.png"), "Nobody is enrolled"),
        (("list", "--namespace", "a b"), "namespace"),
        (("list", "--store", "mongodb://x"), "mongodb"),
        (("eval", "--out", "out", "--suite", "faces"), "no suite"),
        (("eval", "--out", "out", "--system", "gpt"), "no system"),
        (("mini", "build", "--out", "b", "--scale", "huge"), "no scale"),
    ):
        assert complaint in shell.refuses(*words)[0]
    for words in ((), ("lst",), ("list", "--colour"), ("recognize",), ("mini", "build")):
        assert CliRunner().invoke(app, words).exit_code == 2


def test_a_damaged_store_is_refused_and_left_alone(friends: Shell) -> None:
    good = friends.store.read_bytes()
    for damage in (b"this is no database", good[:100] + b"\xff" * 4000 + good[4100:]):
        friends.store.write_bytes(damage)
        for words in (("list",), ("add", "kim", "party.png"), ("ask", "party.png", "Who?"), ("forget", "kim", "--yes")):
            friends.refuses(*words)
        assert friends.store.read_bytes() == damage
    friends.store.write_bytes(good)
    assert "<billie>" in friends("show", "billie")


def test_damaged_weights_are_refused(friends: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("PLVM_HOME", str(friends.store.parent))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    parts = {"aligner.safetensors": "aligner", "config.json": "aligner", "model.safetensors": "backbone"}
    for file, where in parts.items():
        copy = Path(shutil.copytree(friends.family.parent, f"copy-{file}"))
        data = (copy / where / file).read_bytes()
        (copy / where / file).write_bytes(data[: len(data) // 2])
        for words in (("add", "kim", "party.png"), ("ask", "party.png", "Who is <billie>?")):
            message, hint = friends.refuses(*words, model=copy / "aligner")
            assert where in message and hint
    assert "no folder" in friends.refuses("recognize", "party.png", model="./nowhere")[0]


def test_a_damaged_export_changes_nothing(friends: Shell) -> None:
    friends("export", "all.plvm")
    friends("forget", "avril", "--yes")
    data = Path("all.plvm").read_bytes()
    for damaged in (b"", b"hello", data[:-40], data.replace(b"PNG", b"PMG", 1)):
        Path("bad.plvm").write_bytes(damaged)
        friends.refuses("import", "bad.plvm")


def test_a_mistake_of_ours_keeps_its_traceback(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConceptStore, "list", lambda *_, **__: 1 / 0)
    done = CliRunner().invoke(app, ["list"])
    assert done.exit_code == 1 and isinstance(done.exception, ZeroDivisionError)


def test_nothing_that_others_wrote_can_steer_the_terminal(friends: Shell) -> None:
    friends("add", "kim", "party.png", "--notes", "\x1b[2J\x1b]0;owned\x07")
    assert "\x1b" not in friends("list") + friends("show", "kim") and "x1b" in friends.out


# ---------------------------------------------------------------- the program as a whole


def run(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, **options)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["ask", "--help"], ["mini", "build", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    done = run(
        "import sys; from plvm.cli.main import app\n"
        f"try: app({words})\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'torch', 'transformers', 'numpy', 'sqlalchemy', 'PIL', 'rich'} & set(sys.modules)\n"
        "print('heavy:', *heavy, file=sys.stderr)"
    )
    assert done.returncode == 0 and done.stdout and done.stderr.strip() == "heavy:", done.stderr


def test_a_reader_that_closes_the_pipe_ends_it_quietly(friends: Shell) -> None:
    code = (
        "from plvm.cli.main import app; import plvm.cli.concepts as c\n"
        "c.table = lambda *_: 'x\\n' * 200_000\n"
        "app(['list'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "x\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_the_page_of_all_verbs_is_up_to_date() -> None:
    page = ROOT / "docs" / "cli.md"
    assert page.read_text(encoding="utf-8") == reference(), "run `python -m plvm.cli.reference > docs/cli.md`"


def test_version(shell: Shell) -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"plvm {plvm.__version__}\n"


def test_progress_is_told_in_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from plvm.cli import console

    stderr, now = io.StringIO(), [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", stderr)
    with console.progress() as advance:
        for step in range(1, 31):
            now[0] += 1
            advance("steps", step, 30)
        advance("quick", 1, 1)
    assert stderr.getvalue().splitlines() == [
        "steps: 12 of 30 (11 s)",
        "steps: 23 of 30 (22 s)",
        "steps: 30 of 30 (29 s)",
    ]
