"""Every family of backbones, from a folder in the Hub's layout: the same promises as for LLaVA, against the stock model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.func import functional_call

import hub
import plvm
from plvm.engine import generate as engine
from plvm.engine.batch import gather
from plvm.engine.generate import complete, generate, never_chosen
from plvm.engine.prefix import ImagePrefix, compute_prefixes
from plvm.engine.request import Request
from plvm.engine.score import choose, yes_probability
from plvm.errors import CheckpointError, RequestError
from plvm.model.aligner import Aligner
from plvm.model.backbone import Backbone
from plvm.model.checkpoint import save_aligner
from plvm.model.families import TYPES
from plvm.model.pretrained import load_backbone
from plvm.personal import Personal
from plvm.prompt.image_first import Prompt
from plvm.prompt.orders import prompt_of
from plvm.prompt.turns import VERDICT, Tokens
from plvm.prompt.vocabulary import vocabulary_of
from plvm.train.loss import answer_loss
from plvm.train.rows import pad_rows
from plvm.train.step import Packed, image_prefix, rows_of, suffix_logits
from plvm.types import Concept, SamplingParams
from toys import K, a_concept, an_aligner, extended, picture

SHORT = SamplingParams(max_tokens=8)
NAMES = ("billie", "avril", "zoë")
QUESTION = "Who is on the left?"


def pictures() -> list[Image.Image]:
    """A square one, a wide one and a tall one."""
    return [picture(1, 100), picture(2, 160).resize((150, 70)), picture(3, 160).resize((60, 130))]


@pytest.fixture(scope="module", params=list(hub.FAMILIES))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """backbone/, encoder/ and aligner/ of one family, each as the Hub has it."""
    root = tmp_path_factory.mktemp(request.param)
    backbone = load_backbone(hub.write_backbone(root / "backbone", request.param))
    encoder = hub.write_encoder(root / "encoder", "dinov2")
    aligner = an_aligner(backbone, "paper", encoder_width=32, backbone="../backbone", encoder=f"../{encoder.name}")
    save_aligner(root / "aligner", aligner, backbone.template(), {})
    return root


@pytest.fixture(scope="module")
def vlm(folder: Path) -> Personal:
    return plvm.load(folder / "aligner", device="cpu")


@pytest.fixture(scope="module")
def exact(folder: Path) -> Backbone:
    """The backbone in float64."""
    return load_backbone(folder / "backbone", dtype=torch.float64)


@pytest.fixture(scope="module")
def prompt(exact: Backbone) -> Prompt:
    return Prompt(exact.tokenizer, exact.template())


@pytest.fixture(scope="module")
def people(exact: Backbone) -> list[Concept]:
    return [a_concept(name, i, exact.width) for i, name in enumerate(NAMES)]


@pytest.fixture(scope="module")
def prefixes(exact: Backbone, prompt: Prompt) -> list[ImagePrefix]:
    """Those of the three pictures, computed together, and that of no picture."""
    return compute_prefixes(exact, prompt, [*pictures(), None])


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids that are chosen from now on."""
    ids = list[int]()
    sample = engine.sample
    monkeypatch.setattr(engine, "sample", lambda *a: (ids.append(sample(*a)), ids[-1])[1])
    return ids


def stock_inputs(
    backbone: Backbone, prompt: Prompt, image: Image.Image | None, suffix: Sequence[int]
) -> dict[str, Any]:
    """What the stock model takes for a whole sequence with one picture, image tokens written out."""
    before, after = prompt.prefix()
    pixels = None if image is None else backbone.pixels([image])
    middle = () if pixels is None else backbone.image_tokens(pixels)[0].ids
    ids = torch.tensor([[*before, *middle, *after, *suffix]])
    inputs: dict[str, Any] = {"input_ids": ids} | ({} if pixels is None else dict(pixels.inputs))
    if backbone.family.axes == 3:
        inputs["mm_token_type_ids"] = (ids == backbone.image_id).int()
    return inputs


def stock_logits(model: Any, inputs: dict[str, Any]) -> Tensor:
    """Logits [T, columns]; a stock model may remember positions of the sequence before, which must not count here."""
    if hasattr(model.model, "rope_deltas"):
        model.model.rope_deltas = None
    return model(**inputs).logits[0]


# ---- what is written


