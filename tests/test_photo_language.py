"""The language model that compares codes: scenes, their questions, rows of tokens, and the grafted heads, all tiny."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from plvm_lab.families.photo.code_rows import Writer, rows_of
from plvm_lab.families.photo.code_space import CodeSpace, Pool
from plvm_lab.families.photo.grafted import Grafted
from plvm_lab.families.photo.photo_dialogues import (
    KINDS,
    PLACES,
    Scene,
    ask,
    draw_questions,
    draw_scene,
    is_held_out,
    wordings,
)

WIDTH = 8


def letters(text: str, add_special_tokens: bool) -> dict[str, list[int]]:
    return {"input_ids": [ord(c) % 128 for c in text]}


def pool(people: int = 20) -> Pool:
    rng = np.random.default_rng(0)
    unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)  # noqa: E731
    own = {str(i): unit(rng.normal(size=WIDTH) + 0.2 * rng.normal(size=(1 + i % 3, WIDTH))) for i in range(people)}
    return Pool.of(own, {name: unit(codes + 0.1) for name, codes in own.items()})


def model() -> Grafted:
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=128, hidden_size=32, intermediate_size=64, num_hidden_layers=24, num_attention_heads=2, num_key_value_heads=1
    )
    net = Grafted(LlamaForCausalLM(shape).eval(), WIDTH, [[i] for i in range(len(PLACES))], [1, 2])
    for name, value in net.trained().items():
        if name.endswith("up"):
            torch.nn.init.normal_(value, std=0.1)
    return net


def test_questions_of_a_row_are_answered_as_if_each_were_alone() -> None:
    net, writer, rng = model(), Writer(letters, 128), np.random.default_rng(1)
    scenes = [draw_scene(pool(), rng) for _ in range(3)]
    turns = [[q[1:] for q in draw_questions(scene, random.Random(2), 3)] for scene in scenes]
    together, wanted, words = rows_of(writer, scenes, turns)
    with torch.no_grad():
        scores = net(together, wanted)
        for number, (scene, turn) in enumerate((s, t) for s, own in zip(scenes, turns) for t in own):
            alone, asked, right = rows_of(writer, [scene], [[turn]])
            own = words[:, 1] == number
            assert torch.equal(words[own][:, 0], right[:, 0])
            assert torch.allclose(scores[own], net(alone, asked), atol=1e-4)


def test_scores_follow_the_codes_of_faces_and_the_frozen_weights_do_not_learn() -> None:
    net, writer = model(), Writer(letters, 128)
    one, other = np.eye(WIDTH, dtype=np.float32)[:2]
    scores = []
    for face in (one, other):
        rows, wanted, words = rows_of(writer, [Scene(face[None], one[None], (0,))], [[("Is {0} here?", "Yes")]])
        scores.append(net(rows, wanted))
    assert not torch.allclose(scores[0], scores[1], atol=1e-3)
    scores[0][torch.isfinite(scores[0])].sum().backward()
    assert all(p.grad is None for name, p in net.named_parameters() if name not in net.trained())
    assert net.looks.gain.grad is not None and net.names.gain.grad is not None


def test_free_directions_are_those_in_which_the_embeddings_vary_least() -> None:
    net = model()
    weight = net.language.get_input_embeddings().weight
    spread = (weight - weight.mean(0)) @ net.basis.T
    assert torch.allclose(net.basis @ net.basis.T, torch.eye(WIDTH), atol=1e-5)
    assert spread.var(0).sum() < weight.var(0).sort().values[:WIDTH].sum()


def test_answers_say_what_the_scene_holds() -> None:
    codes = np.eye(WIDTH, dtype=np.float32)
    scene, rng = Scene(codes[:3], codes[[2, 5, 0]], (2, -1, 0)), random.Random(0)
    seen = {kind: {ask(scene, rng, kind) for _ in range(200)} for kind in KINDS}
    answers = {kind: {pair[1] for pair in pairs if pair} for kind, pairs in seen.items()}
    assert answers["where"] == {"{2} is on the left.", "{0} is on the right.", "{1} is not in this photo."}
    assert answers["presence"] == {"Yes, {2} is on the left.", "Yes, {0} is on the right.", "No, {1} is not in this photo."}
    assert answers["who_at"] == {"That is {2}.", "That is someone I do not know.", "That is {0}."}
    assert answers["count"] == {"There are three people."}
    assert answers["who"] == {"I see three people; I know two of them: {2}, {0}."}
    assert answers["caption"] == {"This photo shows {2} on the left, someone I do not know in the middle, {0} on the right."}
    assert answers["beside"] == {"Next to {2} is someone I do not know.", "Next to {0} is someone I do not know."}


def test_whole_wordings_are_held_out_and_every_question_is_whole() -> None:
    for kind in ("recognize", "where", "who_position", "who_present", "beside", "count", "known"):
        assert wordings(kind, True) and not set(wordings(kind, True)) & set(wordings(kind, False))
        assert all(is_held_out(text) for text in wordings(kind, True))
    rng = np.random.default_rng(3)
    for seed in range(30):
        scene = draw_scene(pool(), rng)
        for _, question, answer in draw_questions(scene, random.Random(seed), 8):
            people = [int(n) for n in re.findall(r"\{(\d+)\}", question + answer)]
            assert all(n < len(scene.people) for n in people)
            assert not re.search(r"\{[a-z-]", question + answer)


def test_mixed_people_vary_from_picture_to_picture_as_real_ones_do() -> None:
    rng, real = np.random.default_rng(4), pool(60)
    pairs = [real.draw(rng, 1500, mixed=share, single=0.0) for share in (0.0, 1.0)]
    alike = [float((p[:, 0] * p[:, 1]).sum(-1).mean()) for p in pairs]
    assert alike[0] == pytest.approx(alike[1], abs=0.05)
    assert np.allclose(np.linalg.norm(pairs[1], axis=-1), 1)


def test_the_space_leaves_out_where_people_do_not_differ() -> None:
    rng = np.random.default_rng(5)
    people = [np.concatenate([rng.normal(size=(2, 4)), np.full((2, 124), 7.0)], axis=1).astype(np.float32) for _ in range(50)]
    space = CodeSpace.of(people, width=4)
    assert np.allclose(np.abs(space.directions[4:]).max(), 0, atol=1e-5)
    assert np.allclose(np.linalg.norm(space.codes(people[0]), axis=-1), 1, atol=1e-5)
