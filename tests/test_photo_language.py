"""The language model that compares codes: scenes, their questions, rows of tokens, and the grafted heads, all tiny."""

from __future__ import annotations

import contextlib
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from photo_family import THING_WIDTH
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
from plvm_lab.evaluate.thing_pictures import split_things
from plvm_lab.families.photo import thing_wordings
from plvm_lab.families.photo.code_space import CodeSpace, Pool
from plvm_lab.families.photo.photo_dialogues import (
    KINDS,
    Scene,
    ask,
    draw_questions,
    draw_scene,
    is_held_out,
    looked_at,
    wordings,
)
from plvm_lab.families.photo.photo_language import Teaching, looking_loss, teach, trained, untaught
from plvm_lab.families.photo.photo_rows import scores_of
from plvm_lab.families.photo.space_teaching import SpaceTeaching, teach_space
from plvm_lab.families.photo.thing_pool import ThingPool

WIDTH = 8
WINDOWS = np.zeros((10, THING_WIDTH), np.float32), np.sort(np.arange(10) % 3)


def pool(people: int = 20) -> Pool:
    rng = np.random.default_rng(0)
    unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)  # noqa: E731
    own = {str(i): unit(rng.normal(size=WIDTH) + 0.2 * rng.normal(size=(1 + i % 3, WIDTH))) for i in range(people)}
    return Pool.of(own, {name: unit(codes + 0.1) for name, codes in own.items()})


def things(count: int = 6, pictures: int = 3, windows: int = 10) -> ThingPool:
    """Things whose code is in one half of the windows of a picture, in two layouts; the rest of the windows is noise."""
    rng = np.random.default_rng(1)
    unit = lambda x: (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)  # noqa: E731
    own = np.repeat(unit(rng.normal(size=(count, THING_WIDTH))), pictures, axis=0)
    owner = np.repeat(np.arange(count), pictures)
    seen = rng.normal(size=(2 * len(own) + 4, windows, THING_WIDTH)) * 0.5
    for row in range(2 * len(own)):
        half = slice(0, 4) if row < len(own) else slice(6, 10)
        seen[row, half] = own[row % len(own)] + 0.1 * rng.normal(size=(4, THING_WIDTH))
    layout = np.repeat([0, 1, -1], [len(own), len(own), 4])
    column = np.repeat([0, 2, 1], [len(own), len(own), 4])
    which = np.concatenate([owner, owner, np.full(4, -1)])
    picture = np.concatenate([np.arange(len(own)), np.arange(len(own)), np.full(4, -1)])
    return ThingPool(own, owner, unit(seen), layout, which, column, np.full(len(seen), -1), picture)


def pools() -> tuple[Pool, ThingPool]:
    return pool(), things()


def untaught_of(photo: Path) -> Backbone:
    """A photo model that can be taught."""
    frozen = load_backbone(photo / "backbone")
    language, _ = load_language(photo / "parts")
    return untaught(language, frozen.tokenizer, frozen.image_processor, frozen.model.config, 0)


def test_answers_are_scored_as_the_product_scores_them(photo: Path) -> None:
    untrained = untaught_of(photo)
    scenes = [draw_scene(*pools(), np.random.default_rng(seed)) for seed in range(3)]
    turns = [[q[1:] for q in draw_questions(scene, random.Random(2), 3)] for scene in scenes]
    prompt, rows = Prompt(untrained.tokenizer, untrained.template()), untrained.model.decoder.rows
    with torch.inference_mode():
        scores, words = scores_of(untrained, prompt, scenes, turns)
        number = 0
        for scene, own in zip(scenes, turns):
            parts = (torch.from_numpy(x) for x in (scene.windows, scene.columns))
            image = untrained.family.tokens_of(torch.from_numpy(scene.faces), len(scene.faces), *parts)
            made = prefill(untrained, prompt, [image])
            prefix = ImagePrefix(made.past, made.lengths[0])
            tokens = zip(*rows.concepts(torch.from_numpy(scene.concepts)))
            people = [Concept(f"p{i}", ConceptTokens(w, h, c[None], w), "") for i, (w, h, c) in enumerate(tokens)]
            for question, _ in own:
                asked = re.sub(r"\{(\d)\}", r"<p\1>", question)
                g = gather(untrained, prompt, [Request(prefix, asked, tuple(people))])
                product = g.vocabulary.logits(g.last(untrained)[None], untrained.head_rows)[0, 0]
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
            teach(model, pools(), Teaching(4, prefixes=2, questions=2, warmup=1, save=1), folder, report)
        changed = {k for k, v in model.model.state_dict().items() if not torch.equal(v, before[k])}
        assert changed and not any("frozen" in k or "embed" in k or k.endswith("norm.weight") for k in changed)
        return {k: v.detach() for k, v in trained(model).items()}

    for name in ("whole", "resumed"):
        (tmp_path / name).mkdir()
    run(tmp_path / "resumed", until=2)
    whole, resumed = run(tmp_path / "whole", until=9), run(tmp_path / "resumed", until=9)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_steps_that_teach_looking_alone_change_what_head_2_looks_with_and_no_layer_after_it(photo: Path, tmp_path: Path) -> None:
    model = untaught_of(photo)
    before, last = {k: v.clone() for k, v in trained(model).items()}, model.model.config.after_names
    teaching = Teaching(3, prefixes=2, questions=8, warmup=1, only_looking=(1, 4))
    teach(model, pools(), teaching, tmp_path, lambda *_: None)
    changed = {k for k, v in trained(model).items() if not torch.equal(v, before[k])}
    layers = {int(found[1]) for k in changed if (found := re.search(r"layers\.(\d+)\.", k))}
    assert {f"heads.names.{part}.weight" for part in ("to_face", "of_face", "of_place")} <= changed
    assert layers and max(layers) < last
    assert not any("to_person" in k or "gates" in k for k in changed)
    assert len(model.model.decoder.layers) == model.model.language.config.num_hidden_layers


