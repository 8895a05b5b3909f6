"""The page's files, what browsers are told with them, and whose pages may use the server."""

from __future__ import annotations

import importlib.util
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from family import family as family
from plvm.cli import serve as verb
from plvm.personal import Personal
from plvm.server.api import build_api
from plvm.server.keys import KeyFile
from plvm.server.page_routes import FOLDER
from serving import a_service, uri
from shell import Shell
from shell import load_once as load_once
from shell import shell as shell
from toys import picture

pytest.importorskip("fastapi")
TestClient = pytest.importorskip("starlette.testclient").TestClient
DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def browser(service: Any) -> Any:
    """A client without a network: what a browser would send is what it is told to send."""
    with TestClient(build_api(service), base_url="http://127.0.0.1") as client:
        yield client


def test_the_page_is_whole_and_needs_nothing_of_anybody_else(browser: Any) -> None:
    page = browser.get("/")
    assert page.headers["content-type"].startswith("text/html")
    named = set(re.findall(r'(?:src|href)="(/[^"]+)"', page.text))
    for file in FOLDER.glob("*.js"):
        named |= {f"/page/{name}" for name in re.findall(r'from "\./([^"]+)"', file.read_text(encoding="utf-8"))}
    assert {f"/page/{file.name}" for file in FOLDER.iterdir() if file.suffix in (".js", ".css", ".svg")} == named - {"/"}
    for path in named:
        assert browser.get(path).status_code == 200, path
    text = "".join(file.read_text(encoding="utf-8") for file in FOLDER.iterdir() if file.is_file())
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), "no other host is named"
    assert not re.search(r"<script>|<style| style=| on\w+=|innerHTML|insertAdjacent|outerHTML|document\.write", text)
    assert browser.get("/page/../api.py").status_code == browser.get("/page/%2e%2e/api.py").status_code == 404


def test_browsers_are_told_to_trust_the_page_alone(browser: Any) -> None:
    policy = dict(part.split(" ", 1) for part in browser.get("/").headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'" and policy["script-src"] == "'self'"
    answer = browser.get("/v1/concepts").headers
    assert answer["content-security-policy"].startswith("default-src 'none'") and answer["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer
    refused = browser.post("/v1/concepts", headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403 and refused.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://127.0.0.1:3000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1.evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "image"}, 403),
    ],
)
def test_pages_of_other_sites_may_not_use_it(browser: Any, headers: dict[str, str], status: int) -> None:
    added = browser.post("/v1/concepts", json={"name": "billie", "images": [uri(picture(5))]}, headers=headers)
    assert added.status_code == {200: 201}.get(status, status)
    for path in ("/v1/concepts", "/v1/export", "/metrics", "/v1/concepts/billie/thumbnail"):
        assert browser.get(path, headers=headers).status_code in ((status,) if added.status_code == 201 else (403,))
    assert browser.get("/", headers=headers).status_code == 200, "a link may lead to the page"
    assert (browser.get("/v1/concepts").json()["total"] == 1) == (status == 200)


def test_a_key_does_not_open_it_to_pages_of_other_sites_and_an_allowed_one_is_let_in(vlm: Personal, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    mine = {"Authorization": f"Bearer {keys.new('home')}"}
    photos = "https://photos.example"
    with TestClient(build_api(a_service(vlm, tmp_path, keys=keys), [photos])) as client:
        assert client.get("/v1/concepts", headers={**mine, "Origin": "https://evil.example"}).status_code == 403
        allowed = client.get("/v1/concepts", headers={**mine, "Origin": photos, "Sec-Fetch-Site": "cross-site"})
        assert allowed.status_code == 200 and allowed.headers["access-control-allow-origin"] == photos
        asked = {"Origin": photos, "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"}
        assert client.options("/v1/concepts/billie", headers=asked).status_code == 200
        refused = client.options("/v1/concepts/billie", headers={**asked, "Origin": "https://evil.example"})
        assert refused.status_code == 400 and "access-control-allow-origin" not in refused.headers


def test_the_samples_are_what_the_script_draws() -> None:
    spec = importlib.util.spec_from_file_location("page_pictures", DOCS / "page_pictures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drawn = module.samples()
    assert set(drawn) == {file.name for file in module.SAMPLES.glob("*.png")}
    for name, made in drawn.items():
        kept = Image.open(module.SAMPLES / name)
        assert ImageChops.difference(kept.convert("RGB"), made.convert("RGB")).getbbox() is None, name
    assert sum(file.stat().st_size for file in module.SAMPLES.iterdir()) < 300_000


def test_a_browser_is_opened_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    done = threading.Event()
    monkeypatch.setattr(verb.webbrowser, "open", lambda address: (opened.append(address), done.set()))
    monkeypatch.setattr(verb.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    verb.BrowserOptions(open=True).show("http://nowhere")
    monkeypatch.setenv("DISPLAY", ":0")
    verb.BrowserOptions(open=False).show("http://unasked")
    verb.BrowserOptions(open=True).show("http://there")
    assert done.wait(10) and opened == ["http://there"]


def test_an_origin_has_no_path(shell: Shell) -> None:
    for wrong in ("photos.example", "https://photos.example/", "*"):
        assert "no origin" in shell.refuses("serve", "--allow-origin", wrong)[0]
