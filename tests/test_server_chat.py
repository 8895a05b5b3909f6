"""`/v1/chat/completions` as clients meet it: the answers are the model's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from plvm.personal import Personal
from plvm.server.keys import KeyFile
from plvm.server.service import Service
from plvm.types import SamplingParams
from serving import a_service, asked, part, running, uri
from toys import picture

openai = pytest.importorskip("openai")
SHORT = SamplingParams(max_tokens=12)


@pytest.fixture
def client(address: str) -> Any:
    return openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)


def test_an_answer_is_the_one_that_the_model_gives(http: httpx2.Client, service: Service) -> None:
    vlm = service.vlm
    billie = service.store("default").add(vlm.enroll("billie", picture(5)))
    expected = vlm.ask(picture(1), "What is <billie> doing?", [billie], SHORT)
    answer = http.post("/v1/chat/completions", json=asked("What is billie doing?"))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["choices"][0]["message"]["content"] == expected.shown([billie])
    assert body["usage"]["prompt_tokens"] == expected.prompt_tokens
    assert body["usage"]["completion_tokens"] == expected.new_tokens
    assert body["plvm"]["concepts"] == ["billie"] and body["plvm"]["names"] == list(expected.names)


def test_the_openai_client_gets_the_same_plain_and_streamed(client: Any, service: Service) -> None:
    service.store("default").add(service.vlm.enroll("Anna Maria", picture(5)))
    body = asked("Where is Anna Maria?", 2)
    plain = client.chat.completions.create(**body)
    chunks = list(client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == plain.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == plain.choices[0].finish_reason
    assert "<anna-maria>" not in plain.choices[0].message.content


def test_a_dialogue_goes_on_from_what_was_computed_and_says_the_same(http: httpx2.Client, service: Service) -> None:
    first = asked("Who is on the left?")
    said = http.post("/v1/chat/completions", json=first).json()["choices"][0]["message"]
    second = {**first, "messages": [*first["messages"], said, {"role": "user", "content": "And on the right?"}]}
    kept = http.post("/v1/chat/completions", json=second).json()
    service.sessions.forget("default")
    again = http.post("/v1/chat/completions", json=second).json()
    assert kept["choices"] == again["choices"]
    assert kept["usage"]["prompt_tokens"] == again["usage"]["prompt_tokens"]
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] > 0, "the picture is not looked at again"


def test_people_who_come_with_a_request_are_known_in_it_and_kept_nowhere(
    http: httpx2.Client, service: Service, vlm: Personal
) -> None:
    expected = vlm.ask(picture(1), "Where is <billie>?", [vlm.enroll("billie", picture(5))], SHORT)
    guests = [{"name": "billie", "images": [uri(picture(5))]}]
    for _ in range(2):
        body = http.post("/v1/chat/completions", json=asked("Where is Billie?", concepts=guests)).json()
        assert body["choices"][0]["message"]["content"] == expected.text.replace("<billie>", "billie")
        assert body["plvm"]["concepts"] == ["billie"]
    assert len(service.visitors) == 1 and http.get("/v1/concepts").json()["data"] == []
    assert http.post("/v1/chat/completions", json=asked("Where is <billie>?")).status_code == 400


def later(http: httpx2.Client, earlier: str, question: str, **more: Any) -> set[str]:
    """Who is in the prompt of a question that follows another one."""
    messages = [*asked(earlier)["messages"], {"role": "assistant", "content": "Yes."}, {"role": "user", "content": question}]
    answer = http.post("/v1/chat/completions", json={"model": "mini", "messages": messages, "max_tokens": 4, **more})
    assert answer.status_code == 200, answer.text
    return set(answer.json()["plvm"]["concepts"])


@pytest.mark.parametrize("crowd", [3, 7], ids=["few", "crowd"])
def test_who_was_named_earlier_is_there_beside_those_of_a_question_without_names(
    http: httpx2.Client, service: Service, crowd: int
) -> None:
    names = ("billie", "avril", "zoe", "dustin", "nika", "tom", "ruth")[:crowd]
    made = [service.vlm.enroll(name, picture(20 + i)) for i, name in enumerate(names)]
    service.store("default").add_all(made)
    chances = dict(zip([c.name for c in made], service.vlm.recognize([picture(1)], made)[0], strict=True))
    ranked = sorted(chances, key=lambda name: -chances[name])
    last = ranked[-1]
    assert later(http, f"Where is {last}?", "Who is in the picture?") == {*ranked[:4], last}
    assert later(http, f"Where is {last}?", f"And {ranked[0]}?") == {ranked[0], last}


def test_who_came_with_a_request_is_there_also_after_another_was_named(http: httpx2.Client) -> None:
    guests = [{"name": name, "images": [uri(picture(seed))]} for name, seed in (("billie", 5), ("avril", 6))]
    assert later(http, "Where is billie?", "Who is in the picture?", concepts=guests) == {"billie", "avril"}
    assert later(http, "Where is billie?", "And what is billie doing?", concepts=guests) == {"billie"}


def test_pictures_with_a_sentence_before_the_question_introduce_people(http: httpx2.Client, vlm: Personal) -> None:
    """The way Home Assistant's LLM Vision sends its memory."""
    memory = [
        {"type": "text", "text": "These pictures are for reference only."},
        {"type": "text", "text": "This is James, the husband and father:"}, part(5),
        {"type": "text", "text": "This is our dog Rex:"}, part(6),
    ]  # fmt: skip
    question = [{"type": "text", "text": "Image 1:"}, part(1), {"type": "text", "text": "Is James at the door?"}]
    messages = [
        {"role": "developer", "content": "You are a helpful assistant."},
        {"role": "user", "content": memory}, {"role": "user", "content": question},
    ]  # fmt: skip
    body = http.post("/v1/chat/completions", json={"model": "mini", "messages": messages, "max_tokens": 12}).json()
    expected = vlm.ask(picture(1), "Is <James> at the door?", [vlm.enroll("James", picture(5))], SHORT)
    assert body["plvm"]["concepts"] == ["James"] and body["plvm"]["ignored"] == ["messages[0]"]
    assert body["choices"][0]["message"]["content"] == expected.text.replace("<James>", "James")


