"""`plvm serve` and `plvm keys` as typed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from family import family as family
from shell import Shell
from shell import load_once as load_once
from shell import shell as shell

httpx2 = pytest.importorskip("httpx2")
pytest.importorskip("uvicorn")


def test_a_key_is_made_listed_and_revoked(shell: Shell) -> None:
    key = shell("keys", "new", "home", "--note", "the tablet").strip()
    assert key.startswith("plvm-") and "shown only now" in shell.err
    assert re.search(r"home +\S+ +the tablet", listed := shell("keys", "list")) and key not in listed
    id = listed.splitlines()[1].split()[0]
    assert shell.refuses("keys", "revoke", "nobody")[1].endswith(f"{id}.")
    shell("keys", "revoke", id)
    assert shell("keys", "list", "--json").strip() == "[]"


def test_it_refuses_to_be_reached_by_others_without_a_key(shell: Shell) -> None:
    message, hint = shell.refuses("serve", "--host", "0.0.0.0")
    assert "no key" in message and "plvm keys new" in hint
    assert "above 0" in shell.refuses("serve", "--batch", "0")[0]


def test_replicas_are_refused_where_there_can_be_none(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "with --ray alone" in shell.refuses("serve", "--replicas", "3")[0]
    with monkeypatch.context() as without:
        without.delitem(sys.modules, "plvm.server.replicas", raising=False)
        without.setitem(sys.modules, "ray", None)
        assert shell.refuses("serve", "--ray") == ("--ray needs Ray Serve.", 'Install it: `pip install "plvm[server,replicas]"`.')
    pytest.importorskip("ray.serve")
    assert "SQLite" in shell.refuses("serve", "--ray", "--ray-address", "10.0.0.1:6379")[0]
    assert "0 replicas" in shell.refuses("serve", "--ray", "--replicas", "0", "--ray-address", "10.0.0.1:6379")[0]


def test_it_says_where_it_is_answers_and_ends_in_order(shell: Shell, family: Path) -> None:
    command = [sys.executable, "-c", "from plvm.cli.program import run; run()", "serve", "--port", "0", "--model", str(family)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        told = next(line for line in process.stderr if line.startswith("Serving"))
        address = re.search(r"http://127\.0\.0\.1:\d+/v1", told)
        assert address is not None and "no key is needed" in told
        assert httpx2.get(f"{address[0]}/models").json()["data"][0]["id"] == family.name
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(30) in (0, 130) and "Traceback" not in rest, rest
    finally:
        process.kill()
