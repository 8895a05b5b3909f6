"""The suite on the real systems, untrained: its questions and dialogues are those a user asks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oracle import BENCH
from oracle import album as album
from plvm.personal import Personal
from plvm.prompt.vocabulary import vocabulary_of
from plvm_lab.evaluate.drawings import Drawings
from plvm_lab.evaluate.metrics import best_threshold
from plvm_lab.evaluate.portraits_benchmark import Benchmark, portraits
from plvm_lab.evaluate.protocols import PARTS
from plvm_lab.evaluate.runner import evaluate
from plvm_lab.evaluate.system import Ask, Turn
from plvm_lab.systems import SYSTEMS, build_system
from plvm_lab.systems.embedding import Embedding, views
from plvm_lab.systems.llava import LlavaPrompt, LlavaPromptTrue, truth_of
from plvm_lab.systems.plvm import Plvm
from toys import an_aligner


@pytest.fixture(scope="module")
def tiny() -> Benchmark:
    from plvm_lab.evaluate.portraits_benchmark import Size

    return portraits("val", 5, Size(4, 20, text=4, visual=6, triples=6, who=(2, 1, 1), dialogues=1))


def test_the_whole_suite_runs_through_the_real_engine(vlm: Personal, tiny: Benchmark, tmp_path: Path) -> None:
    found = evaluate(build_system("plvm", vlm, max_tokens=4), tiny, tmp_path)
    assert found["skipped"] == [] and found["n"] == sum(PARTS[part].count(tiny) for part in tiny.parts)
    assert 0 <= found["recognition"]["mean"]["value"] <= 1 and found["system"]["architecture"] == "anchored"
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    permuted = [r for r in records if r.get("control") == "permuted"]
    chosen = {r["id"]: r["options"]["ABC".index(r["answer"])] for r in records if r["part"] in ("text_qa", "visual_qa")}
    assert permuted and all(r["options"]["ABC".index(r["answer"])] == chosen[r["id"]] for r in permuted)


def test_recognition_of_the_matrix_is_that_of_single_questions(vlm: Personal, album: Drawings) -> None:
    system = Plvm(vlm)
    people = [system.learn(name, album.reference(name)) for name in BENCH.names[:3]]
    images = [album.query(0), album.query(1)]
    wording = vlm.prompt.template.recognize
    asks = [Ask(i, wording.replace("{name}", f"<{p.concept.name}>"), (p,)) for i in images for p in people]
    single = np.concatenate([system.verify([a]) for a in asks]).reshape(2, 3)
    np.testing.assert_allclose(system.recognize(images, people), single, atol=1e-6)
    by_user = vlm.recognize(images, [p.concept for p in people])
    np.testing.assert_allclose(by_user, single, atol=1e-6)


def test_the_dialogues_of_the_evaluation_are_those_of_chat(vlm: Personal, album: Drawings) -> None:
    system = Plvm(vlm, max_tokens=6)
    first, second = (system.learn(name, album.reference(name)) for name in BENCH.names[:2])
    questions = ["What place is this?", f"Is <{BENCH.names[1]}> here?"]
    said = system.converse(album.query(0), [Turn(questions[0], (first,)), Turn(questions[1], (second,))])
    chat = vlm.chat(album.query(0), [first.concept])
    expected = [chat.ask(questions[0], system.params).text]
    chat.add(second.concept)
    assert said == [*expected, chat.ask(questions[1], system.params).text]


def test_another_aligner_has_another_fingerprint(vlm: Personal, tmp_path: Path) -> None:
    from plvm.model.checkpoint import fingerprint

    other = an_aligner(vlm.backbone, "paper")
    second = Personal(vlm.backbone, vlm.encoder, other, vlm.prompt, fingerprint(other, vlm.prompt.template))
    assert Plvm(vlm).fingerprint == Plvm(vlm).fingerprint != Plvm(second).fingerprint


def test_a_change_anywhere_in_backbone_encoder_or_verdicts_gives_another_fingerprint(vlm: Personal) -> None:
    seen = {Plvm(vlm).fingerprint, Plvm(vlm).fingerprint}
    for part in (vlm.backbone.model, vlm.encoder.model):
        weight = [p for p in part.parameters() if p.ndim == 2][1]  # neither the first, nor words or heads
        before = weight.detach().clone()
        weight.data.mul_(1.01)
        seen.add(Plvm(vlm).fingerprint)
        weight.data.copy_(before)
    judged = Personal(vlm.backbone, vlm.encoder, vlm.aligner, vlm.prompt, vlm.fingerprint)
    judged.calibration = replace(vlm.calibration, verdicts=replace(vlm.calibration.verdicts, offset=0.5))
    seen.add(Plvm(judged).fingerprint)
    assert len(seen) == 4


def test_a_description_is_cut_at_a_comma_within_its_tokens(vlm: Personal) -> None:
    system = LlavaPrompt(vlm, tokens=6)
    whole = "a woman, elderly, tan skin, red hair, a bun, blue eyes"
    cut = system.cut(whole)
    assert whole.startswith(cut) and whole[len(cut)] == "," and len(vlm.prompt.text(" " + cut)) <= 6
    assert system.cut("a woman") == "a woman"
    unbroken = "a very elderly woman who has red hair and a bun and blue eyes"
    assert unbroken.startswith(system.cut(unbroken)) and len(vlm.prompt.text(" " + system.cut(unbroken))) <= 6


def test_the_description_stands_in_the_prompt_where_the_context_tokens_would(vlm: Personal, album: Drawings) -> None:
    name = BENCH.names[0]
    truth = truth_of(BENCH, album)
    rows = LlavaPromptTrue(vlm, truth)
    known = rows.learn(name, album.reference(name))
    assert known.description and known.description.startswith(("a woman", "a man"))
    request = rows._requests([Ask(None, f"Is <{name}> here?", (known,))])[0]
    assert request.descriptions == (known.description,) and request.concepts == (known.concept,)
    plain = LlavaPromptTrue(vlm, truth, names="plain")
    known = plain.learn(name, album.reference(name))
    prompt = plain.vlm.prompt
    request = plain._requests([Ask(None, f"Is <{name}> here?", (known,))])[0]
    written = request.write(prompt, vocabulary_of([request.everyone], vlm.backbone.word_rows))
    said = f" {name} is {known.description}. Is {name} here?"
    assert written == [*prompt.text(said), *prompt.control(prompt.template.assistant)], "all of it is ordinary text"


def test_the_truth_is_told_whole_or_cut_where_it_was_asked_to_be(vlm: Personal, album: Drawings) -> None:
    name, truth = BENCH.names[0], truth_of(BENCH, album)
    whole = LlavaPromptTrue(vlm, truth).describe(album.reference(name))
    assert whole in truth.values() and whole.count(", ") == 13, "fourteen traits"
    short = LlavaPromptTrue(vlm, truth, tokens=16).describe(album.reference(name))
    assert whole.startswith(f"{short}, ") and len(vlm.prompt.text(" " + short)) <= 16


def test_an_embedding_decides_at_the_threshold_that_separates_best() -> None:
    truth = np.array([False, False, True, False, True, True])
    threshold, balance = best_threshold(truth, np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.9]))
    assert (threshold, balance) == (pytest.approx(0.45), pytest.approx(5 / 6)) or threshold == pytest.approx(0.25)


def test_an_embedding_recognises_a_reference_that_is_a_part_of_the_picture(vlm: Personal, album: Drawings) -> None:
    system = Embedding(vlm, threshold=0.999)
    people = [system.learn(name, album.reference(name)) for name in BENCH.names[:3]]
    canvas = album.query(0).copy()
    side = round(0.48 * canvas.width)
    canvas.paste(album.reference(BENCH.names[0]).resize((side, side)), (0, 0))
    similarity = system.similarity([canvas], people)[0]
    assert similarity.argmax() == 0 and similarity[0] > 0.95
    assert len(views(canvas)) == 76 and set(SYSTEMS) >= {"plvm", "llava-prompt", "embedding"}
