"""Prompts with the concepts before the picture: token by token as the authors' checkpoint was trained, and everything
that is reused gives what a computation from scratch gives."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from llama import llama_tokenizer
from plvm.engine.decoding import never_chosen
from plvm.engine.generate import complete, generate
from plvm.engine.prefix import ImagePrefix, PrefixCache, compute_prefixes
from plvm.engine.request import Request
from plvm.engine.score import yes_probability
from plvm.errors import RequestError
from plvm.model.aligner import Aligner
from plvm.model.backbone import Backbone
from plvm.model.encoder import Encoder
from plvm.model.released_checkpoint import TEMPLATE
from plvm.personal import Personal
from plvm.prompt.definitions_first import DefinitionsFirst
from plvm.prompt.image_first import Prompt
from plvm.prompt.orders import prompt_of
from plvm.prompt.turns import ANSWER, VERDICT, Tokens
from plvm.prompt.vocabulary import vocabulary_of
from plvm.train.step import image_prefix
from plvm.types import Concept, SamplingParams
from plvm_lab.families.mini.parts import build_vlm, image_processor
from toys import RECIPE, K, a_concept, an_aligner, awake, extended, picture

SYSTEM = (
    "▁A ▁chat ▁between ▁a ▁curious ▁user ▁and ▁an ▁artificial ▁intelligence ▁assistant . ▁The ▁assistant ▁gives "
    "▁helpful , ▁detailed , ▁and ▁polite ▁answers ▁to ▁the ▁user ' s ▁questions ."
)
SHORT = SamplingParams(max_tokens=6)


@pytest.fixture(scope="module")
def llama() -> Any:
    return llama_tokenizer()


@pytest.fixture(scope="module")
def llava(llama: Any) -> Backbone:
    """A tiny LLaVA in float64 whose words are those of the Llama-format tokenizer."""
    return Backbone(awake(build_vlm(RECIPE, llama), 1).double(), llama, image_processor(RECIPE.image_size))


@pytest.fixture(scope="module")
def writer(llama: Any) -> Prompt:
    return prompt_of(llama, TEMPLATE)


@pytest.fixture(scope="module")
def two(llava: Backbone) -> list[Concept]:
    return [a_concept(name, i, llava.width) for i, name in enumerate(("sks", "avril"))]


@pytest.fixture(scope="module")
def looked(llava: Backbone, writer: Prompt) -> list[ImagePrefix]:
    return compute_prefixes(llava, writer, [picture(1), picture(2), None])


def written(writer: Prompt, names: list[str], question: str, pixels: int = 2, **changes: Any) -> list[str]:
    """The whole prompt as tokens; `W0`, `C00` .. stand for concept number 0, `P` for the picture's tokens."""
    base = len(writer.tokenizer)
    vocabulary = vocabulary_of([[a_concept(n, i, 8, k=16) for i, n in enumerate(names)]], torch.zeros(base, 8))
    tokens = Tokens()
    image = vocabulary.image_ids(pixels)
    writer.turn(tokens, question, names, vocabulary, joining=range(len(names)), image=image, **changes)
    own = {vocabulary.word_id(i): f"W{i}" for i in range(len(names))}
    own |= {c: f"C{i}" for i in range(len(names)) for c in vocabulary.context_ids(i)} | dict.fromkeys(image, "P")
    return [own.get(i) or writer.tokenizer.convert_ids_to_tokens(i) for i in (*writer.prefix()[0], *tokens.ids)]


# ---- the tokens


def test_the_prompt_of_the_authors_checkpoint_token_by_token(writer: Prompt) -> None:
    question = "Is <sks> in this photo? Answer with Yes or No."
    assert written(writer, ["sks"], question) == [
        "<s>", *SYSTEM.split(), "W0", "▁is", *["C0"] * 16, ".", "▁USER", ":", "▁", "P", "P", "▁", "<0x0A>", "I", "s", "W0",
        "▁in", "▁this", "▁photo", "?", "▁Answer", "▁with", "▁Yes", "▁or", "▁No", ".", "▁ASSISTANT", ":",
    ]  # fmt: skip


