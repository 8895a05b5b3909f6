"""Models behind vLLM: what goes over the wire, and that what comes back is what the model says without it."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import plvm
from hub import write_backbone
from plvm.engine.request import Request
from plvm.errors import CheckpointError, EngineError, PlvmError, RequestError
from plvm.model.backbone import Backbone
from plvm.model.pretrained import load_backbone, load_words
from plvm.personal import Personal
from plvm.prompt.definitions_first import DefinitionsFirst
from plvm.prompt.template import Template
from plvm.types import Answer, Concept, SamplingParams
from plvm.vllm.remote_engine import RemoteEngine
from plvm.vllm.spelled import SpelledText, spelled
from plvm.vllm.wire import Vllm
from serving import a_service, asked, running
from toys import a_concept, picture
from vllm_stub import Stub, answering

pytest.importorskip("httpx2")
SHORT = SamplingParams(max_tokens=12)
INTRODUCE = Template().introduce
SAID = (("Is <billie> here?", "Yes."), ("Who else?", "<avril> is on the left."))


def behind(vlm: Personal, url: str, **more: Any) -> Personal:
    """The same model, run by the server at `url`."""
    engine = RemoteEngine(vlm.backbone, vlm.prompt, vlm.fingerprint, Vllm(url, **more))
    return Personal(vlm.backbone, vlm.encoder, vlm.aligner, vlm.prompt, vlm.fingerprint, engine=engine)


@pytest.fixture
def stub(backbone: Backbone) -> Stub:
    return Stub(backbone)


@pytest.fixture
def url(stub: Stub) -> Iterator[str]:
    with answering(stub) as address:
        yield address


@pytest.fixture
def known(vlm: Personal) -> list[Concept]:
    """Two people of this model; one has a display name of two words."""
    one, two = vlm.enroll_many({"billie": [picture(11)], "Anna Maria": [picture(12)]})
    return [one, two]


def essence(answer: Answer) -> tuple[Any, ...]:
    return answer.text, answer.finish, answer.names, answer.prompt_tokens, answer.new_tokens


def spelled_here(vlm: Personal, requests: list[Request], params: SamplingParams = SHORT) -> list[Answer]:
    """The answers of the engine without vLLM to the spelled requests."""
    return vlm.engine.answer([spelled(r, INTRODUCE) for r in requests], params)


QUESTIONS = ["Where is billie?", "Who is here?", "Is Anna Maria in this photo </s><image>?", "Describe <billie>, USER: please."]


@pytest.mark.parametrize("shown", [1, None], ids=["picture", "no picture"])
def test_answers_equal_those_without_vllm(vlm: Personal, known: list[Concept], url: str, shown: int | None) -> None:
    image = None if shown is None else picture(shown)
    far, asks = behind(vlm, url), [(image, question, known) for question in QUESTIONS]
    here = vlm.engine.requests(asks, strict_names=True, namespace="default")
    expected = spelled_here(vlm, here)
    assert [essence(a) for a in far.ask_many(asks, SHORT)] == [essence(a) for a in expected]
    assert len({a.text for a in expected}) > 1


def test_a_prompt_that_defines_people_first_has_its_picture_where_the_template_wants_it(
    vlm: Personal, known: list[Concept], url: str, stub: Stub
) -> None:
    prompt = DefinitionsFirst(vlm.prompt.tokenizer, replace(vlm.prompt.template, form="definitions-first"))
    own = Personal(vlm.backbone, vlm.encoder, vlm.aligner, prompt, vlm.fingerprint)
    asks = [(picture(1), "Where is billie?", known)]
    here = own.engine.requests(asks, strict_names=True, namespace="default")
    (expected,) = spelled_here(own, here)
    assert essence(behind(own, url).ask_many(asks, SHORT)[0]) == essence(expected)
    parts = [part["type"] for part in stub.seen[-1]["messages"][0]["content"]]
    assert parts == ["prompt_embeds", "image_url", "prompt_embeds"]


def test_what_is_sent_is_rows_and_a_picture_and_never_anybodys_words(
    vlm: Personal, known: list[Concept], url: str, stub: Stub
) -> None:
    behind(vlm, url).ask(picture(1), "Where is Anna Maria </s>?", known, SHORT)
    body = stub.seen[-1]
    before, shown, after = body["messages"][0]["content"]
    rows = [torch.load(io.BytesIO(base64.b64decode(p["data"])), weights_only=True) for p in (before, after)]
    assert shown["image_url"]["url"].startswith("data:image/png;base64,")
    assert (rows[1] == known[1].tokens.word).all(1).sum() == 3  # defined, introduced, asked about
    assert all((rows[1] == row).all(1).any() for row in known[0].tokens.context)
    assert "Anna" not in json.dumps(body) and "Where" not in json.dumps(body)
    assert body["chat_template"].count("'<image>'") == 1


def test_streams_say_the_same_and_never_half_a_name(vlm: Personal, known: list[Concept], url: str) -> None:
    far = behind(vlm, url)
    chunks = list(far.stream(picture(1), "Who is here?", known, SHORT))
    assert "".join(chunks) == far.ask(picture(1), "Who is here?", known, SHORT).text and len(chunks) > 1


def test_spelled_names_are_names_again_however_the_pieces_fall(known: list[Concept]) -> None:
    said = "Here anna maria's cat sits, and Billie, not Annabel, waves at <billie>."
    for size in (1, 3, 7, 100):
        text = SpelledText(known)
        chunks = [text.push(said[i : i + size]) for i in range(0, len(said), size)]
        assert "".join([*chunks, text.close()]) == text.text
        assert text.text == "Here <anna-maria>'s cat sits, and <billie>, not Annabel, waves at <billie>."
        assert text.names == ("anna-maria", "billie")


def test_a_name_that_two_people_have_stays_as_it_was_spelled() -> None:
    twins = [replace(a_concept(name, i, 8), display="Kim") for i, name in enumerate(("kim", "kim-2"))]
    text = SpelledText(twins)
    assert text.push("It is Kim.") + text.close() == "It is Kim."


def test_everyone_is_introduced_once_and_earlier_answers_are_spelled(vlm: Personal, known: list[Concept]) -> None:
    (request,) = vlm.engine.requests([(None, "And now?", known)], strict_names=True, namespace="default")
    told = spelled(replace(request, history=(("Who?", "<billie> and <anna-maria>."), ("Why?", "No."))), INTRODUCE)
    first = "<billie> is called billie. <anna-maria> is called Anna Maria. Who?"
    assert told.history == ((first, "billie and Anna Maria."), ("Why?", "No."))
    assert told.question == "And now?" and all(c.tokens.head.isinf().all() for c in told.concepts)


def test_recognition_has_the_same_probabilities(vlm: Personal, known: list[Concept], url: str) -> None:
    pictures = [picture(1), picture(2)]
    assert torch.allclose(
        torch.tensor(behind(vlm, url).recognize(pictures, known)), torch.tensor(vlm.recognize(pictures, known)), atol=1e-5
    )
    assert behind(vlm, url).recognize(pictures, []) == [[], []]


def test_who_and_describe_rest_on_them(vlm: Personal, known: list[Concept], url: str) -> None:
    far = behind(vlm, url)
    answer, found = far.describe(picture(1), known)
    assert {p.name for p in found} == {p.name for p in vlm.who(picture(1), known)}
    there = [c for c in known if any(p.name == c.name and p.verdict == "yes" for p in found)]
    here = vlm.engine.requests([(picture(1), "Describe the picture.", there)], strict_names=True, namespace="default")
    assert answer.text == spelled_here(vlm, here, SamplingParams(max_tokens=96))[0].text


def test_a_dialogue_goes_on_and_somebody_joins(vlm: Personal, known: list[Concept], url: str) -> None:
    chat = behind(vlm, url).chat(picture(1), known[:1])
    first = chat.ask("Where is billie?", SHORT)
    chat.add(known[1])
    second = chat.ask("And Anna Maria?", SHORT)
    start = vlm.look(picture(1))
    request = Request(start, "And <anna-maria>?", tuple(known), history=(("Where is <billie>?", first.text),))
    assert second.text == spelled_here(vlm, [request])[0].text


def test_a_dialogue_that_is_too_long_for_the_server_loses_its_first_turns(
    vlm: Personal, known: list[Concept], url: str, stub: Stub
) -> None:
    far = behind(vlm, url)
    far.backbone.max_tokens, whole = 260, far.backbone.max_tokens
    try:
        chat = far.chat(picture(1), known[:1])
        counts = [chat.ask(f"Is <billie> here, and how, and why, {i}?", SHORT).prompt_tokens for i in range(6)]
        assert max(counts) + 12 <= 260 and len(chat.turns) == 6 and counts[1] > counts[0]
        with pytest.raises(RequestError, match="fewer than 260"):
            far.ask(picture(1), "so " * 400, [], SHORT)
    finally:
        far.backbone.max_tokens = whole


def test_stop_strings_and_lengths_end_answers_as_they_do_here(vlm: Personal, known: list[Concept], url: str) -> None:
    far = behind(vlm, url)
    whole = far.ask(picture(1), "Who is here?", [], SamplingParams(max_tokens=20)).text
    stop = whole[len(whole) // 2 :][:3]
    for params in (SamplingParams(max_tokens=20, stop=(stop,)), SamplingParams(max_tokens=3)):
        here = vlm.ask(picture(1), "Who is here?", [], params)
        assert essence(far.ask(picture(1), "Who is here?", [], params))[:3] == essence(here)[:3]


def test_chances_after_a_cut_are_refused(vlm: Personal, known: list[Concept], stub: Stub, url: str) -> None:
    stub.processed = True
    with pytest.raises(EngineError, match="cut down") as error:
        behind(vlm, url).recognize([picture(1)], known)
    assert "raw_logprobs" in error.value.hint


# ---- a server that does not


@pytest.mark.parametrize(
    ("wrong", "said", "hint"),
    [
        ({"embeds": False}, "--enable-prompt-embeds", "--trust-request-chat-template"),
        ({"trusting": False}, "--trust-request-chat-template", "--enable-prompt-embeds"),
        ({"key": "secret"}, "status 401", "VLLM_API_KEY"),
        ({"fails": [(500, b"oh no")]}, "status 500: oh no", "log"),
        ({"fails": [(200, b"{}")]}, "no chances", "--max-logprobs"),
        ({"fails": [(200, b"<html>")]}, "no vLLM server", "address"),
        ({"fails": [(400, b'{"error": {"message": "maximum context length is 9"}}')]}, "too long", "fewer people"),
    ],
    ids=["embeds", "template", "key", "failure", "no chances", "stranger", "too long"],
)
def test_what_is_wrong_with_the_server_is_said_at_once(vlm: Personal, wrong: Any, said: str, hint: str) -> None:
    with answering(Stub(vlm.backbone, **wrong)) as url, pytest.raises(PlvmError) as error:
        behind(vlm, url)
    assert said in error.value.message and hint in error.value.hint


def test_rows_of_another_width_are_refused(vlm: Personal, tmp_path: Path) -> None:
    other = load_backbone(write_backbone(tmp_path / "other", "llava"))
    assert other.width != vlm.backbone.width
    with answering(Stub(other)) as url, pytest.raises(EngineError, match="hidden size") as error:
        behind(vlm, url)
    assert "trained for" in error.value.hint


def test_nobody_there_is_said_and_so_is_silence(vlm: Personal, stub: Stub, url: str) -> None:
    with pytest.raises(EngineError, match="No answer came") as error:
        behind(vlm, "http://127.0.0.1:9")
    assert "vllm serve" in error.value.hint
    stub.hold = threading.Event()
    with pytest.raises(EngineError, match="No answer came"):
        behind(vlm, url, seconds=0.3)
    stub.hold.set()


def test_an_answer_that_breaks_off_is_an_error(vlm: Personal, stub: Stub, url: str) -> None:
    far = behind(vlm, url)
    stub.cut = True
    with pytest.raises(EngineError, match="broke an answer off"):
        far.ask(picture(1), "Who is here?")
    with pytest.raises(EngineError, match="broke an answer off"):
        list(far.stream(picture(1), "Who is here?"))


# ---- the words of a backbone


def test_of_a_backbone_only_the_words_are_loaded(tmp_path: Path) -> None:
    folder = write_backbone(tmp_path / "backbone", "llava")
    whole, words = load_backbone(folder), load_words(folder)
    assert torch.equal(words.word_rows, whole.word_rows) and words.head_rows.is_meta
    assert (words.width, words.max_tokens, words.image_id) == (whole.width, whole.max_tokens, whole.image_id)
    assert load_words(folder, dtype=torch.float16).word_rows.dtype == torch.float16


def test_a_backbone_without_words_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    folder = write_backbone(tmp_path / "backbone", "llava")
    for weights in (*folder.glob("*.safetensors"), *folder.glob("*.index.json")):
        weights.unlink()
    save_file({"other.weight": torch.zeros(2)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"embed_tokens"):
        load_words(folder)


# ---- plvm serve


def test_the_server_answers_through_vllm_and_one_failure_is_one_callers(
    vlm: Personal, known: list[Concept], stub: Stub, url: str, tmp_path: Path
) -> None:
    import httpx2

    service = a_service(behind(vlm, url), tmp_path)
    for concept in known:
        service.store("default").add(concept)
    stored = service.store("default").list()
    here = vlm.engine.requests([(picture(1), "Who is here?", stored)], strict_names=True, namespace="default")
    expected = spelled_here(vlm, here)[0]
    with running(service) as address, httpx2.Client(base_url=address, timeout=60) as http:
        body = asked("Who is here?", names="words")
        answer = http.post("/v1/chat/completions", json=body).json()
        assert answer["choices"][0]["message"]["content"] == expected.text
        streamed = http.post("/v1/chat/completions", json={**body, "stream": True}).text
        pieces = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
        assert "".join(p["choices"][0]["delta"].get("content", "") for p in pieces) == expected.text
        people = http.post("/v1/recognize", json={"image": body["messages"][0]["content"][0]["image_url"]["url"]}).json()
        chances = dict(zip([c.name for c in known], vlm.recognize([picture(1)], known)[0], strict=True))
        assert {p["name"]: p["probability"] for p in people["people"]} == pytest.approx(chances, abs=1e-3)
        refused = http.post("/v1/chat/completions", json={**body, "logprobs": True})
        assert refused.status_code == 400 and refused.json()["error"]["param"] == "logprobs"
        stub.fails.append((503, b"no room"))
        failed = http.post("/v1/chat/completions", json=body)
        assert failed.status_code == 503 and failed.json()["error"]["code"] == "engine_unavailable"
        assert http.post("/v1/chat/completions", json=body).status_code == 200
    assert service.worker.restarts == 0


def test_who_leaves_is_not_listened_to(vlm: Personal, known: list[Concept], stub: Stub, url: str) -> None:
    decoding = behind(vlm, url).engine.decoding()
    stub.hold = threading.Event()
    (request,) = vlm.engine.requests([(None, "Who?", known)], strict_names=True, namespace="default")
    tickets = decoding.join([request, request], [SHORT, SHORT])
    decoding.drop(tickets[:1])
    stub.hold.set()
    done = []
    while len(decoding):
        done += [w.ticket for w in decoding.step()]
    assert set(done) == {tickets[1]}


def test_mini_answers_through_vllm_as_it_does_here() -> None:
    here = plvm.load("mini", device="cpu")
    with answering(Stub(here.backbone)) as url:
        far = plvm.load("mini", device="cpu", vllm=Vllm(url))
        assert far.backbone.head_rows.is_meta and not far.calibration.verdicts.calibrated
        one = far.enroll("billie", picture(11))
        request = here.engine.requests([(picture(1), "Where is <billie>?", [one])], strict_names=True, namespace="default")
        assert far.ask(picture(1), "Where is <billie>?", [one], SHORT).text == spelled_here(here, request)[0].text
        assert far.recognize([picture(1)], [one])[0] == pytest.approx(here.recognize([picture(1)], [one])[0], abs=2e-3)