def test_a_question_is_written_as_the_models_own_chat_template_does_it(exact: Backbone, prompt: Prompt) -> None:
    tokenizer, tokens = exact.tokenizer, Tokens()
    asked = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}]
    text = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    whole = tokenizer(text, add_special_tokens=False)["input_ids"]
    if tokenizer.bos_token and whole[0] != tokenizer.bos_token_id:
        whole = [tokenizer.bos_token_id, *whole]  # the tokenizers of Llama and Vicuna add it themselves
    image = list(exact.image_tokens(exact.pixels(pictures()[:1]))[0].ids)
    if exact.family.axes == 3:  # the chat template writes what stands around the image tokens
        assert [whole[whole.index(image[0])], whole[whole.index(image[-1])]] == [image[0], image[-1]]
        whole = [i for i in whole if i not in (image[0], image[-1])]
    at = whole.index(exact.image_id)
    before, after = prompt.prefix()
    prompt.turn(tokens, QUESTION, [], vocabulary_of([[]], exact.word_rows))
    assert [*before, *image, *after, *tokens.ids] == [*whole[:at], *image, *whole[at + 1 :]]


@pytest.mark.parametrize("family", ["smol", "idefics3"])
def test_tiles_are_marked_as_the_stock_processor_marks_them(family: str) -> None:
    from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

    backbone = Backbone(*hub.FAMILIES[family]())
    pixels = backbone.pixels(pictures())
    assert pixels.tiles == ((3, 3), (2, 3), (3, 2)), "rows, columns"
    for (rows, columns), image in zip(pixels.tiles, backbone.image_tokens(pixels), strict=True):
        each = len(image.rows) // (rows * columns + 1)
        text = get_image_prompt_string(rows, columns, each, "<fake_token_around_image>", "<image>", "<global-img>")
        assert list(image.ids) == backbone.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_a_second_turn_is_written_as_the_chat_template_does_it(exact: Backbone, prompt: Prompt) -> None:
    tokenizer, tokens = exact.tokenizer, Tokens()
    vocabulary = vocabulary_of([[]], exact.word_rows)
    tokens.add(prompt.prefix()[0])
    tokens.add([exact.image_id])
    tokens.add(prompt.prefix()[1])
    prompt.turn(tokens, QUESTION, [], vocabulary, answer="On the left.")
    prompt.turn(tokens, "And who is that?", [], vocabulary, first=False)

    def says(role: str, *content: Any) -> dict[str, Any]:
        return {"role": role, "content": list(content)}

    def text(words: str) -> dict[str, str]:
        return {"type": "text", "text": words}

    turns = [
        says("user", {"type": "image"}, text(QUESTION)), says("assistant", text("On the left.")),
        says("user", text("And who is that?")),
    ]  # fmt: skip
    stock = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    shown = tokenizer.decode(tokens.ids)
    for mark in ("<|vision_start|>", "<|vision_end|>"):
        stock = stock.replace(mark, "")
    if type(exact.family).__name__ == "Llava":  # its chat template leaves the end token of Vicuna's dialogues out
        shown, stock = shown.replace("</s>", " "), "<s>" + stock
    if type(exact.family).__name__ == "Onevision":  # text alone has no blank before its line end
        stock = stock.replace("<|im_start|>assistant \n", "<|im_start|>assistant\n")
    assert "".join(shown.split()) == "".join(stock.split())


def test_yes_no_and_the_end_are_single_tokens_and_control_tokens_are_never_said(
    exact: Backbone, prompt: Prompt
) -> None:
    banned = never_chosen(exact, prompt)
    assert not banned[[prompt.yes_id, prompt.no_id, prompt.end_id]].any()
    assert banned[exact.image_id] and banned[len(exact.tokenizer) :].all()
    for text in ("<image>", "<|image_pad|>", "<|im_end|>", "<end_of_utterance>", "</s>"):
        assert not any(banned[i] for i in prompt.text(text))


# ---- what is computed, against the stock model with physically longer tables


