"""Ctrl-C at any moment: exit code 130, no traceback, and whatever was kept is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

import plvm
from plvm.cli.interrupts import INTERRUPTS, orderly
from plvm.store import ConceptStore
from shell import Shell
from shell import friends as friends
from shell import load_once as load_once
from shell import shell as shell
from toys import picture

pytest_plugins = ["family"]

ROOT = Path(__file__).parents[1]
PROGRAM = "import sys; from plvm.cli.program import run; print('up', file=sys.stderr, flush=True); run()"
MOMENTS = (0.1, 0.3, 0.6, 1.0, 1.6, 2.4, 3.5)  # seconds after the program is there


@contextmanager
def started(*words: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """`plvm` and `words` in a process group of its own, as a terminal starts it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, **options,
    )  # fmt: skip
    with process:
        assert process.stderr is not None and process.stderr.readline() == "up\n"
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def interrupt(process: subprocess.Popen[str]) -> None:
    """What a terminal does at Ctrl-C: SIGINT to everybody in the group."""
    os.killpg(process.pid, signal.SIGINT)


def interrupt_when(process: subprocess.Popen[str], begun: Callable[[], bool], times: int) -> None:
    """Press Ctrl-C so many times once something has `begun`, or not at all where it is over before."""
    until = time.monotonic() + 120
    while not begun() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    for _ in range(times):
        if process.poll() is None:
            interrupt(process)
            time.sleep(0.2)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """(exit code, stdout, stderr), once it is over."""
    said, complained = process.communicate(timeout=60)
    return process.returncode, said, complained


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_answer_ends_at_once(moment: float, friends: Shell) -> None:
    with started("ask", "party.png", "Where is <billie>?", "--model", str(friends.family), "--store", str(friends.store)) as ask:
        time.sleep(moment)
        if ask.poll() is None:
            interrupt(ask)
            code, _, complained = ended(ask)
            assert code in (130, 0) and complained == "", complained  # 0: it was done, and going
    with ConceptStore.open(friends.store) as store:
        assert [concept.name for concept in store.list()] == ["avril", "billie"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_enrolling_a_folder_keeps_whole_people_or_none(moment: float, shell: Shell, tmp_path: Path) -> None:
    for i in range(24):
        (tmp_path / "people" / f"person-{i:02}").mkdir(parents=True)
        picture(i).save(tmp_path / "people" / f"person-{i:02}" / "one.png")
    with started("add", "--folder", "people", "--model", str(shell.family), "--store", str(shell.store)) as add:
        time.sleep(moment)
        if add.poll() is None:
            interrupt(add)
            code, _, complained = ended(add)
            assert code in (130, 0) and "Traceback" not in complained and "Error" not in complained, complained
    with ConceptStore.open(shell.store) as store:
        kept = store.list()
    assert len(kept) in (0, 16, 24) and all(len(concept.references) == 1 for concept in kept)
    shell("add", "--folder", "people", "--store", str(shell.store))
    with ConceptStore.open(shell.store) as store:
        assert len(store.list()) == 24


LAST = """
import os, signal, sys
from plvm.cli.program import run

class Last:
    def __del__(self, kill=os.kill, me=os.getpid(), sign=signal.SIGINT):
        kill(me, sign)

sys.modules["kept to the very end"] = Last()
sys.argv = ["plvm", "--version"]
run()
"""


def test_when_the_verb_is_done_the_exit_code_is_its_own() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", LAST], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_dialogue_ends_at_its_prompt(friends: Shell) -> None:
    asked = ("chat", "party.png", "--model", str(friends.family), "--store", str(friends.store))
    with started(*asked, stdin=subprocess.PIPE) as chat:
        assert chat.stderr is not None and "In the dialogue" in chat.stderr.readline()
        time.sleep(0.2)
        interrupt(chat)
        assert ended(chat) == (130, "", "\n")


def test_what_swallows_the_interrupt_does_not_hide_it() -> None:
    with pytest.raises(SystemExit) as end, orderly():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise plvm.CheckpointError("A file was cut short.", "Copy it again.") from None
    assert end.value.code == 130 and signal.getsignal(signal.SIGINT) is not INTERRUPTS.come


def test_an_import_is_not_interrupted_but_the_process_ends(tmp_path: Path) -> None:
    """C code that imports may abort the process on an exception (torch's does)."""
    (tmp_path / "importing.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nfor i in range(1000): pass\n")
    code = "from plvm.cli.interrupts import orderly\nwith orderly():\n    try: import importing\n    finally: print('tidying')\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(tmp_path)])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_second_ends_at_once_whatever_the_first_waits_for(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "from plvm.cli.interrupts import orderly\n"
        "with orderly():\n"
        "    try: print('up', flush=True); time.sleep(60)\n"
        "    finally: print('tidying', flush=True); time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in ("up\n", "tidying\n"):
            assert process.stdout.readline() == line
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_synthesis_goes_on_where_it_was_interrupted(times: int, tmp_path: Path) -> None:
    """The first Ctrl-C lets workers finish their shards, the second ends everything; started again, the data are the same."""
    words = ("synth", "--identities", "40", "--per-identity", "2", "--size", "64", "--workers", "2", "--out")
    with started(*words, str(tmp_path / "cut")) as synth:
        interrupt_when(synth, lambda: bool(list((tmp_path / "cut").rglob("*.tar"))), times)
        code, _, complained = ended(synth)
        assert code in (130, 0) and "Traceback" not in complained, complained
    made = []
    for folder in ("cut", "whole"):
        with started(*words, str(tmp_path / folder)) as synth:
            assert ended(synth)[0] == 0
        made.append({p.name: p.read_bytes() for p in (tmp_path / folder).rglob("*.tar")})
    assert made[0] and made[0] == made[1]


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_training_goes_on_where_it_was_interrupted(times: int, shell: Shell, tmp_path: Path) -> None:
    """However often Ctrl-C was pressed, started again the training ends with the weights of one that nothing happened to."""
    data = str(tmp_path / "data")
    people = ("synth", "--no-filters", "--identities", "60", "--per-identity", "1", "--size", "48", "--out", data)
    with started(*people) as synth:
        assert ended(synth)[0] == 0
    settings = ("train.steps=40", "train.save=0", "train.trackers=", "train.pictures=2", "train.packs=2")
    words = ("train", data, "--model", str(shell.family), *settings, "--out")
    with started(*words, str(tmp_path / "cut")) as cut:
        interrupt_when(cut, (tmp_path / "cut" / "run" / "aligner.pt").exists, times)
        code, _, complained = ended(cut)
        assert code == 130 and "Traceback" not in complained, complained
    for folder in ("cut", "whole"):
        with started(*words, str(tmp_path / folder)) as again:
            code, _, complained = ended(again)
            assert code == 0, complained
    ends = [load_file(tmp_path / folder / "aligner.safetensors") for folder in ("cut", "whole")]
    assert ends[0].keys() == ends[1].keys() and all(ends[0][k].equal(ends[1][k]) for k in ends[0])


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_an_evaluation_goes_on_where_it_was_interrupted(times: int, shell: Shell, tmp_path: Path) -> None:
    """However often Ctrl-C was pressed, started again it ends with the records of one that nothing happened to."""
    words = ("eval", "--small", "--system", "llava", "--model", str(shell.family), "--out")
    with started(*words, str(tmp_path / "cut")) as cut:
        interrupt_when(cut, (tmp_path / "cut" / "state.json").exists, times)
        code, _, complained = ended(cut)
        assert code in (130, 0) and "Traceback" not in complained, complained
    for folder in ("cut", "whole"):
        with started(*words, str(tmp_path / folder)) as again:
            code, _, complained = ended(again)
            assert code == 0, complained
    records = [(tmp_path / folder / "records.jsonl").read_text() for folder in ("cut", "whole")]
    assert records[0] and records[0] == records[1]
