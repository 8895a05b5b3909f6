"""Training: shared prefixes give the naive gradients, and a stage that was killed ends as if it had not been."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from plvm.model.aligner import Aligner
from plvm.model.backbone import Backbone
from plvm.model.encoder import Encoder
from plvm.prompt.image_first import Prompt
from plvm.prompt.turns import VERDICT, Tokens
from plvm.train.batch import write_sample
from plvm.train.loop import TABLE_FACTOR, StageSettings, run_stage, save_atomically, schedule
from plvm.train.loss import answer_loss
from plvm.train.prepare import prompt_in
from plvm.train.rows import pad_rows
from plvm.train.step import Packed, image_prefix, rows_of, suffix_logits, vocabulary_from
from plvm.train.tasks import Sample, Turn
from plvm_lab.families.mini.parts import build_vlm, image_processor
from toys import RECIPE, K, a_concept, an_aligner, awake, extended, picture

W = 20.0
TURNS = [  # question, answer, verdict
    [("Is <a> in this photo?", "Yes.", True)],
    [("What is <a> doing?", "<a> is reading a book in a park.", False), ("Is <a> here?", "No.", True)],
    [("Where is <a>?", "<a> is on the left.", False)],
    [("Do you see <a>?", "No, <a> is not in this photo.", True), ("Who is it?", "<a> is waving.", False)],
]


@pytest.fixture(scope="module")
def single(tokenizer: Any) -> Backbone:
    """The toy backbone in float32, in which training runs."""
    return Backbone(awake(build_vlm(RECIPE, tokenizer), 1), tokenizer, image_processor(RECIPE.image_size))


def a_batch(
    backbone: Backbone, encoder: Encoder, prompt: Prompt, pictures: int, packs: int, concepts: int
) -> tuple[Packed, list[Tokens]]:
    """`packs` dialogues about each of `pictures` pictures (0: text alone), each with its own `concepts` people."""
    n, names = max(1, pictures) * packs, ["a", "b"][:concepts]
    z_ref = encoder.features(encoder.pixels([picture(40 + i) for i in range(n * concepts)])).clone()
    blank = torch.zeros(n * concepts, backbone.width)
    vocabulary = vocabulary_from(
        (blank, blank, torch.zeros(n * concepts, K, backbone.width)), backbone.vocabulary_size, n
    )
    samples = []
    for i in range(n):
        tokens = Tokens()
        for turn, (question, answer, verdict) in enumerate(TURNS[i % len(TURNS)]):
            text = [t.replace("<a>", f"<{names[(i + turn) % concepts]}>") for t in (question, answer)]
            joining = range(concepts) if turn == 0 else ()
            prompt.turn(
                tokens, text[0], names, vocabulary, joining=joining, first=turn == 0, answer=text[1], verdict=verdict
            )
        samples.append(tokens)
    packed = Packed(
        backbone.pixels([picture(i + 1) for i in range(pictures)]) if pictures else None,
        packs,
        pad_rows([t.ids for t in samples], prompt.end_id),
        pad_rows([t.supervise for t in samples], 0),
        z_ref.unflatten(0, (n, concepts)),
    )
    return packed, samples


def packed_loss(backbone: Backbone, prompt: Prompt, aligner: Aligner, packed: Packed) -> Tensor:
    """The step as the trainer takes it."""
    past = image_prefix(backbone, prompt, packed.pixels)
    return answer_loss(suffix_logits(backbone, past, packed, rows_of(aligner, packed)), packed.ids, packed.supervise, W)


def naive_loss(backbone: Backbone, prompt: Prompt, aligner: Aligner, packed: Packed, samples: list[Tokens]) -> Tensor:
    """Each sample its own whole sequence through the stock model with physically longer tables, each answer by itself."""
    config, (before, after) = backbone.model.config, prompt.prefix()
    placeholders = [config.image_token_id] * config.image_seq_length
    image = placeholders if packed.pixels is not None else []
    start, c = [*before, *image, *after], packed.z_ref.shape[1]
    model = extended(backbone, [a_concept(str(i), i, backbone.width) for i in range(c)]).requires_grad_(False)
    losses = []
    for i, tokens in enumerate(samples):
        rows = aligner.tokens_from_features(packed.z_ref[i])
        context = rows.context.flatten(0, 1)
        tables = {
            n: torch.cat([backbone.head_rows, rows.head, torch.zeros_like(context)])
            if n.startswith("lm_head")
            else torch.cat([backbone.word_rows, rows.word, context])
            for n, _ in model.named_parameters()
            if "embed_tokens" in n or n.startswith("lm_head")
        }
        assert len(tables) == 2
        last = backbone.vocabulary_size + c * (1 + K)  # ids from here on are the picture's, where the suffix holds it
        written = [config.image_token_id if token >= last else token for token in tokens.ids]
        inputs: dict[str, Any] = {"input_ids": torch.tensor([start + written])}
        if packed.pixels is not None or packed.images is not None:
            inputs |= backbone.pixels([picture(i // packed.packs + 1)]).inputs
        logits = functional_call(model, tables, kwargs=inputs).logits[0, len(start) - 1 :]
        surprise = -logits[:, : backbone.vocabulary_size + c].log_softmax(-1)
        total = weights = None
        for t, (token, mark) in enumerate(zip(tokens.ids, tokens.supervise, strict=True)):
            if mark:
                a = W if mark == VERDICT else 1.0
                total, weights = (total or 0) + a * surprise[t, token], (weights or 0) + a
            if total is not None and token == prompt.end_id:
                losses.append(total / weights)
                total = weights = None
    assert len(losses) == sum(t.ids.count(prompt.end_id) for t in samples)
    return torch.stack(losses).mean()


@pytest.mark.parametrize(
    ("pictures", "packs", "concepts"), [(2, 1, 1), (2, 4, 1), (2, 1, 2), (2, 4, 2), (0, 4, 2)],
    ids=["M=1 C=1", "M=4 C=1", "M=1 C=2", "M=4 C=2", "no picture"],
)  # fmt: skip
@pytest.mark.parametrize("architecture", ["paper", "anchored"])
def test_packed_suffixes_on_shared_prefixes_have_the_naive_loss_and_gradients(
    single: Backbone, encoder: Encoder, prompt: Prompt, architecture: str, pictures: int, packs: int, concepts: int
) -> None:
    aligner = an_aligner(single, architecture).train()
    packed, samples = a_batch(single, encoder, prompt, pictures, packs, concepts)
    shared = packed_loss(single, prompt, aligner, packed)
    naive = naive_loss(single, prompt, aligner, packed, samples)
    assert shared.item() == pytest.approx(naive.item(), rel=1e-5)
    parameters = list(aligner.parameters())
    ours, theirs = (torch.cat([g.flatten() for g in torch.autograd.grad(x, parameters)]) for x in (shared, naive))
    assert theirs.norm() > 1e-3
    assert ((ours - theirs).norm() / theirs.norm()).item() <= 1e-5


def test_with_definitions_first_each_question_has_its_own_picture_and_the_naive_loss_and_gradients(
    single: Backbone, encoder: Encoder, prompt: Prompt
) -> None:
    released = prompt_in("definitions-first", prompt, single)
    assert released.definitions_first and prompt_in("image-first", prompt, single) is prompt
    aligner = an_aligner(single).train()
    shared, samples = a_batch(single, encoder, prompt, 2, 2, 1)
    with torch.no_grad():
        own = [single.features(t) for t in single.image_tokens(single.pixels([picture(1), picture(2)]))]
    images = torch.stack(own).repeat_interleave(2, 0)
    turns = [[(q.replace("<a>", "<n0>"), a.replace("<a>", "<n0>"), v) for q, a, v in TURNS[i]] for i in range(4)]
    talks = [Sample(("p",), tuple(Turn(q, a, True if v else None) for q, a, v in t), (0,)) for t in turns]
    samples = [write_sample(released, s, single.vocabulary_size, K, images.shape[1]) for s in talks]
    ids, marks = pad_rows([t.ids for t in samples], released.end_id), pad_rows([t.supervise for t in samples], 0)
    packed = Packed(None, 2, ids, marks, shared.z_ref, images=images)
    ours, theirs = (
        packed_loss(single, released, aligner, packed),
        naive_loss(single, released, aligner, packed, samples),
    )
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    parameters = list(aligner.parameters())
    a, b = (torch.cat([g.flatten() for g in torch.autograd.grad(x, parameters)]) for x in (ours, theirs))
    assert ((a - b).norm() / b.norm()).item() <= 1e-5


def test_only_the_aligner_gets_gradients_and_all_of_it_does(single: Backbone, encoder: Encoder, prompt: Prompt) -> None:
    aligner = an_aligner(single).train()
    packed, _ = a_batch(single, encoder, prompt, 1, 4, 2)
    packed_loss(single, prompt, aligner, packed).backward()
    assert not [n for n, p in aligner.named_parameters() if p.grad is None or not p.grad.any()]
    assert not [n for m in (single.model, encoder.model) for n, p in m.named_parameters() if p.grad is not None]
    assert not any(p.requires_grad for m in (single.model, encoder.model) for p in m.parameters())


def test_a_picture_goes_through_the_model_once_however_many_suffixes_ask_about_it(
    single: Backbone, encoder: Encoder, prompt: Prompt
) -> None:
    packed, _ = a_batch(single, encoder, prompt, 2, 4, 1)
    before = single.tokens_computed
    past = image_prefix(single, prompt, packed.pixels)
    length = sum(map(len, prompt.prefix())) + single.model.config.image_seq_length
    assert single.tokens_computed - before == 2 * length
    assert not any(k.requires_grad or v.requires_grad for k, v in past.past)
    suffix_logits(single, past, packed, rows_of(an_aligner(single), packed))
    assert single.tokens_computed - before == 2 * length + packed.ids.numel()


# ---- the loop


class Tiny(nn.Module):
    """A table, a matrix, a vector, and dropout: something that depends on every source of randomness."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(7, 4)
        self.linear = nn.Linear(4, 3)
        self.layers = nn.ModuleList([nn.Linear(3, 3)])
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.frozen * self.linear(nn.functional.dropout(self.table(ids), 0.3))
        return self.layers[0](x)


