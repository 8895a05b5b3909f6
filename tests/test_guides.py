"""What docs/serving.md and docs/at-home.md give to be copied works: every snippet, against a real server."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pictures import encoded
from plvm.personal import Personal
from plvm.server.service import Service
from serving import part
from toys import picture

httpx2 = pytest.importorskip("httpx2")
yaml = pytest.importorskip("yaml")
DOCS = Path(__file__).parents[1] / "docs"
SERVER = "http://127.0.0.1:8642"
PEOPLE = {"billie": 5, "avril": 6, "dustin": 7}


def snippets(page: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the pictures that the snippets name."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name, seed in {**PEOPLE, "party": 1}.items():
        (folder / f"{name}.jpg").write_bytes(encoded(picture(seed), "JPEG"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def stored(service: Service) -> Service:
    """A server that knows Billie."""
    service.store("default").add(service.vlm.enroll("Billie", picture(5)))
    return service


def run(command: list[str], text: str, folder: Path) -> str:
    done = subprocess.run([*command, text], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_lines_for_a_shell(here: Path, address: str, service: Service) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    (text,) = [text for text in snippets("serving.md", "sh") if "curl" in text]
    told = run(["bash", "-euc"], text.replace(SERVER, address), here)
    assert '"shown":"Billie"' in told and '"chat.completion"' in told and "error" not in told
    assert service.store("default").names() == ["Billie"]


def test_the_python(here: Path, address: str, service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openai")
    (text,) = snippets("serving.md", "python")
    exec(compile(text.replace(SERVER, address), "serving.md", "exec"), {})
    assert service.store("default").names() == ["Avril"] and capsys.readouterr().out.strip()


def test_the_javascript(here: Path, address: str, service: Service) -> None:
    if shutil.which("node") is None:
        pytest.skip("there is no node on this machine")
    (text,) = snippets("serving.md", "js")
    told = run(["node", "--input-type=module", "-e"], text.replace(SERVER, address), here)
    assert re.fullmatch(r"Dustin: (yes|no|unsure)\n", told) and service.store("default").names() == []


def test_home_assistant_asks_as_the_guide_sets_it_up(http: Any, stored: Service, vlm: Personal) -> None:
    """What LLM Vision sends to a custom endpoint: first a word to see that it answers, then the question of the automation."""
    endpoint = re.search(r"http://192\.168\.1\.5:8642(/\S+)`", (DOCS / "at-home.md").read_text(encoding="utf-8"))
    assert endpoint is not None
    (asked,) = [yaml.safe_load(text) for text in snippets("at-home.md", "yaml") if "llmvision" in text]
    assert asked["action"] == "llmvision.image_analyzer" and asked["data"]["use_memory"] is True
    hello = {"model": "mini", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}
    assert http.post(endpoint[1], json=hello).status_code == 200
    memory = [{"type": "text", "text": "This is James, the father."}, part(6)]
    question = [{"type": "text", "text": "Image 1:"}, part(1), {"type": "text", "text": asked["data"]["message"]}]
    system = {"role": "system", "content": "You describe what a camera sees."}
    body = {
        "model": "mini", "temperature": 0.5, "top_p": 0.9, "max_completion_tokens": asked["data"]["max_tokens"],
        "messages": [system, {"role": "user", "content": memory}, {"role": "user", "content": question}],
    }  # fmt: skip
    answer = http.post(endpoint[1], json=body)
    assert answer.status_code == 200 and answer.json()["plvm"]["concepts"] == ["James"]
    alone = http.post(endpoint[1], json={**body, "messages": [system, body["messages"][2]]})
    assert alone.json()["plvm"]["concepts"] == ["Billie"], "whoever is enrolled is known without it"
    several = [{"type": "text", "text": "Image 1:"}, part(1), {"type": "text", "text": "Image 2:"}, part(2), question[-1]]
    refused = http.post(endpoint[1], json={**body, "messages": [{"role": "user", "content": several}]})
    assert refused.status_code == 400 and "one" in refused.json()["error"]["message"]


def test_open_webui_finds_the_model_and_its_chats_stream(http: Any, stored: Service) -> None:
    (compose,) = [yaml.safe_load(text) for text in snippets("at-home.md", "yaml") if "open-webui" in text]
    environment = compose["services"]["open-webui"]["environment"]
    base = environment["OPENAI_API_BASE_URL"].partition(":8642")[2]
    (model,) = http.get(f"{base}/models", headers={"Authorization": "Bearer any"}).json()["data"]
    content = [{"type": "text", "text": "Where is Billie?"}, part(1)]
    body = {"model": model["id"], "stream": True, "messages": [{"role": "user", "content": content}]}
    with http.stream("POST", f"{base}/chat/completions", json=body) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]" and all(line.startswith("data: ") for line in lines)