def test_where_head_2_has_to_look_is_the_face_that_is_asked_about() -> None:
    codes = np.eye(WIDTH, dtype=np.float32)
    scene, rng = Scene(codes[:3], codes[[2, 5, 0]], (2, -1, 0), *WINDOWS), random.Random(0)
    seen = {kind: {ask(scene, rng, kind) for _ in range(200)} for kind in KINDS}
    looked = {kind: {(pair[1], *looked_at(scene, kind, *pair)) for pair in pairs if pair} for kind, pairs in seen.items()}
    assert looked["who_at"] >= {("That is {2}.", 0), ("That is someone I do not know.", 1), ("That is {0}.", 2)}
    assert looked["beside"] == {("Next to {2} is someone I do not know.", 1), ("Next to {0} is someone I do not know.", 1)}
    assert not any(found[1:] for kind in ("where", "presence", "known") for found in looked[kind])


def test_the_loss_of_looking_is_the_cross_entropy_where_a_name_is_said(photo: Path) -> None:
    model = untaught_of(photo)
    someone, name = model.tokenizer(" someone", add_special_tokens=False)["input_ids"][0], model.vocabulary_size + 1
    words = torch.tensor([[5, 0, 0, 7], [name, 0, 2, 9], [name, 1, 1, 3], [someone, 1, 2, 4], [name, 2, 0, 1]])
    looked = torch.full((3, 10, 4), 0.01)
    looked[0, 9, 2], looked[1, 4, 0] = 0.5, 0.25  # in the second answer the first name is that of the one who was asked about
    loss = looking_loss(model, looked, words, [[2], [0], []])
    assert loss.item() == pytest.approx((np.log(2) + np.log(4)) / 2)


def test_answers_say_what_the_scene_holds() -> None:
    codes = np.eye(WIDTH, dtype=np.float32)
    scene, rng = Scene(codes[:3], codes[[2, 5, 0]], (2, -1, 0), *WINDOWS), random.Random(0)
    seen = {kind: {ask(scene, rng, kind) for _ in range(200)} for kind in KINDS}
    answers = {kind: {pair[1] for pair in pairs if pair} for kind, pairs in seen.items()}
    assert answers["where"] == {"{2} is on the left.", "{0} is on the right.", "{1} is not in this photo."}
    assert answers["presence"] == {"Yes, {2} is on the left.", "Yes, {0} is on the right.", "No, {1} is not in this photo."}
    assert answers["who_at"] == {"That is {2}.", "That is someone I do not know.", "That is {0}."}
    assert answers["count"] == {"There are three people."}
    assert answers["who"] == {"I see three people; I know two of them: {2}, {0}."}
    assert answers["caption"] == {"This photo shows {2} on the left, someone I do not know in the middle, {0} on the right."}
    assert answers["beside"] == {"Next to {2} is someone I do not know.", "Next to {0} is someone I do not know."}


