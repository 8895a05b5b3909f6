"""The systems under test: each does what its paper says, on a real engine in miniature, and changes nothing of it."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ImageOps
from torch.nn import functional as F

from plvm.engine.request import Request
from plvm.engine.score import yes_of
from plvm.errors import RequestError
from plvm.personal import Personal
from plvm.prompt.turns import Tokens
from plvm.prompt.vocabulary import vocabulary_of
from plvm.types import Concept
from plvm_lab.evaluate.portraits_benchmark import Benchmark, Size, portraits
from plvm_lab.evaluate.system import CONVERSE, RECOGNIZE, VERIFY, Ask, Turn
from plvm_lab.systems import NO_MODEL, SUITE_ONLY, SYSTEMS, build_system, settings_of
from plvm_lab.systems.comparison import evaluate_systems
from plvm_lab.systems.in_context import InContext
from plvm_lab.systems.llava import Llava, LlavaPrompt
from plvm_lab.systems.myvlm import MyVlm, with_plain_name
from plvm_lab.systems.plain_names import PlainNames, marked, nameless, unmarked
from plvm_lab.systems.plvm import Plvm
from plvm_lab.systems.tuning import Lesson, Strangers, lesson_rows
from plvm_lab.systems.yollava import ME, YoLlava, tokens_of
from toys import extended, picture

A, B, C = picture(11), picture(12), picture(13)
QUICK = {
    "context_tokens": 2,
    "epochs": 3,
    "batch": 4,
    "positive": 4,
    "hard": 2,
    "others": 2,
    "looks": 0,
    "best_after": 1,
}


@pytest.fixture
def strangers(vlm: Personal) -> Strangers:
    return Strangers(vlm.encoder, [picture(seed) for seed in range(20, 26)])


def weights(vlm: Personal) -> str:
    """A digest of all that is frozen."""
    digest = hashlib.sha256()
    for tensor in [*vlm.backbone.model.state_dict().values(), *vlm.encoder.model.state_dict().values()]:
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


# ---------------------------------------------------------------- names as text


def test_a_name_is_marked_only_where_it_is_a_word() -> None:
    assert marked("Billie is next to my-cat, not billies.", ["billie", "my-cat"]) == (
        "<billie> is next to <my-cat>, not billies."
    )
    assert unmarked("<billie> and <kai>", ["billie"]) == "billie and <kai>"
    assert marked(marked("billie", ["billie"]), ["billie"]) == "<billie>"


def test_a_concept_without_a_name_row_adds_no_column_that_can_be_said(vlm: Personal) -> None:
    concept = nameless("billie", vlm.backbone)
    vocabulary = vocabulary_of([[concept]], vlm.backbone.word_rows)
    logits = vocabulary.logits(torch.randn(1, 2, vlm.backbone.width).double(), vlm.backbone.head_rows)
    assert torch.isinf(logits[..., -1]).all() and torch.isfinite(logits[..., :-1]).all()


def test_without_a_prompt_the_reference_makes_no_difference(vlm: Personal) -> None:
    system = Llava(vlm)
    asks = [Ask(C, "Is <billie> here?", (system.learn("billie", reference),)) for reference in (A, B)]
    one, other = system.verify(asks)
    assert one == other
    bare = vlm.look(C)
    expected = yes_of(vlm.backbone, vlm.prompt, [Request(bare, "Is billie here?")])[0]
    assert one == pytest.approx(float(expected), abs=1e-9)


def test_answers_with_plain_names_are_read_as_names(vlm: Personal, monkeypatch: pytest.MonkeyPatch) -> None:
    system = Llava(vlm)
    monkeypatch.setattr(Plvm, "answer", lambda self, asks: ["billie is on the left."] * len(asks))
    known = system.learn("billie", A)
    assert system.answer([Ask(C, "Who is on the left?", (known,))]) == ["<billie> is on the left."]


def test_a_long_description_begins_with_the_short_one(vlm: Personal, monkeypatch: pytest.MonkeyPatch) -> None:
    from plvm.types import Answer

    text = "This is a woman, elderly, tan skin, red hair, a bun, blue eyes, freckles."
    monkeypatch.setattr(vlm, "ask_many", lambda *_, **__: [Answer(text)])
    short, long = (LlavaPrompt(vlm, tokens=n).describe(A) for n in (6, 400))
    assert long == "a woman, elderly, tan skin, red hair, a bun, blue eyes, freckles"
    assert long.startswith(short) and len(short) < len(long)


# ---------------------------------------------------------------- the reference in the prompt


@pytest.mark.parametrize("names", ["rows", "plain"])
def test_in_context_the_tokens_of_the_reference_stand_in_its_definition(vlm: Personal, names: Any) -> None:
    system = InContext(vlm, names=names)
    known = system.learn("billie", A)
    rows = system.picture(A)
    assert rows.shape == (len(vlm.backbone.image_tokens(vlm.backbone.pixels([A]))[0].ids), vlm.backbone.width)
    request = system._requests([Ask(C, "Is <billie> here?", (known,))])[0]
    vocabulary = vocabulary_of([request.everyone], vlm.backbone.word_rows)
    ids = torch.tensor([request.write(system.vlm.prompt, vocabulary)])
    embedded = vocabulary.embed(ids, vlm.backbone.word_rows)[0]
    at = ids[0].tolist().index(vocabulary.context_ids(0)[0])
    torch.testing.assert_close(embedded[at : at + len(rows)], rows.to(embedded), atol=1e-6, rtol=1e-6)
    same, other = (system.verify([Ask(C, "Is <billie> here?", (system.learn("billie", r),))])[0] for r in (A, B))
    assert same != other, "what the reference shows reaches the answer"


def test_in_context_two_references_are_twice_as_many_tokens(vlm: Personal) -> None:
    system = InContext(vlm)
    one, two = system.learn("x", A), system.learn("x", A, B)
    assert len(two.concept.tokens.context) == 2 * len(one.concept.tokens.context)
    assert system.bytes_of(two) > system.bytes_of(one) > 1000


# ---------------------------------------------------------------- Yo'LLaVA


def test_yollava_loss_is_that_of_a_model_whose_vocabulary_was_extended(vlm: Personal) -> None:
    system = YoLlava(vlm, **QUICK)
    torch.manual_seed(0)
    rows, head = 0.5 * torch.randn(3, vlm.backbone.width), 0.5 * torch.randn(3, vlm.backbone.width)
    lesson = Lesson(None, f"Is <{ME}> here?", f"Yes, <{ME}> is here.")
    parts = [
        Concept(str(i), replace(tokens_of(rows, head), word=rows[i], head=head[i], context=rows[:0]), "")
        for i in range(3)
    ]
    model = extended(vlm.backbone, parts)  # the stock model with K+1 more rows at both ends
    concept = Concept(ME, tokens_of(rows, head), "")
    vocabulary = vocabulary_of([[concept]], vlm.backbone.word_rows)
    tokens, (before, after) = Tokens(), vlm.prompt.prefix()
    tokens.add((*before, *after))
    vlm.prompt.turn(tokens, lesson.question, [ME], vocabulary, joining=[0], answer=lesson.answer)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([tokens.ids])).logits[0].float()
    told = [i for i, kind in enumerate(tokens.supervise) if kind]
    expected = F.cross_entropy(logits[[i - 1 for i in told]], torch.tensor(tokens.ids)[told])
    torch.testing.assert_close(system.loss([lesson], rows, head), expected, atol=1e-5, rtol=1e-5)


def test_yollava_learns_its_pictures_and_changes_nothing_else(vlm: Personal, strangers: Strangers) -> None:
    before = weights(vlm)
    plan = QUICK | {"epochs": 12, "best_after": 12, "flip": 0.0}
    system = YoLlava(vlm, strangers=strangers, learning_rate=0.05, **plan)
    first = YoLlava(vlm, strangers=strangers, learning_rate=0.0, **(plan | {"epochs": 1}))
    start, end = first.learn("billie", A), system.learn("billie", A)
    assert end.concept.tokens.context.shape == (2, vlm.backbone.width)
    taught = system.lessons([A], random.Random("yollava/0"))[2]  # what it was taught, by the same seed

    def loss(known: Any) -> float:
        t = known.concept.tokens
        rows, head = torch.cat([t.word[None], t.context]), torch.cat([t.head[None], torch.zeros_like(t.context)])
        return float(system.loss(taught, rows, head).detach())

    assert loss(end) < 0.9 * loss(start)
    assert weights(vlm) == before and not any(p.requires_grad for p in vlm.backbone.model.parameters())


def test_yollava_keeps_the_best_epoch_and_the_later_of_equals(
    vlm: Personal, strangers: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    scores = iter([0.5, 0.9, 0.9, 0.7])

    def score(self: YoLlava, own: Any, others: Any, tokens: Any) -> float:
        seen.append(tokens.word.clone())
        return next(scores)

    monkeypatch.setattr(YoLlava, "score", score)
    system = YoLlava(vlm, strangers=strangers, **(QUICK | {"epochs": 6, "best_after": 2}))
    kept = system.tune([A])
    assert len(seen) == 4, "epochs 3 to 6 are looked at"
    torch.testing.assert_close(kept["rows"][0], seen[2])


def test_the_hardest_strangers_are_those_that_look_most_alike(vlm: Personal) -> None:
    alike = A.copy()
    alike.paste(picture(1).crop((0, 0, 8, 8)), (0, 0))
    pool = Strangers(vlm.encoder, [picture(30), alike, picture(31), picture(32)])
    assert pool.nearest([A], 1)[0] is alike
    system = YoLlava(vlm, strangers=pool, **(QUICK | {"hard": 1, "others": 3}))
    near, far, lessons = system.lessons([A, B], random.Random(0))
    assert [p is alike for p in near] == [True] and len(far) == 3
    yes = [x for x in lessons if x.answer.startswith("Yes")]
    assert len(yes) == 4 and {id(x.image) for x in yes} == {id(A), id(B)}
    assert all(x.image is not A for x in lessons if x.answer.startswith("No"))


def test_what_was_learned_is_kept_and_not_learned_again(
    vlm: Personal, strangers: Strangers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = YoLlava(vlm, strangers=strangers, keep=tmp_path, **QUICK).learn("billie", A)
    monkeypatch.setattr(YoLlava, "tune", lambda self, images: pytest.fail("learned again"))
    again = YoLlava(vlm, strangers=strangers, keep=tmp_path, **QUICK)
    other = again.learn("robin", A)
    torch.testing.assert_close(other.concept.tokens.context, known.concept.tokens.context)
    assert other.concept.name == "robin" and again.seconds_of(other) == pytest.approx(known.seconds, abs=1e-3)
    with pytest.raises(pytest.fail.Exception):
        again.learn("billie", B)


# ---------------------------------------------------------------- MyVLM


def test_the_vector_stands_right_after_the_picture_as_if_the_projector_had_made_it(
    vlm: Personal, strangers: Strangers
) -> None:
    system = MyVlm(vlm, threshold=-1.0, strangers=strangers, steps=0)
    known = system.learn("billie", A)
    vector = known.learned.concept.tokens.context
    assert vector.shape == (1, vlm.backbone.width) and float(vector.norm()) == pytest.approx(1, abs=1e-5)
    found = system.choose([Ask(C, "Where is <billie>?", (known,), ("Yes", "No"))])[0]
    backbone, prompt = vlm.backbone, vlm.prompt
    image = backbone.image_tokens(backbone.pixels([C]))[0]
    longer = replace(image, ids=(*image.ids, backbone.image_id), rows=torch.cat([image.rows, vector.to(image.rows)]))
    before, after = prompt.prefix()
    ids = [*before, *longer.ids, *after, *prompt.text(" Where is billie?"), *prompt.control(prompt.template.assistant)]
    with torch.no_grad():
        hidden, _ = backbone.hidden(backbone.embed(torch.tensor([ids]), [longer]))
    said = (hidden[0, -1] @ backbone.head_rows.T)[[prompt.yes_id, prompt.no_id]].softmax(0)
    ends = system.engine.choose([Ask(C, "Where is <billie>?", (known.learned,), ("Yes", "No"))])[0]
    np.testing.assert_allclose(found, ends, atol=1e-9)
    request = system.engine._requests([Ask(C, "Where is <billie>?", (known.learned,))])
    yes = float(yes_of(backbone, system.vlm.prompt, request)[0])
    assert yes == pytest.approx(float(said[0]), abs=1e-6)


def test_where_the_head_sees_nobody_there_is_no_vector(vlm: Personal, strangers: Strangers) -> None:
    blind = MyVlm(vlm, threshold=1.5, strangers=strangers, steps=0)
    known = blind.learn("billie", A)
    ask = Ask(C, "Where is <billie>?", (known,), ("<billie> is here.", "Nowhere."))
    bare = Llava(vlm)
    expected = bare.choose([replace(ask, concepts=(bare.learn("billie", A),))])[0]
    np.testing.assert_allclose(blind.choose([ask])[0], expected, atol=1e-9)
    blank = blind.choose([replace(ask, image=None)])[0]
    np.testing.assert_allclose(
        blank, bare.choose([replace(ask, image=None, concepts=(bare.learn("x", A),))])[0], atol=1e-6
    )
    assert CONVERSE not in blind.abilities


def test_the_attention_to_the_vector_is_held_down(vlm: Personal) -> None:
    lesson = [Lesson(A, "Who is billie?", "a woman")]
    vector = torch.randn(vlm.backbone.width, generator=torch.Generator().manual_seed(1))
    free, held = (MyVlm(vlm, threshold=0.0, attention=a) for a in (0.0, 1.0))
    drawn = float((held.loss(lesson, vector) - free.loss(lesson, vector)).detach())
    assert 0 < drawn < vlm.backbone.model.config.text_config.num_hidden_layers


def test_attention_weights_come_with_the_same_hidden_states(vlm: Personal) -> None:
    backbone = vlm.backbone
    prefix = vlm.look(A)
    embeddings = 0.5 * torch.randn(1, 5, backbone.width, generator=torch.Generator().manual_seed(2)).double()
    positions = prefix.length + torch.arange(5)[None]
    with torch.no_grad():
        plain, _ = backbone.hidden(embeddings, prefix.past, positions)
        hidden, weights_ = backbone.attended(embeddings, prefix.past, positions)
    torch.testing.assert_close(hidden, plain, atol=1e-6, rtol=1e-6)
    assert weights_[0].shape[-2:] == (5, prefix.length + 5)
    torch.testing.assert_close(weights_[0].sum(-1), torch.ones_like(weights_[0][..., 0]), atol=1e-5, rtol=0)
    again, _ = backbone.hidden(embeddings, prefix.past, positions)
    torch.testing.assert_close(again, plain, atol=0, rtol=0)


def test_the_linear_head_tells_its_reference_from_strangers(vlm: Personal, strangers: Strangers) -> None:
    system = MyVlm(vlm, head="linear", strangers=strangers, steps=0, head_rate=0.1)
    known = system.learn("billie", A)
    yes = system.recognize([A, *strangers.pictures], [known])[:, 0]
    assert yes[0] > 0.5 and yes[0] == yes.max() and system.name == "myvlm-linear"
    assert system.bytes_of(known) == 4 * (vlm.backbone.width + 2 * (vlm.encoder.width + 1))


def test_the_face_head_takes_the_nearest_of_several_references(vlm: Personal, strangers: Strangers) -> None:
    system = MyVlm(vlm, threshold=0.0, strangers=strangers, steps=0, references=2)
    single, both = system.learn("a", B), system.learn("b", A, B)
    found = system.recognize([C], [single, both, system.learn("c", A)])[0]
    assert found[1] == pytest.approx(max(found[0], found[2]))


def test_the_vector_is_learned_from_the_backbones_own_words(
    vlm: Personal, strangers: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    import plvm_lab.systems.myvlm as module

    lessons = [Lesson(None, "What is <n0>?", "a woman"), Lesson(None, "Who is that?", "a man")]
    monkeypatch.setattr(module, "attribute_lessons", lambda *_: lessons)
    monkeypatch.setattr(module, "NAMES", ("alex",))
    shown = [replace(with_plain_name("alex", x), image=image) for x in lessons for image in (A, ImageOps.mirror(A))]
    losses = []
    for steps in (0, 25):
        system = MyVlm(
            vlm, threshold=0.0, strangers=strangers, steps=steps, attention=0.0, clip=1.0, learning_rate=0.05
        )
        vector = system.learn("billie", A).learned.concept.tokens.context[0]
        losses.append(float(system.loss(shown, vector).detach()))
    assert losses[1] < losses[0]


# ---------------------------------------------------------------- all of them


@pytest.fixture(scope="module")
def tiny() -> Benchmark:
    return portraits("val", 5, Size(4, 20, text=2, visual=2, triples=2, who=(1, 1, 1), dialogues=1))


FAST: dict[str, Any] = QUICK | {"epochs": 1, "steps": 0, "head_steps": 2, "negatives": 4, "max_tokens": 2}


@pytest.mark.slow
def test_every_system_runs_names_what_it_lacks_and_resumes(vlm: Personal, tiny: Benchmark, tmp_path: Path) -> None:
    names = [name for name in SYSTEMS if name not in NO_MODEL | set(SUITE_ONLY)]
    parts = ["recognition", "text_qa", "visual_qa", "who", "dialogue"]
    progress: list[str] = []

    def run(names: Sequence[str], settings: dict[str, Any]) -> dict[str, Any]:
        progress.clear()
        return evaluate_systems(
            names,
            lambda: vlm,
            tiny,
            tmp_path,
            settings,
            parts=parts,
            pictures=tmp_path / "pictures",
            progress=lambda what, *_: progress.append(what),
        )

    run(names[:2], {"max_tokens": 2})
    done = run(names, FAST)
    assert not any(p.startswith("plvm:") for p in progress), "what is finished is not done again"
    rows = {row["system"]: row for row in done["systems"]}
    assert list(rows) == names and json.loads((tmp_path / "systems.json").read_text()) == done
    assert done["skipped"]["embedding"] == ["text_qa", "visual_qa", "who", "dialogue"]
    assert done["skipped"]["myvlm"] == ["dialogue"] and done["skipped"]["yollava"] == []
    for name, row in rows.items():
        assert 0 <= row["recognition"]["mean"]["value"] <= 1 and row["enroll_seconds"] >= 0
        assert (row["enroll_bytes"] or 0) > 0 or name == "llava"
    for name in names:  # finished in an earlier run or not
        timing = json.loads((tmp_path / name / "summary.json").read_text())["timing"]
        spent = timing["learning"]["seconds"] + sum(timing[part]["seconds"] for part in parts if part in timing)
        assert rows[name]["seconds"] == pytest.approx(spent, abs=0.06) and spent > 0
    assert done["seconds"] == pytest.approx(sum(row["seconds"] for row in rows.values()), abs=0.1)
    assert {"command", "seed", "commit", "versions", "machine", "time"} <= set(done), "where it comes from"
    assert rows["embedding"]["text_qa"] is None and rows["yollava"]["text_qa"]["n"] == 2
    facts = json.loads((tmp_path / "embedding" / "summary.json").read_text())["system"]
    assert not any("/" in str(v) for v in facts.values()), "no path of a machine"
    kept = list((tmp_path / "yollava" / "kept").glob("*.safetensors"))
    assert len(kept) == 4, "every identity was learned once"


def test_settings_are_checked_by_name(vlm: Personal, tiny: Benchmark, tmp_path: Path) -> None:
    assert settings_of("yollava-5")["references"] == 5 and settings_of("myvlm")["learning_rate"] == 1.0
    assert settings_of("llava") == {}
    with pytest.raises(RequestError, match='"epochs"'):
        build_system("yollava", vlm, epoch=3)
    with pytest.raises(RequestError, match="None of these"):
        evaluate_systems(["plvm"], lambda: vlm, tiny, tmp_path, {"colour": 1})
    assert build_system("embedding", vlm).abilities == {RECOGNIZE, VERIFY}


def test_a_dialogue_of_the_frozen_backbone_is_that_of_its_user(vlm: Personal) -> None:
    system = Llava(vlm)
    said = system.converse(C, [Turn("What place is this?"), Turn("Is <billie> here?", (system.learn("billie", A),))])
    chat = vlm.chat(C)
    expected = [chat.ask("What place is this?", system.params).text, chat.ask("Is billie here?", system.params).text]
    assert said == [marked(t, ["billie"]) for t in expected]


def test_lessons_of_pictures_and_of_none_stand_side_by_side(vlm: Personal) -> None:
    lessons = [Lesson(A, "Is <n0> here?", "Yes."), Lesson(None, "What hair?", "red hair, a bun")]
    vocabulary = vocabulary_of(
        [[nameless("n0", vlm.backbone, torch.zeros(1, vlm.backbone.width))]], vlm.backbone.word_rows
    )
    together = lesson_rows(vlm, "n0", lessons, vocabulary)
    for i, lesson in enumerate(lessons):
        own = lesson_rows(vlm, "n0", [lesson], vocabulary)
        n = own.ids.shape[1]
        assert together.ids[i, :n].tolist() == own.ids[0].tolist()
        assert together.positions[i, :n].tolist() == own.positions[0].tolist()
        assert int(together.mask[i].sum()) == own.mask.numel()


def test_plain_definitions_keep_their_context_tokens_apart(vlm: Personal) -> None:
    prompt = PlainNames(vlm.prompt.tokenizer)
    people = [nameless(n, vlm.backbone, torch.zeros(2, vlm.backbone.width)) for n in ("ann", "bob")]
    vocabulary = vocabulary_of([people], vlm.backbone.word_rows)
    tokens = Tokens()
    prompt.turn(tokens, "Who is <bob>?", ["ann", "bob"], vocabulary, joining=[0, 1], descriptions={0: None, 1: "tall"})
    expected = [
        *prompt.text(" ann is"), *vocabulary.context_ids(0), *prompt.text(". bob is tall. Who is bob?"),
        *prompt.control(prompt.template.assistant),
    ]  # fmt: skip
    assert tokens.ids == expected
