"""Aligners on the Hub: what goes up is what `load` needs, and the card says only what files say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import plvm
from plvm.cli.main import app
from plvm.errors import CheckpointError, RequestError
from plvm.hub import model_card, push
from plvm.model.aligner import build_aligner
from plvm.model.checkpoint import FAMILIARITY, FILES, fingerprint, load_aligner, save_aligner, save_familiarity
from plvm.prompt.template import Template
from plvm.train.familiar import Album, fit_familiarity
from toys import picture

pytest_plugins = ["family"]
BACKBONE, ENCODER = "somebody/llava", "somebody/dinov2"


class Hub:
    """Repositories in a folder, in place of the Hub: what `HfApi` and `snapshot_download` do to them."""

    def __init__(self, root: Path) -> None:
        self.root, self.private = root, dict[str, bool]()
        self.broken: Exception | None = None

    def __call__(self, library_name: str) -> Hub:  # HfApi(library_name=...)
        assert library_name == "plvm"
        return self

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
        assert exist_ok
        if self.broken is not None:
            raise self.broken
        (self.root / repo_id).mkdir(parents=True, exist_ok=True)
        self.private.setdefault(repo_id, private)

    def upload_folder(
        self, *, repo_id: str, folder_path: Path, allow_patterns: Sequence[str], commit_message: str
    ) -> None:
        assert commit_message
        for file in (path for pattern in allow_patterns for path in folder_path.glob(pattern)):
            shutil.copy(file, self.root / repo_id)

    def snapshot_download(self, repo_id: str, **_: Any) -> str:
        return str(self.root / repo_id)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    found = Hub(tmp_path / "hub")
    monkeypatch.setattr("huggingface_hub.HfApi", found)
    monkeypatch.setattr("huggingface_hub.snapshot_download", found.snapshot_download)
    return found


@pytest.fixture
def folder(family: Path, tmp_path: Path) -> Path:
    """A trained Aligner that names its frozen parts by their Hub ids."""
    aligner, template, _ = load_aligner(family)
    named = build_aligner(replace(aligner.config, backbone=BACKBONE, encoder=ENCODER))
    named.load_state_dict(aligner.state_dict())
    save_aligner(tmp_path / "mine", named, template, {"steps": 1200, "data": "drawn portraits"})
    (tmp_path / "mine" / "notes.txt").write_text("private")
    return tmp_path / "mine"


@pytest.fixture
def summary(folder: Path, tmp_path: Path) -> Path:
    """A result file about this Aligner, as `plvm eval` writes it."""
    figures = {
        "system": {"aligner": fingerprint(*load_aligner(folder)[:2])},
        "suite": "portraits", "command": "plvm eval --suite portraits", "commit": "0123456789abcdef", "seed": 0,
        "recognition": {"mean": {"value": 0.534, "low": 0.513, "high": 0.553, "n": 8364}},
        "who": {"1": {"right": {"value": 0.1, "low": 0.0, "high": 0.2, "n": 7}}},
    }  # fmt: skip
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(figures))
    return path


def test_what_was_pushed_loads_and_enrols_the_same(hub: Hub, folder: Path, family: Path) -> None:
    vlm = plvm.load(family, device="cpu")
    knows = Album(range(8), range(8, 12), picture)
    shown = fit_familiarity(vlm.backbone, vlm.encoder, knows, knows, name="mine", advice="", report=lambda *_: None)
    save_familiarity(folder, shown)
    assert push(folder, "me/mine", licence="apache-2.0", private=True) == "https://huggingface.co/me/mine"
    assert sorted(p.name for p in (hub.root / "me/mine").iterdir()) == sorted([*FILES, FAMILIARITY, "README.md"])
    assert hub.private == {"me/mine": True}
    for part, name in (("backbone", BACKBONE), ("encoder", ENCODER)):  # where `load` looks first: beside the Aligner
        shutil.copytree(family.parent / part, hub.root / "me/mine" / name)
    loaded, local = plvm.load("me/mine", device="cpu"), plvm.load(family, device="cpu")
    a, b = (vlm.enroll("billie", picture(1)).tokens for vlm in (loaded, local))
    assert (a.word == b.word).all() and (a.context == b.context).all()
    assert loaded.familiarity is not None and loaded.familiarity.name == "mine"


def test_the_card_says_what_it_is_how_it_was_trained_and_how_good_it_is(folder: Path, summary: Path) -> None:
    card = model_card(folder, "me/mine", [summary], "apache-2.0")
    metadata, _, body = card.removeprefix("---\n").partition("\n---\n")
    assert 'license: "apache-2.0"' in metadata and f'- "{BACKBONE}"\n- "{ENCODER}"' in metadata
    for part in (
        "# me/mine", 'plvm.load("me/mine")', "| form | anchored, 4 context tokens |", f"| backbone, frozen | {BACKBONE}",
        '"data": "drawn portraits"', "| recognition.mean | 0.534 [0.513, 0.553] | 8364 |",
        "`plvm eval --suite portraits`, commit 0123456789ab, seed 0",
        "## Intended use", "## Privacy", "biometric", "The weights: apache-2.0.",
    ):  # fmt: skip
        assert part in body, part
    assert "who.1.right" not in body, "only headline figures"


def test_the_cards_metadata_is_what_the_hub_reads(folder: Path) -> None:
    from huggingface_hub import ModelCard

    data = ModelCard(model_card(folder, "me/mine", licence="mit")).data.to_dict()
    assert (data["license"], data["library_name"], data["base_model"]) == ("mit", "plvm", [BACKBONE, ENCODER])


def test_without_result_files_and_licence_nothing_is_claimed(folder: Path) -> None:
    card = model_card(folder, "me/mine")
    assert "nothing is claimed" in card and "No licence is stated" in card and "license:" not in card


def test_a_result_of_another_aligner_is_refused(folder: Path, summary: Path) -> None:
    summary.write_text(summary.read_text().replace('"aligner": "', '"aligner": "0'))
    with pytest.raises(RequestError, match="measured another Aligner"):
        model_card(folder, "me/mine", [summary])
    for text in ("{}", "[1]", "no json", '{"system": 3}'):
        summary.write_text(text)
        with pytest.raises(RequestError, match="no result file"):
            model_card(folder, "me/mine", [summary])


def test_an_aligner_whose_parts_are_only_here_is_not_pushed(hub: Hub, family: Path, tmp_path: Path) -> None:
    shutil.copytree(family, tmp_path / "local")
    with pytest.raises(CheckpointError, match="nobody else can load") as caught:
        push(tmp_path / "local", "me/mine")
    assert "Hub id" in caught.value.hint
    assert not hub.root.exists() and not (tmp_path / "local" / "README.md").exists()


def test_an_imported_release_is_not_published_without_a_licence(hub: Hub, folder: Path) -> None:
    aligner, _, _ = load_aligner(folder)
    save_aligner(folder, aligner, Template(), {"source": "The authors' release.", "sha256": "0" * 64})
    with pytest.raises(RequestError, match="states no licence"):
        push(folder, "me/mine")
    push(folder, "me/mine", licence="mit")
    assert "The authors' release." in (hub.root / "me/mine" / "README.md").read_text()


@pytest.mark.parametrize("repo", ["mine", "me/mine/again", "../mine", "me/", "mé/mine", "me/mine\n"])
def test_a_name_that_is_no_repository_is_refused(hub: Hub, folder: Path, repo: str) -> None:
    with pytest.raises(RequestError, match="no name of a repository"):
        push(folder, repo)


def test_what_the_hub_refuses_is_said_with_the_way_to_log_in(hub: Hub, folder: Path) -> None:
    hub.broken = OSError("401 Client Error: Unauthorized\nsecond line")
    done = CliRunner().invoke(app, ["push", str(folder), "me/mine"])
    assert done.exit_code == 2 and done.stdout == ""
    first, hint = done.stderr.strip().splitlines()
    assert "me/mine cannot be written" in first and "401" in first and "hf auth login" in hint


def test_offline_the_real_client_refuses_and_no_traceback_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    done = CliRunner().invoke(app, ["push", str(folder), "me/mine"])
    assert done.exit_code == 2 and "cannot be written to the Hugging Face Hub" in done.stderr


def test_the_command_line_writes_the_card_alone_or_uploads(hub: Hub, folder: Path, summary: Path) -> None:
    words = ["push", str(folder), "me/mine", "--results", str(summary), "--json"]
    done = CliRunner().invoke(app, [*words, "--card-only"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == {"url": None, "card": str(folder / "README.md")}
    assert "0.534" in (folder / "README.md").read_text() and not hub.root.exists()
    done = CliRunner().invoke(app, words)
    assert json.loads(done.stdout)["url"] == "https://huggingface.co/me/mine"
    assert not (hub.root / "me/mine" / "notes.txt").exists()
