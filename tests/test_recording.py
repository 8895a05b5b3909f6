"""Recorded GPU work: the same numbers as without. On a CPU a stand-in plays the work again; on a GPU it is the real thing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import hub
from plvm.engine import steps
from plvm.engine.decoding import Completion
from plvm.engine.generate import complete, stream
from plvm.engine.prefix import ImagePrefix, compute_prefixes
from plvm.engine.request import Request
from plvm.model import recording
from plvm.model.backbone import Backbone
from plvm.model.encoder import Encoder
from plvm.model.pretrained import load_backbone, load_encoder
from plvm.model.recording import UNRECORDED, Recording, Replayed
from plvm.personal import load
from plvm.prompt.image_first import Prompt
from plvm.types import Concept, SamplingParams
from toys import a_concept, picture

LONG = SamplingParams(max_tokens=24)
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class Played:
    """In place of a recording: the same work, done whenever it is played; what is recorded is not done."""

    made = 0

    def __init__(self, work: Callable[[], Any], device: torch.device) -> None:
        self.work = work
        Played.made += 1

    def play(self) -> Any:
        return self.work()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> type[Played]:
    """A CPU on which work can be recorded; rooms are small, so that answers outgrow them."""
    monkeypatch.setattr(recording, "Recording", Played)
    monkeypatch.setattr(recording, "can_record", lambda device: True)
    monkeypatch.setattr("plvm.model.backbone.can_record", lambda device: True)
    monkeypatch.setattr(steps, "ROOM", 5)
    monkeypatch.setattr(Played, "made", 0)
    return Played


def three_turns(backbone: Backbone, prompt: Prompt, prefix: ImagePrefix, people: list[Concept]) -> list[Completion]:
    """A dialogue in which somebody joins."""
    first = complete(backbone, prompt, Request(prefix, "Where is <billie>?", (people[0],)), LONG)
    second = complete(backbone, prompt, Request(first.session, "And <avril>?", (people[1],)), LONG)
    return [first, second, complete(backbone, prompt, Request(second.session, "What is <avril> doing?"), LONG)]


def check_same(found: list[Completion], wanted: list[Completion], tolerance: float) -> None:
    assert [c.answer.text for c in found] == [c.answer.text for c in wanted]
    for a, b in zip(found, wanted, strict=True):
        assert (a.answer.finish, a.answer.new_tokens) == (b.answer.finish, b.answer.new_tokens)
        assert (a.session.length, a.session.pending) == (b.session.length, b.session.pending)
        torch.testing.assert_close(a.session.past, b.session.past, rtol=0, atol=tolerance)


def test_answers_written_in_place_are_those_of_ordinary_steps(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], request: Any
) -> None:
    wanted = three_turns(backbone, prompt, prefixes[0], people)
    assert max(c.answer.new_tokens for c in wanted) > 10, "longer than two rooms"
    before = backbone.tokens_computed
    three_turns(backbone, prompt, prefixes[0], people)
    counted = backbone.tokens_computed - before
    played = request.getfixturevalue("recorded")  # only from here on
    before = backbone.tokens_computed
    check_same(three_turns(backbone, prompt, prefixes[0], people), wanted, 1e-9)
    assert backbone.tokens_computed - before == counted
    assert played.made > 3, "a recording for every room"


def test_two_answers_that_are_written_in_turns_do_not_meet(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], request: Any
) -> None:
    asked = [Request(prefixes[i], f"Where is <{people[i].name}>?", (people[i],)) for i in (0, 1)]
    alone = ["".join(stream(backbone, prompt, r, LONG)) for r in asked]
    request.getfixturevalue("recorded")
    streams, said = [stream(backbone, prompt, r, LONG) for r in asked], ["", ""]
    for _ in range(LONG.max_tokens + 2):
        for i, chunks in enumerate(streams):
            said[i] += next(chunks, "")
    assert said == alone


@pytest.mark.parametrize("family", list(hub.FAMILIES))
def test_every_family_of_backbones_can_be_written_in_place(
    family: str, tmp_path: Path, recorded: type[Played], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_backbone(hub.write_backbone(tmp_path / "backbone", family))
    prompt, somebody = Prompt(model.tokenizer, model.template()), a_concept("billie", 1, model.width)
    prefix = compute_prefixes(model, prompt, [picture(1, 100)])[0]
    found = complete(model, prompt, Request(prefix, "Where is <billie>?", (somebody,)), LONG)
    made = recorded.made
    monkeypatch.setattr("plvm.model.backbone.can_record", lambda device: False)
    check_same([found], [complete(model, prompt, Request(prefix, "Where is <billie>?", (somebody,)), LONG)], 1e-4)
    assert made > 0 and recorded.made == made


def test_a_function_is_recorded_at_its_third_call_with_a_shape(recorded: type[Played]) -> None:
    double = Replayed(lambda x: {"twice": 2 * x})
    with torch.inference_mode():
        for i in range(UNRECORDED + 3):
            assert recorded.made == (1 if i > UNRECORDED else 0)
            x = torch.full((1, 3), float(i))
            assert torch.equal(double(x)["twice"], 2 * x) and torch.equal(x, torch.full((1, 3), float(i)))
        held = double(torch.ones(1, 3))["twice"]
        double(torch.zeros(1, 3))
        assert torch.equal(held, torch.full((1, 3), 2.0)), "what was returned is not written again"
        for _ in range(UNRECORDED + 2):
            double(torch.ones(2, 3))
    assert recorded.made == 1, "two rows are computed as always"
    with torch.enable_grad():
        x = torch.ones(1, 3, requires_grad=True)
        double(x)["twice"].sum().backward()
    assert x.grad is not None


def test_what_cannot_be_recorded_is_computed_as_always(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = three_turns(backbone, prompt, prefixes[0], people)

    def refuse(work: Callable[[], Any], device: torch.device) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(recording, "Recording", refuse)
    monkeypatch.setattr(recording, "can_record", lambda device: True)
    monkeypatch.setattr("plvm.model.backbone.can_record", lambda device: True)
    double = Replayed(lambda x: 2 * x)
    with torch.inference_mode():
        for i in range(UNRECORDED + 3):
            assert torch.equal(double(torch.full((1, 2), float(i))), torch.full((1, 2), 2.0 * i))
    check_same(three_turns(backbone, prompt, prefixes[0], people), wanted, 1e-9)


# ---- the real thing


@gpu
@pytest.mark.parametrize("family", list(hub.FAMILIES))
def test_on_a_gpu_recorded_answers_are_those_of_ordinary_steps(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_backbone(hub.write_backbone(tmp_path / "backbone", family), device="cuda", dtype=torch.float32)
    prompt = Prompt(model.tokenizer, model.template())
    people = [a_concept(name, i, model.width) for i, name in enumerate(("billie", "avril"))]
    prefix = compute_prefixes(model, prompt, [picture(1, 100)])[0]
    made = list[Recording]()
    monkeypatch.setattr(steps, "record", lambda *of: made.append(found := Recording(*of)) or found)
    found = three_turns(model, prompt, prefix, people)
    assert made, "something was recorded"
    monkeypatch.setattr("plvm.model.backbone.can_record", lambda device: False)
    check_same(found, three_turns(model, prompt, prefix, people), 1e-3)


@gpu
@pytest.mark.parametrize("kind", ("dinov2", "clip", "vit", "sam"))
def test_on_a_gpu_a_recorded_encoder_sees_what_it_saw_before(kind: str, tmp_path: Path) -> None:
    encoder = load_encoder(str(hub.write_encoder(tmp_path / "encoder", kind)), device="cuda", dtype=torch.float32)
    seen = [encoder.pixels([picture(i, 100)]) for i in range(UNRECORDED + 3)]
    wanted = [Encoder(encoder.model, encoder.image_processor).features(p) for p in seen]  # each the first of its kind
    found: list[Tensor] = [encoder.features(p) for p in seen]
    assert encoder._read._kept, "it was recorded"
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)


@gpu
def test_on_a_gpu_mini_knows_its_people_and_enrols_the_same_rows_every_time() -> None:
    vlm = load("mini", device="cuda", dtype="float32")
    cpu = load("mini", device="cpu")
    faces = [picture(i, 128) for i in range(UNRECORDED + 3)]
    for face in faces:
        here, there = (v.tokens_of([[face]])[0] for v in (vlm, cpu))
        for name in ("word", "head", "context", "key"):
            torch.testing.assert_close(getattr(here, name), getattr(there, name), rtol=0, atol=2e-3)