def test_logits_equal_those_of_the_stock_model_with_extended_tables(
    exact: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    two, columns = people[:2], exact.vocabulary_size + 2
    model = extended(exact, two)
    for image, prefix in zip([*pictures(), None], prefixes, strict=True):
        g = gather(exact, prompt, [Request(prefix, "Is <billie> next to <avril>?", tuple(two))])
        with torch.no_grad():
            hidden, _ = exact.hidden(g.vocabulary.embed(g.ids, exact.word_rows), g.past, g.positions)
            ours = g.vocabulary.logits(hidden, exact.head_rows)[0]
            theirs = stock_logits(model, stock_inputs(exact, prompt, image, g.ids[0].tolist()))
        torch.testing.assert_close(ours, theirs[-len(ours) :, :columns], rtol=0, atol=1e-8)
        assert ours.std() > 0.3 and prefix.length + len(ours) == len(theirs)


def greedy(model: Any, exact: Backbone, prompt: Prompt, suffix: Sequence[int], columns: int, most: int) -> list[int]:
    """What the stock model says after the wide picture and `suffix`, every word computed from the beginning."""
    banned, new = never_chosen(exact, prompt).nonzero().flatten(), list[int]()
    while len(new) < most and prompt.end_id not in new:
        with torch.no_grad():
            logits = stock_logits(model, stock_inputs(exact, prompt, pictures()[1], [*suffix, *new]))[-1, :columns]
        logits[banned] = float("-inf")
        new.append(int(logits.argmax()))
    return new


def test_generation_from_a_cached_prefix_equals_generation_from_scratch(
    exact: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], chosen: list[int]
) -> None:
    request = Request(prefixes[1], "Who is <billie>?", tuple(people[:2]))
    suffix = gather(exact, prompt, [request]).ids[0].tolist()
    generate(exact, prompt, [request], SHORT)
    model = extended(exact, people[:2])
    assert (
        chosen == greedy(model, exact, prompt, suffix, exact.vocabulary_size + 2, SHORT.max_tokens) and len(chosen) > 2
    )


def test_a_dialogue_in_which_someone_joins_equals_one_whole_sequence(
    exact: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], chosen: list[int]
) -> None:
    first = complete(exact, prompt, Request(prefixes[1], "Where is <billie>?", (people[0],)), SHORT)
    said = [i for i in chosen if i != prompt.end_id]
    chosen.clear()
    generate(exact, prompt, [Request(first.session, "And <avril>?", (people[1],))], SHORT)
    vocabulary, tokens = vocabulary_of([people[:2]], exact.word_rows), Tokens()
    prompt.turn(tokens, "Where is <billie>?", NAMES[:1], vocabulary, joining=[0])
    tokens.add([*said, prompt.end_id])
    prompt.turn(tokens, "And <avril>?", NAMES[:2], vocabulary, joining=[1], first=False)
    model = extended(exact, people[:2])
    assert chosen == greedy(model, exact, prompt, tokens.ids, exact.vocabulary_size + 2, SHORT.max_tokens)


