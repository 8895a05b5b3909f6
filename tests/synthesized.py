"""Two small datasets, one with a person and one with up to four in a picture: for the tests of datasets."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from plvm.data.spec import Spec
from plvm_lab.synth.pipeline import synthesize

SMALL = Spec(identities=10, per_identity=2, seed=3, size=48, shard=2, shares=(0.6, 0.2, 0.2), filters=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset, made in one go by this process."""
    folder = tmp_path_factory.mktemp("synth") / "made"
    synthesize(SMALL, folder)
    return folder


@pytest.fixture(scope="module")
def friends(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with up to four people in a picture."""
    folder = tmp_path_factory.mktemp("synth") / "friends"
    spec = {**vars(SMALL), "identities": 40, "shard": 8, "options": {"people": [1, 4]}}
    synthesize(Spec(**spec), folder)
    return folder
