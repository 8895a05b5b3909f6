"""The language model that compares codes: scenes, their questions, rows of tokens, and the grafted heads, all tiny."""

from __future__ import annotations

import contextlib
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from photo_family import finds_squares as finds_squares
from photo_family import photo as photo
from plvm.engine.gathered import gather
from plvm.engine.prefix import ImagePrefix, prefill
from plvm.engine.request import Request
from plvm.model.backbone import Backbone
from plvm.model.photo.photo_parts import load_language
from plvm.model.pretrained import load_backbone
from plvm.prompt.image_first import Prompt
from plvm.types import Concept, ConceptTokens
from plvm_lab.families.photo.code_space import CodeSpace, Pool
from plvm_lab.families.photo.photo_dialogues import (
    KINDS,
    Scene,
    ask,
    draw_questions,
    draw_scene,
    is_held_out,
    wordings,
)
from plvm_lab.families.photo.photo_language import Teaching, teach, trained, untaught
from plvm_lab.families.photo.photo_rows import scores_of

WIDTH = 8


def pool(people: int = 20) -> Pool:
    rng = np.random.default_rng(0)
    unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)  # noqa: E731
    own = {str(i): unit(rng.normal(size=WIDTH) + 0.2 * rng.normal(size=(1 + i % 3, WIDTH))) for i in range(people)}
    return Pool.of(own, {name: unit(codes + 0.1) for name, codes in own.items()})


def untaught_of(photo: Path) -> Backbone:
    """A photo model that can be taught."""
    frozen = load_backbone(photo / "backbone")
    language, _ = load_language(photo / "parts")
    return untaught(language, frozen.tokenizer, frozen.image_processor, frozen.model.config, 0)


def test_answers_are_scored_as_the_product_scores_them(photo: Path) -> None:
    untrained = untaught_of(photo)
    scenes = [draw_scene(pool(), np.random.default_rng(seed)) for seed in range(3)]
    turns = [[q[1:] for q in draw_questions(scene, random.Random(2), 3)] for scene in scenes]
    prompt, rows = Prompt(untrained.tokenizer, untrained.template()), untrained.model.decoder.rows
    with torch.inference_mode():
        scores, words = scores_of(untrained, prompt, scenes, turns)
        number = 0
        for scene, own in zip(scenes, turns):
            image = untrained.family.tokens_of(torch.from_numpy(scene.faces), len(scene.faces))
            made = prefill(untrained, prompt, [image])
            prefix = ImagePrefix(made.past, made.lengths[0])
            tokens = zip(*rows.people(torch.from_numpy(scene.people)))
            people = [Concept(f"p{i}", ConceptTokens(w, h, c[None], w), "") for i, (w, h, c) in enumerate(tokens)]
            for question, _ in own:
                asked = re.sub(r"\{(\d)\}", r"<p\1>", question)
                g = gather(untrained, prompt, [Request(prefix, asked, tuple(people))])
                product = g.vocabulary.logits(g.hidden(untrained)[:, -1:], untrained.head_rows)[0, 0]
                first = (words[:, 1] == number).nonzero()[0, 0]
                torch.testing.assert_close(scores[first, : len(product)], product, rtol=0, atol=1e-4)
                number += 1


def test_a_teaching_that_was_interrupted_goes_on_to_the_bit_and_changes_nothing_frozen(photo: Path, tmp_path: Path) -> None:
    def run(folder: Path, until: int) -> dict[str, torch.Tensor]:
        def report(_: str, step: int, *__: object) -> None:
            if step == until:
                raise InterruptedError

        model = untaught_of(photo)
        before = {k: v.clone() for k, v in model.model.state_dict().items()}
        with contextlib.suppress(InterruptedError):
            teach(model, pool(), Teaching(4, prefixes=2, questions=2, warmup=1, save=1), folder, report)
        changed = {k for k, v in model.model.state_dict().items() if not torch.equal(v, before[k])}
        assert changed and not any("frozen" in k or "embed" in k or k.endswith("norm.weight") for k in changed)
        return {k: v.detach() for k, v in trained(model).items()}

    for name in ("whole", "resumed"):
        (tmp_path / name).mkdir()
    run(tmp_path / "resumed", until=2)
    whole, resumed = run(tmp_path / "whole", until=9), run(tmp_path / "resumed", until=9)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


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
