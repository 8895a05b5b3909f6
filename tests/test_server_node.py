"""OpenAI's own client for Node against a server: what it gets, what it is refused, what it comes again for."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from plvm.engine.decoding import Decoding
from plvm.personal import Personal
from plvm.server.keys import KeyFile
from plvm.server.limits import Limits
from plvm.types import SamplingParams
from serving import a_service, running
from toys import picture

SCRIPT = Path(__file__).parent / "node" / "client.mjs"


def with_the_client(folder: Path) -> Path:
    """The script in a folder where the client is installed. Skips where that cannot be."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed: what OpenAI's client for Node gets was not tested")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "openai@7"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"npm cannot install openai, so what it gets was not tested: {done.stderr[-300:]}")
    return Path(shutil.copy(SCRIPT, folder))


@pytest.mark.slow
def test_the_node_client_gets_answers_streams_files_and_errors(
    vlm: Personal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = with_the_client(tmp_path)
    step = Decoding.step
    monkeypatch.setattr(Decoding, "step", lambda self: (time.sleep(0.02), step(self))[1])
    keys = KeyFile(tmp_path / "keys.json")
    key = keys.new("home")
    service = a_service(vlm, tmp_path, keys=keys, keys_needed=True, limits=Limits(batch=1, queue=3))
    billie = service.store("home").add(vlm.enroll("billie", picture(5)))
    picture(1).save(tmp_path / "picture.png")
    with running(service) as address:
        command = ["node", str(script), address, key, str(tmp_path / "picture.png")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        since = time.monotonic()
        while service.worker.writing and time.monotonic() - since < 30:
            time.sleep(0.05)
        assert service.worker.writing == 0, "nothing is written for who has left"
    expected = vlm.ask(picture(1), "Where is <billie>?", [billie], SamplingParams(max_tokens=12)).shown([billie])
    assert told["plain"] == told["streamed"] == told["uploaded"] == expected
    assert (told["deleted"]["status"], told["deleted"]["code"]) == (404, "file_not_found")
    assert (told["wrongKey"]["kind"], told["wrongKey"]["status"]) == ("AuthenticationError", 401)
    assert told["wrongModel"]["status"] == 404 and 'Ask for "mini"' in told["wrongModel"]["message"]
    assert told["late"]["kind"] == "APIConnectionTimeoutError"
    assert told["busy"] and {(e["kind"], e["status"], e["code"]) for e in told["busy"]} == {("RateLimitError", 429, "busy")}
    assert told["patient"] == [expected] * 8