def test_its_ids_are_those_of_the_tokenizer_and_the_full_stop_has_no_blank_before_it(
    writer: Prompt, llama: Any
) -> None:
    vocabulary = vocabulary_of([[a_concept("sks", 0, 8, k=16)]], torch.zeros(len(llama), 8))
    tokens = Tokens()
    writer.turn(tokens, "<sks> is he?", ["sks"], vocabulary, joining=[0], image=vocabulary.image_ids(1))
    v, ids = len(llama), llama.convert_tokens_to_ids
    assert writer.prefix()[0][0] == llama.bos_token_id == 1
    assert tokens.ids == [
        v, ids("▁is"), *range(v + 1, v + 17), ids("."), ids("▁USER"), ids(":"), ids("▁"), v + 17,
        ids("▁"), 3 + 10, v, ids("▁is"), ids("▁he"), ids("?"), ids("▁ASSISTANT"), ids(":"),
    ]  # fmt: skip
    assert ids(".") != ids("▁.") and ids(".") > 258


def test_transformers_own_llama_tokenizer_gives_the_same_prompt(writer: Prompt, llama: Any, tmp_path: Path) -> None:
    """As the backbone's repository has it: the class is named in its tokenizer_config.json."""
    from transformers import AutoTokenizer, LlamaTokenizer

    llama.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"tokenizer_class": "LlamaTokenizer"}))
    other = AutoTokenizer.from_pretrained(tmp_path)
    assert type(other) is LlamaTokenizer
    question = "Is <sks> in this photo? Answer with Yes or No."
    assert written(prompt_of(other, TEMPLATE), ["sks"], question) == written(writer, ["sks"], question)


def test_without_a_picture_the_users_words_follow_the_cue(writer: Prompt) -> None:
    assert written(writer, ["sks"], "Where is <sks>?", pixels=0)[len(SYSTEM.split()) + 1 :] == [
        "W0", "▁is", *["C0"] * 16, ".", "▁USER", ":", "▁Where", "▁is", "W0", "▁", "?", "▁ASSISTANT", ":",
    ]  # fmt: skip


def test_several_concepts_are_defined_one_after_the_other(writer: Prompt) -> None:
    tokens = written(writer, ["a", "b"], "<a> <b>")[len(SYSTEM.split()) + 1 :]
    assert tokens == [
        "W0", "▁is", *["C0"] * 16, ".", "W1", "▁is", *["C1"] * 16, ".", "▁USER", ":", "▁", "P", "P",
        "▁", "<0x0A>", "W0", "W1", "▁ASSISTANT", ":",
    ]  # fmt: skip


def test_a_description_in_words_stands_where_the_context_tokens_would(writer: Prompt) -> None:
    tokens = written(writer, ["a"], "Is he?", pixels=0, descriptions={0: "a curious user"})
    assert tokens[len(SYSTEM.split()) + 1 :][:6] == ["W0", "▁is", "▁a", "▁curious", "▁user", "."]


def test_yes_and_no_are_one_token_and_marked_in_answers(writer: Prompt, llama: Any) -> None:
    assert (writer.yes_id, writer.no_id) == tuple(llama.convert_tokens_to_ids(["▁Yes", "▁No"]))
    vocabulary = vocabulary_of([[a_concept("sks", 0, 8)]], torch.zeros(len(llama), 8))
    tokens = Tokens()
    writer.answer(tokens, "No, <sks> is in this photo", ["sks"], vocabulary, verdict=True)
    shown = [llama.convert_ids_to_tokens(i) if i < len(llama) else "W" for i in tokens.ids]
    assert shown == ["▁No", ",", "W", "▁is", "▁in", "▁this", "▁photo", "</s>"]
    assert tokens.supervise == [VERDICT] + [ANSWER] * 7


@pytest.mark.parametrize("text", ["<image>", "</s>", "a <s> b", "<other>"])
def test_text_stays_text(writer: Prompt, llama: Any, text: str) -> None:
    assert not set(llama.all_special_ids) & set(writer.text(text))
    assert llama.decode(list(writer.text(text))) == text