def test_batched_answers_and_scores_equal_single_ones(
    exact: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    requests = [
        Request(prefixes[0], "Where is <billie>?", (people[0],)),
        Request(prefixes[1], "Who is on the left, <avril> or <zoë>?", tuple(people[1:])),
        Request(prefixes[2], QUESTION),
        Request(prefixes[3], "What does <avril> look like?", (people[1],)),
    ]
    together = generate(exact, prompt, requests, SHORT)
    alone = [generate(exact, prompt, [r], SHORT)[0] for r in requests]
    assert [(a.text, a.finish) for a in together] == [(a.text, a.finish) for a in alone]
    assert len({a.text for a in alone}) == 4
    scores = yes_probability(exact, prompt, prefixes[:3], people, batch=4)
    for i in range(3):
        for c, concept in enumerate(people):
            one = compute_prefixes(exact, prompt, [pictures()[i]])
            assert yes_probability(exact, prompt, one, [concept]).item() == pytest.approx(scores[i, c].item(), abs=1e-6)
    assert scores.std() > 0.01


def test_scores_and_choices_equal_the_stock_model_on_whole_sequences(
    exact: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    concept, image = people[0], pictures()[2]
    model = extended(exact, [concept])
    request = Request(prefixes[2], prompt.template.recognize.replace("{name}", "<billie>"), (concept,))
    g = gather(exact, prompt, [request])
    suffix = g.ids[0].tolist()
    with torch.no_grad():
        logits = stock_logits(model, stock_inputs(exact, prompt, image, suffix))[-1]
        expected = logits[[prompt.yes_id, prompt.no_id]].softmax(0)[0].item()
        options, scores = ["<billie> is on the left", "<billie> is in the middle", "Yes, on the right"], []
        for option in options:
            tail = [*prompt.spoken(option, request.names, g.vocabulary), prompt.end_id]
            whole = stock_logits(model, stock_inputs(exact, prompt, image, [*suffix, *tail]))
            chances = whole[-len(tail) - 1 : -1, : exact.vocabulary_size + 1].log_softmax(-1)
            scores.append(chances.gather(1, torch.tensor(tail)[:, None]).sum())
    assert yes_probability(exact, prompt, prefixes[2:3], [concept]).item() == pytest.approx(expected, abs=1e-6)
    ours = choose(exact, prompt, request, options)
    torch.testing.assert_close(ours.double().log(), torch.stack(scores).log_softmax(0), rtol=0, atol=1e-3)


# ---- training


def a_batch(vlm: Personal, images: Sequence[Image.Image], packs: int) -> tuple[Packed, list[Tokens]]:
    """`packs` dialogues of two turns about each picture, one concept each."""
    backbone, count = vlm.backbone, len(images) * packs
    asked = [
        ("Is <a> here?", "Yes.", True),
        ("Where is <a>?", "<a> is on the left.", False),
        ("Who is it?", "No.", True),
    ]
    blank = a_concept("a", 0, backbone.width)
    vocabulary = vocabulary_of([[blank]] * count, backbone.word_rows)
    samples = []
    for i in range(count):
        tokens = Tokens()
        for turn in (0, 1):
            question, answer, verdict = asked[(i + turn) % 3]
            joining = [0] if turn == 0 else []
            vlm.prompt.turn(
                tokens, question, ["a"], vocabulary, joining=joining, first=turn == 0, answer=answer, verdict=verdict
            )
        samples.append(tokens)
    z_ref = vlm.encoder.features(vlm.encoder.pixels([picture(20 + i) for i in range(count)])).clone()
    ids = pad_rows([t.ids for t in samples], vlm.prompt.end_id)
    supervise = pad_rows([t.supervise for t in samples], 0)
    return Packed(backbone.pixels(images), packs, ids, supervise, z_ref[:, None]), samples


def shared_loss(vlm: Personal, aligner: Aligner, packed: Packed) -> Tensor:
    past = image_prefix(vlm.backbone, vlm.prompt, packed.pixels)
    logits = suffix_logits(vlm.backbone, past, packed, rows_of(aligner, packed))
    return answer_loss(logits, packed.ids, packed.supervise, 20.0)


def naive_loss(
    vlm: Personal, aligner: Aligner, packed: Packed, samples: list[Tokens], images: Sequence[Image.Image]
) -> Tensor:
    """Each sample its own whole sequence through the stock model with physically longer tables, each answer by itself."""
    backbone, losses = vlm.backbone, list[Tensor]()
    model = extended(backbone, [a_concept("a", 0, backbone.width)]).requires_grad_(False)
    names = {id(p): n for n, p in model.named_parameters()}
    table, head = (names[id(f().weight)] for f in (model.get_input_embeddings, model.get_output_embeddings))
    for i, tokens in enumerate(samples):
        word, heads, context = (r[0] if r.ndim == 3 else r for r in aligner.tokens_from_features(packed.z_ref[i]))
        tables = {
            table: torch.cat([backbone.word_rows, word, context]),
            head: torch.cat([backbone.head_rows, heads, torch.zeros_like(context)]),
        }
        inputs = stock_inputs(backbone, vlm.prompt, images[i // packed.packs], tokens.ids)
        if hasattr(model.model, "rope_deltas"):
            model.model.rope_deltas = None
        logits = functional_call(model, tables, kwargs=inputs).logits[0, -len(tokens) - 1 : -1]
        surprise = -logits[:, : backbone.vocabulary_size + 1].log_softmax(-1)
        run: list[tuple[float, Tensor]] = []
        for t, (token, mark) in enumerate(zip(tokens.ids, tokens.supervise, strict=True)):
            if mark:
                run.append((20.0 if mark == VERDICT else 1.0, surprise[t, token]))
            if run and token == vlm.prompt.end_id:
                losses.append(sum(a * s for a, s in run) / sum(a for a, _ in run))  # type: ignore[arg-type]
                run = []
    assert len(losses) == 2 * len(samples)
    return torch.stack(losses).mean()


def test_the_gradient_of_shared_prefixes_is_the_naive_gradient(vlm: Personal) -> None:
    images, aligner = pictures()[:2], an_aligner(vlm.backbone, "paper", encoder_width=32).train()
    packed, samples = a_batch(vlm, images, 3)
    before = vlm.backbone.tokens_computed
    shared = shared_loss(vlm, aligner, packed)
    assert vlm.backbone.tokens_computed - before <= packed.ids.numel() + 2 * max(
        p.length for p in compute_prefixes(vlm.backbone, vlm.prompt, images)
    )
    naive = naive_loss(vlm, aligner, packed, samples, images)
    assert shared.item() == pytest.approx(naive.item(), rel=1e-5)
    parameters = list(aligner.parameters())
    ours, theirs = (torch.cat([g.flatten() for g in torch.autograd.grad(x, parameters)]) for x in (shared, naive))
    assert theirs.norm() > 1e-4 and ((ours - theirs).norm() / theirs.norm()).item() <= 3e-5


# ---- the whole way


def test_from_a_folder_to_a_dialogue_to_training(vlm: Personal) -> None:
    billie, avril = vlm.enroll("billie", picture(11)), vlm.enroll("avril", picture(12), picture(13))
    assert billie.tokens.context.shape == (K, vlm.backbone.width)
    wide = pictures()[1]
    asked = vlm.ask(wide, "Where is <billie>?", [billie], SHORT)
    chat = vlm.chat(wide, [billie])
    first = chat.ask("Where is <billie>?", SHORT)
    assert first.text == asked.text and asked.computed_tokens == asked.prompt_tokens
    assert first.computed_tokens < first.prompt_tokens, "the picture was computed for `ask` already"
    chat.add(avril)
    second = chat.ask("Is <avril> next to <billie>?", SHORT)
    assert second.prompt_tokens > first.prompt_tokens
    assert second.computed_tokens < second.prompt_tokens - first.prompt_tokens + first.new_tokens + 2
    assert [t.joined for t in chat.turns] == [("billie",), ("avril",)]
    assert len(vlm.recognize(pictures(), [billie, avril])) == 3

    aligner = vlm.aligner
    frozen = {n: v.clone() for n, v in vlm.backbone.model.state_dict().items()}
    mine = {n: v.clone() for n, v in aligner.state_dict().items()}
    packed, _ = a_batch(vlm, pictures()[:2], 2)
    optimizer, losses = torch.optim.AdamW(aligner.parameters(), lr=1e-3), list[float]()
    for _ in range(2):
        loss = shared_loss(vlm, aligner, packed)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    changed = [n for n, v in aligner.state_dict().items() if not torch.equal(v, mine[n])]
    aligner.load_state_dict(mine)
    assert shared_loss(vlm, aligner, packed).item() == losses[0] > losses[1] and len(changed) == len(mine)
    assert all(torch.equal(v, frozen[n]) for n, v in vlm.backbone.model.state_dict().items())


# ---- pictures of any size


def test_pictures_of_different_sizes_share_a_batch(
    exact: Backbone, prompt: Prompt, prefixes: list[ImagePrefix]
) -> None:
    for image, together in zip(pictures(), prefixes, strict=False):
        alone = compute_prefixes(exact, prompt, [image])[0]
        assert (alone.length, alone.shift, alone.digest) == (together.length, together.shift, together.digest)
        for a, b in zip(alone.past, together.past, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
    one_size = exact.model.config.model_type == "llava"
    assert (len({p.length for p in prefixes[:3]}) == 1) is one_size
    assert (prefixes[0].shift < 0) is (exact.family.axes == 3) and prefixes[3].shift == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 100), (100, 1), (2000, 20), (37, 41), (640, 480)])
def test_pictures_of_any_shape_become_tokens(exact: Backbone, prompt: Prompt, size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (10, 200, 30))
    tokens = exact.image_tokens(exact.pixels([image]))[0]
    assert sum(i == exact.image_id for i in tokens.ids) == len(tokens.rows) > 0
    assert tokens.places.shape == (exact.family.axes, len(tokens.ids)) and tokens.rows.isfinite().all()
    assert compute_prefixes(exact, prompt, [image])[0].length == len(tokens.ids) + sum(map(len, prompt.prefix()))


# ---- refusals


def test_definitions_before_the_picture_work_or_are_refused_with_the_reason(
    exact: Backbone, prompt: Prompt, people: list[Concept]
) -> None:
    words = {"yes": "Yes", "no": "No"} if exact.tokenizer.bos_token == "<s>" else {}
    template = replace(exact.template(), form="definitions-first", user="USER: ", **words)
    other = prompt_of(exact.tokenizer, template)
    if exact.family.axes == 3:
        with pytest.raises(RequestError, match="picture must come before the concepts"):
            compute_prefixes(exact, other, pictures()[:1])
        return
    prefix = compute_prefixes(exact, other, pictures()[:1])[0]
    answer = generate(exact, other, [Request(prefix, "Where is <billie>?", (people[0],))], SHORT)[0]
    assert answer.prompt_tokens > prefix.length + len(prefix.features if prefix.features is not None else ())


def test_a_model_of_no_known_family_is_refused(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be loaded as a vision-language model") as caught:
        load_backbone(folder / "encoder")
    assert all(kind in caught.value.hint for kind in TYPES)
