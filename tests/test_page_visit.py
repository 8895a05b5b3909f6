"""The page in a real browser, with the shipped model: what somebody sees, presses, types and hears."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import plvm
from plvm.personal import Personal
from plvm.server.keys import KeyFile
from serving import a_service, running

pytestmark = pytest.mark.slow
playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("there is no chromium on this machine", allow_module_level=True)
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SAMPLES = Path(plvm.__file__).parent / "server/page/samples"
DESKTOP, PHONE = (1280, 860), (390, 844)
ANSWER = "#log .said:not(:has(.writing))"


@pytest.fixture(scope="module")
def mini() -> Personal:
    return plvm.load("mini", device="cpu")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def visiting(chromium: Any, address: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> Iterator[Any]:
    """The page in a window of its own. Afterwards: no mistake was told to the console, no other host was asked for anything."""
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("console", lambda line: wrong.append(line.text) if line.type in ("error", "warning") else None)
    page.on("request", lambda asked: asked.url.startswith((address, "blob:")) or wrong.append(asked.url))
    page.goto(address)
    try:
        yield page
    finally:
        page.wait_for_load_state("networkidle")
        context.close()
    assert not [text for text in wrong if "with a status of 4" not in text], "but for what the server refused"


@pytest.fixture
def address(mini: Personal, tmp_path: Path) -> Iterator[str]:
    with running(a_service(mini, tmp_path)) as place:
        yield place


def press(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def ask(page: Any, question: str) -> str:
    """Ask, and what is answered once it is whole."""
    before = page.locator(ANSWER).count()
    page.fill("#question", question)
    page.keyboard.press("Enter")
    page.wait_for_function("([css, n]) => document.querySelectorAll(css).length > n", arg=[ANSWER, before])
    return str(page.locator(ANSWER).last.inner_text())


def accessible(page: Any) -> None:
    """Axe finds nothing serious."""
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [(v["id"], [n["target"] for n in v["nodes"]]) for v in found if v["impact"] in ("serious", "critical")]
    assert not serious


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")])
def test_people_are_added_talked_about_renamed_and_forgotten(
    chromium: Any, address: str, size: tuple[int, int], scheme: str
) -> None:
    with visiting(chromium, address, size, scheme) as page:
        page.wait_for_selector("#sample-people img")
        accessible(page)
        for name in ("Billie", "Dustin"):
            press(page, f"Add {name}")
            page.wait_for_selector(f"#people >> text={name}")
        press(page, "Three people in a library")
        with page.expect_response("**/v1/chat/completions") as told:
            assert ask(page, "Where is Billie?")
        assert told.value.headers["content-type"].startswith("text/event-stream")
        assert told.value.request.post_data_json["stream"] is True
        assert page.locator("#log .asked .chip").inner_text() == "Billie"
        wait_until_heard(page)

        press(page, "Add")
        page.set_input_files("#add-files", [SAMPLES / "avril.png"])
        page.fill("#add-name", "Anna Maria")
        accessible(page)
        page.click("#add-go")
        page.wait_for_selector("#log .joined >> text=Anna Maria")
        assert ask(page, "What is Anna Maria wearing?") and page.locator("#log .asked .chip").last.inner_text() == "Anna Maria"

        press(page, "Who is in this picture?")
        page.wait_for_selector(".found .verdict")
        assert "Anna Maria" in page.locator(".found").inner_text() and "Dustin" in page.locator(".more").first.inner_text()
        accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"

        page.click("#people button[title='Anna Maria']")
        page.set_input_files("#person-files", [SAMPLES / "edna.png"])
        page.locator("#person-shots img[src^=blob]").nth(1).wait_for()
        page.fill("#person-name", "Avril")
        accessible(page)
        press(page, "Rename")
        page.wait_for_selector("#people button[title='Avril']")
        assert "Anna Maria" not in page.locator("#log .chip").all_inner_texts()
        page.click("#people button[title='Avril']")
        press(page, "Forget")
        press(page, "Forget for good")
        page.wait_for_selector("#people button[title='Avril']", state="detached")
        assert "Avril" not in page.locator("#log .chip").all_inner_texts()
        assert ask(page, "Where is Billie?")


def wait_until_heard(page: Any) -> None:
    """Those who listen are told the whole answer, once."""
    answer = page.locator(f"{ANSWER} > span").last.inner_text()
    page.wait_for_function("(text) => document.getElementById('live').textContent === text", arg=answer)


def test_everything_can_be_done_with_the_keyboard_alone(chromium: Any, address: str) -> None:
    with visiting(chromium, address) as page:
        page.wait_for_selector("#sample-people img")

        def tab_to(css: str, key: str = "Tab") -> None:
            for _ in range(40):
                page.keyboard.press(key)
                if page.evaluate("(css) => document.activeElement.matches(css)", css):
                    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                    assert outline != "none", f"{css} does not show that it has the focus"
                    return
            raise AssertionError(f"{css} cannot be reached")

        tab_to("#sample-people li:first-child button")
        page.keyboard.press("Enter")
        page.wait_for_selector("#people >> text=Billie")
        tab_to("#sample-pictures li:first-child button")
        page.keyboard.press("Space")
        page.wait_for_selector("#talk:not([hidden])")
        page.keyboard.type("Where is Billie?\n")
        page.wait_for_selector(ANSWER)
        tab_to("#people button[title='Billie']", "Shift+Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("#person[open]")
        tab_to("#forget")
        page.keyboard.press("Enter")
        tab_to("#forget-yes")
        page.keyboard.press("Enter")
        page.wait_for_selector("#people button[title='Billie']", state="detached")


def test_text_is_text_whoever_wrote_it(chromium: Any, address: str) -> None:
    with visiting(chromium, address) as page:
        page.wait_for_selector("#sample-people img")
        page.evaluate(
            """async () => {
                const blob = await (await fetch("/page/samples/billie.png")).blob();
                const body = new FormData();
                body.append("file", blob);
                const { id } = await (await fetch("/v1/files", { method: "POST", body })).json();
                const notes = "<img src=x onerror=alert(1)>";
                const headers = { "Content-Type": "application/json" };
                const person = JSON.stringify({ name: "Bil'lie&amp;", notes, images: [id] });
                await fetch("/v1/concepts", { method: "POST", headers, body: person });
            }"""
        )
        page.reload()
        page.click("#people button >> nth=0")
        assert "<img src=x onerror=alert(1)>" in page.locator("#person-about").inner_text()
        page.keyboard.press("Escape")
        press(page, "Two people on a beach")
        page.fill("#question", "<img src=x onerror=alert(2)><script>alert(3)</script>")
        page.keyboard.press("Enter")
        page.wait_for_selector(f"{ANSWER}, #log .failed")
        assert not page.locator("img[src=x]").count() and page.locator("#log .asked").inner_text().count("<script>") == 1


def test_whoever_is_spoken_of_joins_the_row_also_of_a_large_store(chromium: Any, mini: Personal, tmp_path: Path) -> None:
    service = a_service(mini, tmp_path)
    person = mini.enroll("zoe", SAMPLES / "billie.png")
    crowd = [replace(person, name=f"p{i:03}", display="", references=()) for i in range(205)]
    service.store("default").add_all([*crowd, person])
    with running(service) as address, visiting(chromium, address) as page:
        page.locator("#people", has_text="and 6 more").wait_for()
        press(page, "Two people on a beach")
        page.wait_for_selector("#talk:not([hidden])")
        assert ask(page, "Where is zoe?") and page.locator("#log .asked .chip").inner_text() == "zoe"
        page.locator("#people", has_text="and 5 more").wait_for()


def test_a_key_is_asked_for_and_kept_in_the_tab_alone(chromium: Any, mini: Personal, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key = keys.new("home")
    service = a_service(mini, tmp_path, keys=keys)
    other = service.store("another").add(mini.enroll("stranger", SAMPLES / "edna.png"))
    service.store("home").add(mini.enroll("Billie", SAMPLES / "billie.png"))
    with running(service) as address, visiting(chromium, address) as page:
        page.wait_for_selector("#key[open]")
        accessible(page)
        page.fill("#key-text", "plvm-wrong")
        press(page, "Go on")
        page.wait_for_selector("#key-error >> text=not known")
        page.fill("#key-text", key)
        press(page, "Go on")
        page.wait_for_selector("#people img[src^='blob:']")
        assert page.locator("#people .label").all_inner_texts() == ["Billie", "Add"] and other.name == "stranger"
        assert page.evaluate("Object.values(sessionStorage)") == [key]
        assert page.evaluate("localStorage.length + document.cookie.length") == 0


def test_mistakes_are_told_in_sentences_and_strange_pictures_are_said_to_be_so(
    chromium: Any, address: str, tmp_path: Path
) -> None:
    from PIL import Image

    Image.effect_noise((300, 300), 90).convert("RGB").save(tmp_path / "noise.png")
    (tmp_path / "text.png").write_text("no picture")
    with visiting(chromium, address) as page:
        page.wait_for_selector("#sample-people img")
        press(page, "Add Billie")
        page.wait_for_selector("#people >> text=Billie")
        press(page, "Add")
        page.click("#add-go")
        assert "picture first" in page.locator("#add-error").inner_text()
        page.set_input_files("#add-files", [tmp_path / "text.png"])
        page.fill("#add-name", "Nobody")
        page.click("#add-go")
        page.wait_for_selector("#add-error >> text=It reads JPEG")
        page.keyboard.press("Escape")
        page.set_input_files("#choose-picture", [tmp_path / "noise.png"])
        page.wait_for_selector("#warning:not([hidden])")
        accessible(page)
        press(page, "Another picture")
        page.set_input_files("#choose-picture", [tmp_path / "text.png"])
        page.wait_for_selector("#log .failed")


def test_a_busy_server_is_asked_again(chromium: Any, address: str) -> None:
    with visiting(chromium, address) as page:
        page.wait_for_selector("#sample-people img")
        told: list[int] = []

        def busy_once(route: Any) -> None:
            told.append(0)
            route.fulfill(status=429, headers={"Retry-After": "1"}, json={}) if len(told) == 1 else route.continue_()

        page.route("**/v1/chat/completions", busy_once)
        press(page, "Two people on a beach")
        page.wait_for_selector("#talk:not([hidden])")
        assert ask(page, "Where was this photo taken?") and len(told) == 2


def test_an_answer_can_be_stopped_and_the_dialogue_goes_on(chromium: Any, address: str) -> None:
    with visiting(chromium, address) as page:
        press(page, "Two people on a beach")
        page.wait_for_selector("#talk:not([hidden])")
        page.route("**/v1/chat/completions", lambda route: None)  # it never answers
        page.fill("#question", "Where was this photo taken?")
        page.keyboard.press("Enter")
        page.wait_for_selector("#stop:not([hidden])")
        page.wait_for_timeout(300)
        press(page, "Stop")
        page.wait_for_selector("#log >> text=Stopped.")
        page.unroute("**/v1/chat/completions")
        assert ask(page, "Where was this photo taken?")


def test_a_page_of_another_site_learns_and_changes_nothing(chromium: Any, mini: Personal, tmp_path: Path) -> None:
    service = a_service(mini, tmp_path)
    service.store("default").add(mini.enroll("Billie", SAMPLES / "billie.png"))
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with running(service) as address, ThreadingHTTPServer(("127.0.0.1", 0), handler) as elsewhere:
        Thread(target=elsewhere.serve_forever, daemon=True).start()
        page = chromium.new_page()
        page.goto(f"http://127.0.0.1:{elsewhere.server_port}/")
        told = page.evaluate(
            """async ([server, picture]) => {
                const image = (path) => new Promise((done) => {
                    const one = new Image();
                    one.onload = () => done("seen");
                    one.onerror = () => done("nothing");
                    one.src = server + path;
                });
                const body = new FormData();
                body.append("file", new Blob([new Uint8Array(picture)], { type: "image/png" }), "a.png");
                await fetch(server + "/v1/files", { method: "POST", mode: "no-cors", body }).catch(() => null);
                const read = await fetch(server + "/v1/concepts").then(() => "read", () => "refused");
                return [read, await image("/v1/concepts/Billie/thumbnail")];
            }""",
            [address, list((SAMPLES / "billie.png").read_bytes())],
        )
        page.close()
        elsewhere.shutdown()
        assert told == ["refused", "nothing"] and service.uploads.list("default") == []
