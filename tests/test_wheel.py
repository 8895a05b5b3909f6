"""What is published is whole: the wheel holds both packages with all their files, and works where there is no checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import plvm
from plvm_lab.demo.story import reference
from plvm_lab.portraits.render import draw

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
NEEDED = (
    "plvm/families/mini/aligner/aligner.safetensors", "plvm/families/mini/backbone/model.safetensors",
    "plvm/families/mini/backbone/tokenizer.json", "plvm/families/mini/encoder/model.safetensors", "plvm/presets.json",
    "plvm/py.typed", "plvm/server/page/index.html", "plvm/server/page/samples/library.png", "plvm_lab/synth/prompts.txt",
    "plvm_lab/synth/weights/judge/judge.safetensors",
)  # fmt: skip
ASK = """
import plvm, plvm_lab
vlm = plvm.load("mini")
billie = vlm.enroll("billie", "billie.png")
print(plvm.__file__, plvm_lab.__file__, sep="\\n")
print(vlm.ask(None, "What is the hair color of <billie>?", [billie]).text)
"""


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints, in a process that knows nothing of the checkout."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel alone; what it needs is read from the environment of the tests."""
    folder = tmp_path_factory.mktemp("elsewhere")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    install = ("-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    run(sys.executable, *install, cwd=folder)
    own = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (own / "needs.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


def test_the_wheel_holds_every_file_of_both_packages(wheel: Path) -> None:
    source = ROOT / "src"
    own = {file.relative_to(source).as_posix() for file in source.rglob("*") if file.is_file()}
    own = {name for name in own if "__pycache__" not in name and ".egg-info" not in name}
    there = set(zipfile.ZipFile(wheel).namelist())
    assert set(NEEDED) <= there and own <= there
    assert {name.partition("/")[0] for name in there} == {"plvm", "plvm_lab", f"plvm-{plvm.__version__}.dist-info"}
    assert {Path(name).name for name in there if "/licenses/" in name} == {"LICENSE", "NOTICE"}


def test_the_source_distribution_holds_what_the_wheel_is_made_of(built: Path, wheel: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        there = {name.partition("/")[2] for name in tar.getnames()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {f"src/{name}" for name in packed} <= there
    assert {"pyproject.toml", "NOTICE", "CITATION.cff", "SECURITY.md", "examples/tour.ipynb"} <= there


def test_the_command_is_there_with_the_verbs_of_both_packages(elsewhere: Path) -> None:
    command = elsewhere / "venv" / "bin" / "plvm"
    assert run(command, "--version", cwd=elsewhere) == f"plvm {plvm.__version__}\n"
    verbs = set(re.findall(r"^  ([a-z-]+) ", run(command, "--help", cwd=elsewhere), re.MULTILINE))
    assert {"add", "ask", "chat", "train"} <= verbs and {"synth", "eval", "demo"} <= verbs


def test_somebody_is_enrolled_and_asked_about_far_from_the_checkout(elsewhere: Path) -> None:
    draw(reference("billie")).save(elsewhere / "billie.png")
    product, laboratory, answer = run(elsewhere / "venv" / "bin" / "python", "-c", ASK, cwd=elsewhere).splitlines()
    assert all(path.startswith(str(elsewhere.resolve())) for path in (product, laboratory))
    assert answer == "<billie> has red hair."
