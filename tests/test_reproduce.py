"""The one script that makes all result files makes all of them, with scripts that are there, and does nothing twice."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "research" / "runs" / "reproduce.sh"
TEXT = SCRIPT.read_text(encoding="utf-8")
MADE = dict(re.findall(r"^\s*make (research/results/\S+) (.*?)(?:\s+#.*)?$", TEXT, re.MULTILINE))
SCRIPTS = sorted([*(ROOT / "research" / "runs").glob("*.py"), *(ROOT / "research" / "benchmarks").glob("*.py")])


def promised() -> dict[str, str]:
    """Every result file that a script's docstring or the default of its --out names, with the script."""
    found = {}
    for path in SCRIPTS:
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"research/results/[\w./]+\.json", text.split('"""')[1])
        named += [f"research/results/{name}" for name in re.findall(r'RESULTS / "([\w.]+\.json)"', text)]
        if "run_table(" in text and path.stem != "ablation":
            named += [f"research/results/{name}.json" for name in re.findall(r'run_table\("(\w+)"', text)]
        found |= dict.fromkeys(named, path.name)
    return found


def test_bash_can_read_it() -> None:
    assert subprocess.run(["bash", "-n", str(SCRIPT)], capture_output=True, text=True).stderr == ""


def test_every_result_file_that_a_script_names_is_made() -> None:
    files = promised()
    assert {"research/results/table1.json", "research/results/table2_w.json", "research/results/planted.json"} <= set(files)
    missing = {file: script for file, script in files.items() if file not in MADE}
    assert not missing, f"research/runs/reproduce.sh makes none of {missing}"


def test_every_committed_result_file_is_made() -> None:
    listed = subprocess.run(["git", "ls-files", "research/results"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    own = [f for f in listed.split() if f.endswith(".json")]
    assert own and set(own) <= set(MADE)


def test_it_calls_scripts_that_are_there() -> None:
    assert not {s for s in re.findall(r"research/(?:runs|benchmarks)/\w+\.py", TEXT) if not (ROOT / s).exists()}


def test_evaluations_are_written_where_their_files_are_awaited() -> None:
    (folder,) = re.findall(r"^recognition\(\) \{.*--out \"([^\"]*)/\$1\"", TEXT, re.MULTILINE)
    for file, command in MADE.items():
        words = command.split()
        if words[0] == "recognition":
            assert file == f"{folder}/{words[1]}/summary.json"
        elif words[:2] == ["plvm", "eval"]:
            assert Path(file).parent == Path(words[words.index("--out") + 1])


def test_what_is_there_is_not_made_again_but_what_was_begun_is(tmp_path: Path) -> None:
    function = re.search(r"^make\(\) \{.*?^\}$", TEXT, re.MULTILINE | re.DOTALL)
    assert function is not None

    def make(command: str, force: str = "") -> int:
        line = f"FORCE={force}\n{function[0]}\nmake research/results/a.json bash -c {shlex.quote(command)}"
        return subprocess.run(["bash", "-euc", line], cwd=tmp_path, env={**os.environ}, capture_output=True).returncode

    write = "mkdir -p research/results; echo x >> research/results/a.json"
    lines = lambda: (tmp_path / "research" / "results" / "a.json").read_text().count("x")  # noqa: E731
    assert make(write) == 0 and make(write) == 0 and lines() == 1
    assert make(write, force="1") == 0 and lines() == 2
    assert make(f"{write}; exit 3", force="1") == 3 and lines() == 3
    assert make(write) == 0 and lines() == 4, "it was stopped before it was done"
    (tmp_path / "research" / "results" / "a.json").unlink()
    assert make("true") == 1
