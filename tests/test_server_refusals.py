"""Bad requests: each gets the right status, and an error, shaped as OpenAI's, that says what to do."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pictures import animation, encoded, png_bomb, scene
from plvm.personal import Personal
from serving import a_service, asked, part, running, uri
from toys import picture

httpx2 = pytest.importorskip("httpx2")
CHAT, ADD, WHO, FILES = "/v1/chat/completions", "/v1/concepts", "/v1/recognize", "/v1/files"
GOOD = uri(picture(1))


def data(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def chat(**changes: Any) -> Any:
    return "POST", CHAT, {**asked("Who is here?"), **changes}


def said(*contents: Any, role: str = "user") -> Any:
    return chat(messages=[{"role": role, "content": content} for content in contents])


def seen(url: str) -> Any:
    return said([{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "Who?"}])


def guest(**changes: Any) -> Any:
    return chat(concepts=[{"name": "billie", "images": [GOOD], **changes}])


def add(**changes: Any) -> Any:
    return "POST", ADD, {"name": "billie", "images": [GOOD], **changes}


BAD: dict[str, tuple[Any, int, str]] = {  # what is wrong: (request, status, code)
    # ---- the body
    "no json": (("POST", CHAT, b"{"), 400, "invalid_json"),
    "a list": (("POST", CHAT, []), 400, "invalid_value"),
    "nothing": (("POST", CHAT, b""), 400, "missing_parameter"),
    "no utf-8": (("POST", CHAT, b'{"model": "\xff"}'), 400, "invalid_request"),
    "no model": (("POST", CHAT, {"messages": [{"role": "user", "content": "Hi"}]}), 400, "missing_parameter"),
    "no messages": (("POST", CHAT, {"model": "mini"}), 400, "missing_parameter"),
    "other model": (chat(model="gpt-9"), 404, "model_not_found"),
    "model of no type": (chat(model=3), 400, "invalid_value"),
    "empty messages": (chat(messages=[]), 400, "invalid_value"),
    "messages of text": (chat(messages="Who?"), 400, "invalid_value"),
    # ---- fields
    "unknown field": (chat(wisdom=1), 400, "unsupported_parameter"),
    "two answers": (chat(n=2), 400, "invalid_value"),
    "tools": (chat(tools=[{"type": "function", "function": {"name": "f"}}]), 400, "invalid_value"),
    "functions": (chat(functions=[]), 400, "unsupported_parameter"),
    "tool choice": (chat(tool_choice="required"), 400, "invalid_value"),
    "json answers": (chat(response_format={"type": "json_object"}), 400, "invalid_value"),
    "audio": (chat(modalities=["audio"]), 400, "invalid_value"),
    "frequency penalty": (chat(frequency_penalty=0.5), 400, "invalid_value"),
    "presence penalty": (chat(presence_penalty=-1), 400, "invalid_value"),
    "logit bias": (chat(logit_bias={"5": 1}), 400, "invalid_value"),
    "much reasoning": (chat(reasoning_effort="high"), 400, "invalid_value"),
    "cold": (chat(temperature=-0.1), 400, "invalid_value"),
    "hot": (chat(temperature=2.1), 400, "invalid_value"),
    "temperature in words": (chat(temperature="warm"), 400, "invalid_value"),
    "top_p of nothing": (chat(top_p=0), 400, "invalid_value"),
    "top_p of all and more": (chat(top_p=1.1), 400, "invalid_value"),
    "no tokens": (chat(max_tokens=0), 400, "invalid_value"),
    "fewer tokens": (chat(max_completion_tokens=-3), 400, "invalid_value"),
    "half a token": (chat(max_tokens=1.5), 400, "invalid_value"),
    "five stops": (chat(stop=list("abcde")), 400, "invalid_value"),
    "an empty stop": (chat(stop=""), 400, "invalid_request"),
    "a huge seed": (chat(seed=2**64), 400, "invalid_value"),
    "many logprobs": (chat(logprobs=True, top_logprobs=21), 400, "invalid_value"),
    "stream perhaps": (chat(stream="perhaps"), 400, "invalid_value"),
    "stream options": (chat(stream=True, stream_options={"speed": 9}), 400, "unsupported_parameter"),
    "names otherwise": (chat(names="loud"), 400, "invalid_value"),
    # ---- messages
    "role of a tool": (chat(messages=[{"role": "tool", "content": "4"}]), 400, "invalid_value"),
    "no role": (chat(messages=[{"content": "Hi"}]), 400, "missing_parameter"),
    "no content": (chat(messages=[{"role": "user"}]), 400, "missing_parameter"),
    "null content": (said(None), 400, "invalid_value"),
    "tool calls": (chat(messages=[{"role": "assistant", "content": "", "tool_calls": []}]), 400, "unsupported_parameter"),
    "the assistant last": (said("Hello", role="assistant"), 400, "invalid_request"),
    "the system alone": (said("Be nice", role="system"), 400, "invalid_request"),
    "an empty question": (said(""), 400, "no_question"),
    "blanks": (said("  \n "), 400, "no_question"),
    "a picture alone": (said([part(1)]), 400, "no_question"),
    "no parts": (said([]), 400, "no_question"),
    "a part of sound": (said([{"type": "input_audio", "input_audio": {}}]), 400, "invalid_value"),
    "a part without type": (said([{"text": "Who?"}]), 400, "invalid_value"),
    "a part without text": (said([{"type": "text"}]), 400, "missing_parameter"),
    "two pictures": (said([part(1), part(2), {"type": "text", "text": "Who?"}]), 400, "several_pictures"),
    "a picture of the assistant's": (
        chat(messages=[{"role": "assistant", "content": [part(1)]}, {"role": "user", "content": "Who?"}]),
        400, "invalid_request"),
    "half a character": (("POST", CHAT, b'{"model": "mini", "messages": [{"role": "user", "content": "\\ud800?"}]}'), 400, ""),
    "a NUL": (said("Who\0?"), 400, "invalid_request"),
    "a name that nobody has": (said("Where is <billie>?"), 400, "unknown_concept"),
    "too long": (said("Who is here? " * 5000), 400, "invalid_request"),
    # ---- pictures
    "a web page": (seen("https://example.com/a.png"), 400, "remote_fetch"),
    "a file here": (seen("file:///etc/passwd"), 400, "remote_fetch"),
    "a path": (seen("/etc/passwd"), 400, "invalid_image"),
    "no url": (seen(""), 400, "invalid_image"),
    "no base64": (seen("data:image/png,abc"), 400, "invalid_image"),
    "damaged base64": (seen("data:image/png;base64,@@@@"), 400, "invalid_image"),
    "cut base64": (seen("data:image/png;base64,abcde"), 400, "invalid_image"),
    "an empty picture": (seen("data:image/png;base64,"), 400, "invalid_image"),
    "text as a picture": (seen(data(b"hello")), 400, "invalid_image"),
    "a PDF": (seen(data(b"%PDF-1.7", "application/pdf")), 400, "invalid_image"),
    "a drawing": (seen(data(b"<svg xmlns='x'/>", "image/svg+xml")), 400, "invalid_image"),
    "a cut picture": (seen(data(encoded(scene())[:60])), 400, "invalid_image"),
    "an animation": (seen(data(animation("GIF"), "image/gif")), 400, "invalid_image"),
    "a bomb": (seen(data(png_bomb())), 400, "invalid_image"),
    "a strip": (seen(uri(picture(1).resize((500, 2)))), 400, "invalid_image"),
    "no such file": (seen("file-000"), 404, "file_not_found"),
    "no such file part": (
        said([{"type": "file", "file": {"file_id": "file-1"}}, {"type": "text", "text": "?"}]), 404, "file_not_found"),
    "detail": (said([{"type": "image_url", "image_url": {"url": GOOD, "detail": "huge"}}]), 400, "invalid_value"),
    # ---- people who come along
    "a guest without pictures": (guest(images=[]), 400, "invalid_value"),
    "a guest without name": (guest(name=""), 400, "invalid_value"),
    "a guest called <>": (guest(name="a<b>c"), 400, "invalid_name"),
    "a guest of a page": (guest(images=["http://a/b.png"]), 400, "remote_fetch"),
    "a guest with a rank": (guest(rank=1), 400, "unsupported_parameter"),
    "a crowd of guests": (chat(concepts=[{"name": f"p{i}", "images": [GOOD]} for i in range(17)]), 400, "too_many_people"),
    "a stored one who is not": (chat(concepts=["nobody"]), 400, "unknown_concept"),
    # ---- concepts, files and the rest
    "nobody's name": (add(name="!!!"), 400, "invalid_name"),
    "a long name": (add(name="x" * 79), 400, "invalid_name"),
    "no pictures": (add(images=[]), 400, "invalid_value"),
    "a bad picture": (add(images=[data(b"x")]), 400, "invalid_image"),
    "an unknown field of a concept": (add(age=7), 400, "unsupported_parameter"),
    "who is there already": (add(name="avril"), 409, "concept_exists"),
    "a page of 0": (("GET", f"{ADD}?limit=0", None), 400, "invalid_value"),
    "nobody": (("GET", f"{ADD}/nobody", None), 404, "concept_not_found"),
    "forget nobody": (("DELETE", f"{ADD}/nobody", None), 404, "concept_not_found"),
    "rename nobody": (("PATCH", f"{ADD}/nobody", {"name": "x"}), 404, "concept_not_found"),
    "rename to nothing": (("PATCH", f"{ADD}/avril", {"name": ""}), 400, "invalid_value"),
    "rename to a sign": (("PATCH", f"{ADD}/avril", {"name": "<"}), 400, "invalid_name"),
    "a thumbnail of nobody": (("GET", f"{ADD}/nobody/thumbnail", None), 404, "concept_not_found"),
    "a second picture": (("GET", f"{ADD}/avril/thumbnail?number=1", None), 404, "picture_not_found"),
    "a large thumbnail": (("GET", f"{ADD}/avril/thumbnail?size=9999", None), 400, "invalid_value"),
    "export nobody": (("GET", "/v1/export?name=nobody", None), 404, "concept_not_found"),
    "recognise nothing": (("POST", WHO, {}), 400, "missing_parameter"),
    "recognise nobody": (("POST", WHO, {"image": GOOD, "concepts": ["nobody"]}), 404, "concept_not_found"),
    "recognise with another model": (("POST", WHO, {"image": GOOD, "model": "x"}), 404, "model_not_found"),
    "describe a page": (("POST", "/v1/describe", {"image": "https://a/b"}), 400, "remote_fetch"),
    "upload nothing": (("POST", FILES, {}), 400, "missing_parameter"),
    "no such upload": (("GET", f"{FILES}/file-1", None), 404, "file_not_found"),
    "no such content": (("GET", f"{FILES}/file-1/content", None), 404, "file_not_found"),
    "delete no upload": (("DELETE", f"{FILES}/file-1", None), 404, "file_not_found"),
    "no such model": (("GET", "/v1/models/x", None), 404, "model_not_found"),
    "no such place": (("GET", "/v1/wishes", None), 404, "not_found"),
    "no such way": (("GET", CHAT, None), 405, "method_not_allowed"),
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, backbone: Any, encoder: Any, aligner: Any, prompt: Any) -> Iterator[Any]:
    """One server for the whole table, in which <avril> is known."""
    vlm = Personal(backbone, encoder, aligner, prompt, "toy")
    service = a_service(vlm, tmp_path_factory.mktemp("server"))
    service.store("default").add(vlm.enroll("avril", picture(6)))
    with running(service) as address, httpx2.Client(base_url=address, timeout=60) as http:
        yield http


@pytest.mark.parametrize("wrong", BAD)
def test_it_is_refused_with_what_to_do(server: Any, wrong: str) -> None:
    (method, path, body), status, code = BAD[wrong]
    raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    headers = {} if raw is None else {"Content-Type": "application/json"}
    answer = server.request(method, path, content=raw, headers=headers)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code", "hint"}
    assert error["hint"] and error["message"].endswith(error["hint"]) and error["type"]
    assert code in ("", error["code"])


def test_the_table_is_long_and_the_server_is_well_afterwards(server: Any, tmp_path: Path) -> None:
    assert len(BAD) >= 80
    assert server.post(CHAT, json=asked("Who is here?")).status_code == 200
    assert [c["name"] for c in server.get(ADD).json()["data"]] == ["avril"]


def test_a_file_that_is_no_picture_is_not_held(server: Any) -> None:
    refused = server.post(FILES, files={"file": ("a.txt", b"hello", "text/plain")})
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "file"
    refused = server.post(FILES, files={"file": ("a.png", encoded(picture(1)), "image/png")}, data={"purpose": "fine-tune"})
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "purpose"
    assert server.get(FILES).json()["data"] == []