def test_a_template_without_a_known_form_is_refused(llama: Any) -> None:
    with pytest.raises(ValueError, match="image-first, definitions-first"):
        prompt_of(llama, replace(TEMPLATE, form="upside-down"))
    assert type(prompt_of(llama, TEMPLATE)) is DefinitionsFirst
    assert type(prompt_of(llama, replace(TEMPLATE, form="image-first", yes=" Yes", no=" No"))) is Prompt


# ---- what the backbone makes of them


def stock_logits(llava: Backbone, writer: Prompt, people: list[Concept], question: str, seed: int | None) -> Any:
    """The last logits [V+C] of a stock model with extended tables, on one whole sequence with its own image tokens."""
    vocabulary = vocabulary_of([people], llava.word_rows)
    names = [c.name for c in people]
    config, tokens = llava.model.config, Tokens()
    image = [config.image_token_id] * (config.image_seq_length if seed is not None else 0)
    writer.turn(tokens, question, names, vocabulary, joining=range(len(people)), image=image)
    inputs = {} if seed is None else llava.pixels([picture(seed)]).inputs
    with torch.no_grad():
        out = extended(llava, people)(input_ids=torch.tensor([[*writer.prefix()[0], *tokens.ids]]), **inputs)
    return out.logits[0, -1, : llava.vocabulary_size + len(people)]


@pytest.mark.parametrize("which", [0, 2])
def test_what_is_computed_is_what_a_stock_model_computes_on_the_whole_sequence(
    llava: Backbone, writer: Prompt, two: list[Concept], looked: list[ImagePrefix], which: int
) -> None:
    question = "Is <sks> next to <avril>?"
    stock = stock_logits(llava, writer, two, question, 1 if which == 0 else None)
    said = complete(llava, writer, Request(looked[which], question, tuple(two)), SHORT)
    vocabulary = vocabulary_of([two], llava.word_rows, [looked[which].features])
    ids = Request(looked[which], question, tuple(two)).write(writer, vocabulary)
    with torch.no_grad():
        hidden, _ = llava.hidden(vocabulary.embed(torch.tensor([ids]), llava.word_rows), looked[which].past)
        ours = vocabulary.logits(hidden[:, -1:], llava.head_rows)[0, 0]
    torch.testing.assert_close(ours, stock, rtol=1e-9, atol=1e-9)
    assert said.answer.prompt_tokens == looked[which].length + len(ids)


def test_scores_are_those_of_the_stock_model_whatever_stands_beside_them(
    llava: Backbone, writer: Prompt, two: list[Concept], looked: list[ImagePrefix]
) -> None:
    scores = yes_probability(llava, writer, looked, two, "Is {name} in this photo?")
    for i, seed in enumerate((1, 2, None)):
        for j, concept in enumerate(two):
            logits = stock_logits(llava, writer, [concept], f"Is <{concept.name}> in this photo?", seed)
            expected = (logits[writer.yes_id] - logits[writer.no_id]).sigmoid()
            assert scores[i, j].item() == pytest.approx(expected.item(), abs=1e-6)


def test_batched_answers_equal_single_ones_with_and_without_pictures(
    llava: Backbone, writer: Prompt, two: list[Concept], looked: list[ImagePrefix]
) -> None:
    requests = [
        Request(looked[0], "Where is <sks>?", (two[0],)),
        Request(looked[2], "Is <sks> a user?", tuple(two)),
        Request(looked[1], "Is he in this photo?"),
    ]
    params = [SamplingParams(max_tokens=n) for n in (2, 4, 6)]  # so that rows leave the batch one by one
    together = generate(llava, writer, requests, params)
    alone = [generate(llava, writer, [r], p)[0] for r, p in zip(requests, params, strict=True)]
    assert [(a.text, a.new_tokens) for a in together] == [(a.text, a.new_tokens) for a in alone]
    assert len({a.text for a in alone}) > 1


