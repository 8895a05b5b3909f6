"""A Ray cluster gives the same dataset as one process."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("ray")

from plvm.synth.pipeline import synthesize
from plvm.synth.spec import Spec

SMALL = Spec(identities=8, per_identity=2, seed=5, size=48, shard=2, shares=(0.5, 0.25, 0.25), filters=False)


@pytest.mark.slow
def test_a_cluster_of_two_workers_gives_the_same_content_as_one_process(tmp_path: Path) -> None:
    here = synthesize(SMALL, tmp_path / "here")
    there = synthesize(SMALL, tmp_path / "there", workers=2, ray="local")
    assert there.content == here.content and there.counts == here.counts