class Killed(Exception):
    """What happens to a training that is killed."""


Losses = Callable[[int, random.Random], Mapping[str, Tensor]]


def losses_of(tiny: Tiny, seen: list[int], kill_at: int | None = None) -> Losses:
    def losses(step: int, rng: random.Random) -> Mapping[str, Tensor]:
        if step == kill_at:
            raise Killed
        seen.append(step)
        ids = torch.tensor([rng.randrange(7) for _ in range(5)])
        loss = (tiny(ids) - torch.randn(5, 3)).square().mean()
        return {"total": loss, "sometimes": loss if step % 2 else loss * float("nan")}

    return losses


def train(folder: Path, tiny: Tiny, losses: Losses, **changes: Any) -> list[tuple[str, int, int]]:
    """Twelve steps; returns what was reported."""
    told: list[tuple[str, int, int]] = []
    settings: dict[str, Any] = {"steps": 12, "lr": 1e-2, "seed": 3, "save_every": 0.0, "warmup": 4} | changes
    run_stage(
        "tiny", {"tiny": tiny}, losses, StageSettings(**settings), folder=folder, report=lambda n, s, t, _: told.append((n, s, t))
    )
    return told


def values(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def assert_bit_equal(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert not [k for k in a if not torch.equal(a[k], b[k])]


@pytest.mark.parametrize("kill_at", [1, 5, 11])
def test_a_stage_that_was_killed_and_resumed_ends_bit_equal_to_one_that_was_not(tmp_path: Path, kill_at: int) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    whole, seen = Tiny(), list[int]()
    train(tmp_path / "whole", whole, losses_of(whole, seen))
    assert seen == list(range(12))

    cut = Tiny()
    with pytest.raises(Killed):
        train(tmp_path / "cut", cut, losses_of(cut, [], kill_at))
    torch.manual_seed(99)
    resumed, seen = Tiny(), list[int]()
    with torch.no_grad():
        resumed.linear.weight.zero_()  # a new process knows nothing of the old one's parts
    train(tmp_path / "cut", resumed, losses_of(resumed, seen))
    assert seen == list(range(kill_at, 12))
    assert_bit_equal(values(resumed), values(whole))
    assert not torch.equal(whole.linear.weight, Tiny().linear.weight), "something must have been learned"


def test_another_seed_trains_otherwise(tmp_path: Path) -> None:
    results = []
    for seed in (3, 4):
        (tmp_path / str(seed)).mkdir()
        tiny = Tiny()
        train(tmp_path / str(seed), tiny, losses_of(tiny, []), seed=seed)
        results.append(tiny.linear.weight)
    assert not torch.equal(*results)


def test_a_finished_stage_only_loads_its_parts(tmp_path: Path) -> None:
    first = Tiny()
    assert train(tmp_path, first, losses_of(first, []))[-1] == ("tiny", 12, 12)
    files = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.iterdir()}
    again, seen = Tiny(), list[int]()
    assert train(tmp_path, again, losses_of(again, seen)) == []
    assert seen == []
    assert_bit_equal(values(again), values(first))
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.iterdir()} == files