def test_a_dialogue_continues_what_was_computed_and_lets_someone_join(
    llava: Backbone, writer: Prompt, two: list[Concept], looked: list[ImagePrefix]
) -> None:
    start, questions = looked[0], ("Where is <sks>?", "Is <avril> next to <sks>?")
    first = complete(llava, writer, Request(start, questions[0], (two[0],)), SHORT)
    llava.tokens_computed = 0
    second = complete(llava, writer, Request(first.session, questions[1], (two[1],)), SHORT)
    assert llava.tokens_computed < 60, "neither the picture nor the first turn is computed again"

    alone = vocabulary_of([two[:1]], llava.word_rows, [start.features])
    said = greedy(llava, writer, start, alone, Request(start, questions[0], (two[0],)).write(writer, alone), SHORT)
    both = vocabulary_of([two], llava.word_rows, [start.features])
    tokens = Tokens()
    image = both.image_ids(len(start.features))  # type: ignore[arg-type]
    writer.turn(tokens, questions[0], ["sks"], both, joining=[0], image=image)
    tokens.add([*said, writer.end_id])
    writer.turn(tokens, questions[1], ["sks", "avril"], both, joining=[1], first=False)
    again = greedy(llava, writer, start, both, tokens.ids, SHORT)
    names = {llava.vocabulary_size: "<sks>", llava.vocabulary_size + 1: "<avril>"}
    wanted = spelled(writer, again, names)
    assert "".join(second.answer.text.split()) == "".join(wanted.split()), "blanks beside names aside"
    assert second.answer.prompt_tokens == start.length + len(tokens.ids)


def greedy(
    llava: Backbone, writer: Prompt, start: ImagePrefix, vocabulary: Any, ids: list[int], params: SamplingParams
) -> list[int]:
    """The likeliest continuation of `ids`, every step computed from the beginning."""
    said: list[int] = []
    banned = never_chosen(llava, writer)
    while len(said) < params.max_tokens:
        with torch.no_grad():
            row = vocabulary.embed(torch.tensor([[*ids, *said]]), llava.word_rows)
            logits = vocabulary.logits(llava.hidden(row, start.past)[0][:, -1:], llava.head_rows)[0, 0]
        logits[: len(banned)][banned] = float("-inf")
        said.append(int(logits.argmax()))
        if said[-1] == writer.end_id:
            return said[:-1]
    return said


def spelled(writer: Prompt, ids: list[int], names: dict[int, str]) -> str:
    """The ids as text, each run of words on its own."""
    text, run = "", list[int]()
    for i in [*ids, -1]:
        if i in names or i == -1:
            text, run = text + " " + writer.tokenizer.decode(run), []
            text += f" {names[i]}" if i in names else ""
        else:
            run.append(i)
    return text


def test_pictures_are_kept_by_their_features_and_share_their_beginning(
    llava: Backbone, writer: Prompt, looked: list[ImagePrefix]
) -> None:
    one, other, none = looked
    assert one.length == none.length == len(writer.prefix()[0]) and one.past is other.past
    assert none.features is None and one.features is not None and other.features is not None
    assert one.features.shape == (llava.model.config.image_seq_length, llava.width)
    assert one.seen is not None and one.bytes == none.bytes + one.features.nbytes + one.seen.rows.nbytes
    cache = PrefixCache(one.bytes)
    cache.put("default", one)
    kept = cache.get("default", one.digest)
    assert kept is not None and kept.features is one.features and kept.past is one.past


def test_a_person_can_be_enrolled_asked_about_and_join_mid_dialogue(
    llava: Backbone, writer: Prompt, encoder: Encoder
) -> None:
    aligner: Aligner = an_aligner(llava, "released", heads=4)
    vlm = Personal(llava, encoder, aligner, writer, "0" * 16)
    sks, avril = vlm.enroll("sks", picture(3)), vlm.enroll("avril", picture(4))
    assert sks.tokens.context.shape == (K, llava.width)
    chat = vlm.chat(picture(1), [sks])
    assert chat.ask("Where is <sks>?", SHORT).text == vlm.ask(picture(1), "Where is <sks>?", [sks], SHORT).text
    chat.add(avril)
    answer = chat.ask("Is <avril> next to <sks>?", SHORT)
    assert answer.computed_tokens < answer.prompt_tokens / 2
    chances = vlm.recognize([picture(1), picture(2)], [sks, avril])
    assert len({round(c, 6) for row in chances for c in row}) == 4


def test_training_says_that_pictures_cannot_be_shared(llava: Backbone, writer: Prompt) -> None:
    with pytest.raises(RequestError, match="before the picture"):
        image_prefix(llava, writer, llava.pixels([picture(1)]))