def test_the_first_token_has_its_chances(client: Any) -> None:
    choice = client.chat.completions.create(**asked("Who is here?"), logprobs=True, top_logprobs=3).choices[0]
    (first,) = choice.logprobs.content
    assert len(first.top_logprobs) == 3 and first.logprob == max(t.logprob for t in first.top_logprobs) <= 0


def test_a_seed_repeats_a_drawn_answer(client: Any) -> None:
    def drawn(seed: int) -> str:
        return client.chat.completions.create(**asked("Who is here?"), temperature=1.0, seed=seed).choices[0].message.content

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(4)}) > 1


def test_the_models_are_the_one(client: Any) -> None:
    assert [m.id for m in client.models.list()] == ["mini"]
    assert client.models.retrieve("mini").owned_by == "plvm"
    with pytest.raises(openai.NotFoundError, match='Ask for "mini"'):
        client.chat.completions.create(**{**asked("Who?"), "model": "gpt-9"})


def test_an_uploaded_picture_is_asked_about_by_its_id(client: Any, tmp_path: Path) -> None:
    picture(1).save(tmp_path / "a.png")
    file = client.files.create(file=tmp_path / "a.png", purpose="vision")
    body = asked("Who is here?", None)
    body["messages"][0]["content"].append({"type": "image_url", "image_url": {"url": file.id}})
    there = client.chat.completions.create(**body).choices[0].message.content
    assert there == client.chat.completions.create(**asked("Who is here?")).choices[0].message.content
    client.files.delete(file.id)
    with pytest.raises(openai.NotFoundError, match="no file"):
        client.chat.completions.create(**body)


def test_a_wrong_key_opens_nothing(vlm: Personal, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    right = keys.new("home")
    with running(a_service(vlm, tmp_path, keys=keys, keys_needed=True)) as address:
        for key in ("plvm-no", right[:-1], right + "x", "none"):
            with pytest.raises(openai.AuthenticationError):
                openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0).chat.completions.create(**asked("Who?"))
        told = openai.OpenAI(base_url=f"{address}/v1", api_key=right).chat.completions.create(**asked("Who?"))
        assert told.choices[0].message.content
