"""What a contributor reads is true: links lead somewhere, there is one version, the workflow runs what everybody runs."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

import plvm
from tidy import main, tidy

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGES = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "examples/README.md")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page: str) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", text(page)):
        assert link.startswith("https://") or ((ROOT / page).parent / link).exists(), link


def test_what_is_added_has_a_folder_to_go_to() -> None:
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \|", text("CONTRIBUTING.md").partition("## To add something")[2], re.MULTILINE)
    folders = re.findall(r"`((?:src|research)/[\w/]+)", "\n".join(rows))
    assert len(folders) >= 7
    for folder in folders:
        place = folder.removesuffix("NAME")
        assert (ROOT / place).exists() or (ROOT / f"{place}.py").exists(), folder


def test_entry_points_are_those_that_plvm_reads() -> None:
    told = set(re.findall(r'^\[project\.entry-points\."([\w.]+)"\]', text("CONTRIBUTING.md"), re.MULTILINE))
    assert told == set(PROJECT["project"]["entry-points"])
    source = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "src" / "plvm").rglob("*.py"))
    assert all(f'"{group}"' in source for group in told) and all(entry_points(group=group) for group in told)


def test_there_is_one_version_and_the_changelog_begins_with_it() -> None:
    newest, date = re.findall(r"^## (\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)$", text("CHANGELOG.md"), re.MULTILINE)[0]
    citation = yaml.safe_load(text("CITATION.cff"))
    assert newest == plvm.__version__ == PROJECT["project"]["version"] == citation["version"]
    assert citation["date-released"] == date and citation["license"] == PROJECT["project"]["license"]


def test_modules_that_moved_are_where_the_changelog_says() -> None:
    rows = re.findall(r"^\| (.*plvm.*) \| (.*plvm.*) \|$", text("CHANGELOG.md"), re.MULTILINE)
    assert len(rows) > 10
    for _, new in rows:
        first, *others = re.findall(r"`(\.?[\w.]+)`", new)
        for module in (first, *(first.rpartition(".")[0] + o if o[0] == "." else o for o in others)):
            assert find_spec(module) is not None, module


def test_the_workflow_runs_what_a_contributor_runs() -> None:
    job = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"]["all"]
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    python = next(step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", ""))
    assert PROJECT["project"]["requires-python"] == f">={python}"
    assert "TORCH_INDEX" in job["env"] and "TORCH_INDEX" in text("Makefile")


def test_forms_and_hooks_are_yaml_that_names_what_is_there() -> None:
    for form in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"):
        found = yaml.safe_load(form.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= set(found), form
    hooks = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    dev = " ".join(PROJECT["project"]["optional-dependencies"]["dev"])
    for hook in hooks:
        tool, *arguments = hook["entry"].removeprefix(".venv/bin/").split()
        assert tool in dev or (ROOT / arguments[0]).exists(), hook


def test_a_file_that_ends_badly_is_mended_once(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"one  \r\ntwo\t\n\n\n")
    assert main([str(file)]) == 1 and file.read_bytes() == b"one\ntwo\n" and main([str(file)]) == 0
    assert tidy(b"\n \n") == b"" and tidy(b"a") == b"a\n"