def test_answers_say_which_thing_is_there_and_where() -> None:
    codes = np.eye(WIDTH, WIDTH + THING_WIDTH, dtype=np.float32)
    scene = Scene(codes[:1, :WIDTH], codes[:3], (0,), *WINDOWS, {1: 2, 2: -1})
    rng = random.Random(0)
    seen = {kind: {ask(scene, rng, kind) for _ in range(300)} for kind in KINDS}
    answers = {kind: {pair[1] for pair in pairs if pair} for kind, pairs in seen.items()}
    assert answers["where"] == {"{0} is in the middle.", "{1} is on the right.", "{2} is not in this photo."}
    assert answers["presence"] == {"Yes, {0} is in the middle.", "Yes, {1} is on the right.", "No, {2} is not in this photo."}
    assert answers["who"] == answers["known"] == {"I see one person: {0}. I also see {1}."}
    assert answers["caption"] == {"This photo shows {0} in the middle, {1} on the right."}
    assert answers["count"] == {"There is one person."} and answers["who_at"] == {"That is {0}."}
    assert answers["beside"] == {"{0} is alone."}
    asked = " ".join(pair[0] for pair in seen["presence"] | seen["where"] if pair and "{2}" in pair[0])
    assert re.search(rf"\bmy ({'|'.join(thing_wordings.KINDS)})\b", asked) and "crowd" not in asked and "{k}" not in asked


def test_a_thing_that_is_said_to_be_there_is_in_the_windows_of_its_column_and_another_is_in_none() -> None:
    rng, there, absent = np.random.default_rng(6), [], []
    for _ in range(300):
        scene = draw_scene(*pools(), rng)
        for number, column in scene.things.items():
            alike = scene.windows @ scene.concepts[number, WIDTH:]
            assert not scene.concepts[number, :WIDTH].any()
            (there if column >= 0 else absent).append(float(alike.max()))
            if column >= 0:
                assert (alike.argmax() < 5) == (column == 0)
    assert len(there) > 40 and len(absent) > 80
    assert min(there) > 0.95 and np.mean(np.array(absent) < 0.95) > 0.9


def test_things_are_split_by_the_seed_and_none_is_in_two_parts() -> None:
    names = [f"thing-{number}" for number in range(20)]
    split = split_things(names, 33, test=6, val=4)
    assert [len(split[part]) for part in ("test", "val", "train")] == [6, 4, 10]
    assert sorted(name for part in split.values() for name in part) == sorted(names)
    assert split != split_things(names, 34, test=6, val=4)


def test_whole_wordings_are_held_out_and_every_question_is_whole() -> None:
    for kind in ("presence", "where", "who_at", "who", "beside", "count", "known", "outside"):
        assert wordings(kind, True) and not set(wordings(kind, True)) & set(wordings(kind, False))
        assert all(is_held_out(text) for text in wordings(kind, True))
    rng = np.random.default_rng(3)
    for seed in range(30):
        scene = draw_scene(*pools(), rng)
        for _, question, answer in draw_questions(scene, random.Random(seed), 8):
            people = [int(n) for n in re.findall(r"\{(\d+)\}", question + answer)]
            assert all(n < len(scene.concepts) for n in people)
            assert not re.search(r"\{[a-z-]", question + answer)


def test_one_question_in_four_whether_somebody_is_there_asks_for_a_short_answer() -> None:
    assert "Answer with Yes or No." in wordings("short", False)
    rng, pair = np.random.default_rng(5), pools()
    scene = next(scene for scene in (draw_scene(*pair, rng) for _ in range(50)) if len(scene.concepts))

    def short(kind: str, held_out: bool) -> float:
        ends = tuple(text.lower().rstrip("?.!") for text in wordings("short", held_out))
        asked = [ask(scene, random.Random(seed), kind, held_out=held_out) for seed in range(400)]
        texts = [re.sub(r"( thanks!| please\.| i wonder\.| do you know\?|\?)$", "", q[0].lower()) for q in asked if q is not None]
        return sum(text.rstrip("?.!").endswith(ends) for text in texts) / len(texts)

    assert 0.18 < short("presence", False) < 0.32 and 0.18 < short("presence", True) < 0.32
    assert short("where", False) < 0.05


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


def test_a_taught_space_tells_people_apart_where_the_widest_directions_do_not() -> None:
    rng = np.random.default_rng(6)
    who = rng.normal(size=(150, 1, 4))
    people = np.concatenate([np.repeat(who, 6, 1), 3 * rng.normal(size=(150, 6, 4)), np.zeros((150, 6, 120))], -1)
    people = people.astype(np.float32)
    learned, others = people[:100], people[100:]
    begun = CodeSpace.of(learned, width=6)
    taught = teach_space(begun, learned, learned, SpaceTeaching(people=64, rate=3e-2, stay=0.0))

    def found(space: CodeSpace) -> float:
        codes = space.codes(others)
        return float(((codes[:, 0] @ codes[:, 1].T).argmax(1) == np.arange(len(others))).mean())

    assert found(taught) > 0.5 > 0.2 > found(begun)
    alone = [own[:1] for own in learned]
    assert teach_space(begun, alone, alone, SpaceTeaching()) is begun
