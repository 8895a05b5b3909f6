"""A server killed at random moments, and fed with whatever its own description allows, or does not."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from concepts import concept
from family import family as family
from plvm.store import ConceptStore
from serving import address as address
from serving import service as service
from serving import uri
from toys import picture

BENCHMARKS = Path(__file__).parents[1] / "research" / "benchmarks"


@pytest.fixture
def kills() -> Iterator[Any]:
    """The script that publishes what kill -9 does, as a module."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield import_module("serving_kills")
    finally:
        sys.path.remove(str(BENCHMARKS))


def test_one_who_is_lost_and_one_who_should_not_be_there_are_noticed(kills: Any, tmp_path: Path) -> None:
    with ConceptStore.open(tmp_path / "concepts.db", namespace="home-0") as store:
        store.add_all([concept("billie", 1), concept("avril", 2), concept("zoe", 3)])
    home = kills.Home(0, there={"billie", "ghost"}, unknown={"zoe"})
    assert kills.examined(tmp_path / "concepts.db", home) == (2, 0), "ghost is lost, avril was forgotten, zoe may be there"
    assert home.there == {"billie", "avril", "zoe"}


@pytest.mark.slow
def test_who_was_acknowledged_is_there_after_kill_9(kills: Any, family: Path, tmp_path: Path) -> None:
    pictures = [uri(picture(i)) for i in range(8)]
    found = kills.killed(tmp_path, 4, 1, family.name, pictures, ("--model", str(family)))
    assert found["lost"] == found["half"] == 0 and found["acknowledged"]["add"] >= 4, found


@pytest.mark.slow
def test_nothing_that_its_description_allows_or_forbids_is_answered_with_a_failure(address: str, tmp_path: Path) -> None:
    schemathesis = Path(sys.executable).with_name("schemathesis")
    if not schemathesis.exists():
        pytest.skip("schemathesis is not installed: the API was not fuzzed")
    command = [
        str(schemathesis), "run", f"{address}/openapi.json", "--checks", "not_a_server_error", "--max-examples", "40",
        "--phases", "examples,coverage,fuzzing", "--seed", "1", "--generation-database", "none", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:]
    selected, tested = re.search(r"Selected: \d+/(\d+)", done.stdout), re.search(r"Tested: (\d+)", done.stdout)
    assert selected and tested and selected[1] == tested[1], done.stdout[-4000:]