def test_what_wants_no_gradient_stays(tmp_path: Path) -> None:
    tiny = Tiny()
    train(tmp_path, tiny, losses_of(tiny, []))
    assert torch.equal(tiny.frozen, torch.ones(3)) and tiny.frozen.grad is None


def test_a_reader_of_the_checkpoint_sees_the_old_one_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stage.pt"
    save_atomically({"step": 1}, path)
    half = torch.save

    def dies_halfway(value: object, where: Any) -> None:
        half(value, where)
        raw = Path(where).read_bytes()
        Path(where).write_bytes(raw[: len(raw) // 2])
        raise OSError("the disk is full")

    monkeypatch.setattr(torch, "save", dies_halfway)
    with pytest.raises(OSError, match="full"):
        save_atomically({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    monkeypatch.undo()
    save_atomically({"step": 3}, path)
    assert torch.load(path, weights_only=True) == {"step": 3}
    assert [p.name for p in tmp_path.iterdir()] == ["stage.pt"]


def test_a_stage_leaves_its_checkpoint_and_its_log_and_nothing_else(tmp_path: Path) -> None:
    tiny = Tiny()
    train(tmp_path, tiny, losses_of(tiny, []))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny.jsonl", "tiny.pt"]
    state = torch.load(tmp_path / "tiny.pt", weights_only=True)
    assert state["step"] == 12
    assert_bit_equal(state["parts"]["tiny"], values(tiny))
    (line,) = map(json.loads, (tmp_path / "tiny.jsonl").read_text().splitlines())
    assert line["step"] == 12
    assert line["sometimes"] == line["sometimes"], "what is not a number does not enter a mean"


def test_embedding_tables_take_longer_steps_than_matrices(tmp_path: Path) -> None:
    """The first step of Adam is as long as its learning rate, whatever the gradient."""
    tiny = Tiny()
    before = values(tiny)

    def losses(step: int, rng: random.Random) -> Mapping[str, Tensor]:
        return {"total": sum(p.sum() for p in tiny.parameters() if p.requires_grad)}  # type: ignore[dict-item]

    train(tmp_path, tiny, losses, steps=1, lr=1e-3)
    moved = {k: (before[k] - v) for k, v in values(tiny).items()}
    assert TABLE_FACTOR > 1
    torch.testing.assert_close(moved["table.weight"], torch.full((7, 4), TABLE_FACTOR * 1e-3), rtol=1e-3, atol=0)
    decayed = 1e-3 + 1e-3 * 0.02 * before["linear.weight"]
    torch.testing.assert_close(moved["linear.weight"], decayed, rtol=1e-3, atol=0)
    torch.testing.assert_close(moved["linear.bias"], torch.full((3,), 1e-3), rtol=1e-3, atol=0)


def test_matrices_of_the_blocks_take_orthogonal_steps_of_adams_size(tmp_path: Path) -> None:
    """Muon: every direction of a matrix moves equally far, here 0.2 x the learning rate x the root of its longer side."""
    tiny = Tiny()
    before = values(tiny)["layers.0.weight"]
    train(tmp_path, tiny, losses_of(tiny, []), steps=1, lr=1e-3)
    moved = before * (1 - 1e-3 * 0.02) - values(tiny)["layers.0.weight"]
    lengths = torch.linalg.svdvals(moved) / (1e-3 * 0.2 * 3**0.5)
    assert lengths.min() > 0.6 and lengths.max() < 1.3


def test_the_schedule_rises_to_its_peak_and_falls_to_its_floor() -> None:
    shape = [schedule(step, 100, 10, 0.1) for step in range(100)]
    assert shape[0] == pytest.approx(0.1) and max(shape) == shape[9] == 1.0
    assert shape[:10] == sorted(shape[:10]) and shape[10:] == sorted(shape[10:], reverse=True)
    assert 0.1 <= shape[-1] < 0.102
