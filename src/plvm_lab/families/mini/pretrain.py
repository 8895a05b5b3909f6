"""Pretraining of the mini language model, without personalisation: people are named by a description in words.

Names are codes: for every person of every sample a fresh random code r gives the name's word row and head row. The model so
learns to read, copy and choose among names it has never seen, which is what an Aligner's rows will be to it. In half of the
samples the description's tokens carry a share of their owner's word row (a tag), which shows early what belongs to whom;
in the other half they are plain text.

The forward pass is the product's own: prefix once per picture, then packed suffixes on repeated keys and values - here with
gradients through the prefix.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.llama.modeling_llama import rotate_half

from plvm.model.backbone import Backbone, KeyValues, repeat
from plvm.model.heads import BoundedRow
from plvm.prompt.image_first import Prompt
from plvm.prompt.turns import ANSWER, VERDICT, Tokens
from plvm.prompt.vocabulary import ConceptVocabulary
from plvm.runtime import mixed_precision
from plvm.train.rows import pad_rows, write_turns
from plvm_lab.families.mini.parts import LOOK_LAYER, SHOWN_HEADS
from plvm_lab.families.mini.recipe import Recipe
from plvm_lab.families.mini.world import patch_figures
from plvm_lab.portraits.dialogues import Dialogue, DialogueMix, Named, draw_dialogue
from plvm_lab.portraits.person import PHRASES, SLOTS, Person
from plvm_lab.portraits.phrases import describe
from plvm_lab.portraits.question_kind import kinds_in
from plvm_lab.portraits.scene import CANVAS, Figure, Scene
from plvm_lab.portraits.sentences import UNKNOWN

CONCEPTS = {1: 0.4, 2: 0.33, 3: 0.27}  # how many people a dialogue names, and how often
Show = Callable[[Sequence[Person], random.Random], Tensor]
REST = 0.05  # how much it costs a picture's patches to change on their way up
COLUMNS = 10  # how finely the helpers say where somebody is


class NameRows(nn.Module):
    """Random codes [..., R] -> rows of names: word [..., D] and head [..., D]. Kept as the Aligner's starting point."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.code = recipe.code
        self.word = BoundedRow(recipe.code, recipe.width, 1.0)
        self.head = BoundedRow(recipe.code, recipe.width, 0.2)

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        return self.word(code), self.head(code)


class AuxiliaryHeads(nn.Module):
    """Temporary read-outs that show the middle layers what to compute; dropped after pretraining.

    Read-outs: after the second layer a description's token knows whose it is (owner), after the third in which columns
    of the picture somebody has its trait (has), after the fourth its full stop in which columns somebody fits it all
    (fits). Attention of two heads a layer, without parameters of its own: from a trait's word to those who have it
    (look), from a full stop to the traits before it (gather), from an answer to the trait or the full stop that it is
    about (point) and to the person in the picture (gaze).
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.layers = (1, recipe.layers - 4, recipe.layers - 3)
        self.owner = nn.Linear(recipe.width, recipe.code)
        self.has = nn.Linear(recipe.width, COLUMNS)
        self.fits = nn.Linear(recipe.width, COLUMNS)


@dataclass
class Batch:
    """Packed suffixes as tensors [N, T], N = images x packs, right-padded.

    owner: which concept a token describes (-1: none). has [N, T, COLUMNS] where `has_mask`: the columns in which somebody has the
    trait that the token names; look bool[M, P]: the patches of those people, for the M tokens of `has_mask` in order. fits where
    `fits_mask` (a definition's full stop): the column of the person it describes. point, gaze: where
    each token should attend to, in the text and in the picture.
    """

    ids: Tensor
    supervise: Tensor
    owner: Tensor
    has: Tensor
    has_mask: Tensor
    look: Tensor
    look_head: Tensor
    fits: Tensor
    fits_mask: Tensor
    point: AttentionTargets
    gaze: AttentionTargets


def _columns(scene: Scene | None, keep: Any) -> list[float]:
    target = [0.0] * COLUMNS
    if scene is not None:
        for f in scene.figures:
            if keep(f):
                target[min(COLUMNS - 1, max(0, int(f.x / CANVAS * COLUMNS)))] = 1.0
    return target


class DialogueWriter:
    """Writes dialogues with people described in words as packed suffixes."""

    def __init__(self, prompt: Prompt, side: int) -> None:
        self.prompt = prompt
        self.side = side

    def vocabulary(self, base: int, concepts: int, batch: int, width: int) -> ConceptVocabulary:
        """Empty rows for `concepts` names, over a vocabulary of `base` tokens."""
        zeros = torch.zeros(batch, concepts, width)
        return ConceptVocabulary(
            base, zeros, zeros, torch.zeros(batch, concepts, 0, width), torch.ones(batch, concepts, dtype=torch.bool)
        )

    def write(self, dialogue: Dialogue, vocabulary: ConceptVocabulary, rng: random.Random) -> Tokens:
        """The dialogue's suffix: definitions where names join (by context tokens where `vocabulary` has some, else in words),
        questions, supervised answers."""
        if vocabulary.context_tokens:
            return write_dialogue(self.prompt, dialogue, vocabulary)
        joiner = rng.choice((" ", " ", ", "))
        return write_dialogue(
            self.prompt, dialogue, vocabulary, lambda named: describe(named.person, named.slots).replace(", ", joiner)
        )

    def batch(
        self, scenes: list[Scene | None], dialogues: list[Dialogue], vocabulary: ConceptVocabulary, rng: random.Random
    ) -> Batch:
        """One row per dialogue; scenes[i] belongs to dialogues[i]."""
        rows = [self.write(d, vocabulary, rng) for d in dialogues]
        length = max(map(len, rows))
        has = torch.zeros(len(rows), length, COLUMNS)
        has_mask = torch.zeros(len(rows), length, dtype=torch.bool)
        fits, fits_mask = torch.zeros_like(has), torch.zeros_like(has_mask)
        look: list[Tensor] = []
        slots = {self.prompt.text(" " + p)[0]: (s, v) for s in SLOTS for v, p in PHRASES[s].items()}
        heads, look_head = {token: i % SHOWN_HEADS for i, token in enumerate(slots)}, list[int]()
        stop = self.prompt.text(".")[0]
        point, gaze = self._guides(rows, dialogues, slots, stop, length)
        for r, (tokens, dialogue, scene) in enumerate(zip(rows, dialogues, scenes, strict=True)):
            if scene is None:
                continue
            for t, (token, owner) in enumerate(zip(tokens.ids, tokens.owner, strict=True)):
                if owner < 0:
                    continue
                if token in slots:
                    slot, value = slots[token]
                    has[r, t] = torch.tensor(_columns(scene, lambda f, slot=slot, value=value: f.person[slot] == value))
                    has_mask[r, t] = True
                    look_head.append(heads[token])
                    look.append(_patches_with(scene, slot, value, self.side))
                elif token == stop:
                    named = dialogue.named[owner]
                    fits[r, t] = torch.tensor(_columns(scene, lambda f, named=named: f == named.figure))
                    fits_mask[r, t] = True
        return Batch(
            pad_rows([t.ids for t in rows], self.prompt.end_id),
            pad_rows([t.supervise for t in rows], 0),
            pad_rows([t.owner for t in rows], -1),
            has,
            has_mask,
            torch.stack(look) if look else torch.zeros(0, self.side**2, dtype=torch.bool),
            torch.tensor(look_head, dtype=torch.int64),
            fits,
            fits_mask,
            point,
            gaze,
        )

    def _guides(
        self, rows: list[Tokens], dialogues: list[Dialogue], slots: dict[int, tuple[str, str]], stop: int, length: int
    ) -> tuple[AttentionTargets, AttentionTargets]:
        """Where the last two layers should attend from: `point` into the suffix, `gaze` into the picture."""
        cue = self.prompt.text(self.prompt.template.assistant)[-1]
        point, gaze = AttentionTargets(length), AttentionTargets(self.side**2)
        for r, (tokens, dialogue) in enumerate(zip(rows, dialogues, strict=True)):
            places = {
                (o, slots[i][0] if i in slots else "."): t
                for t, (i, o) in enumerate(zip(tokens.ids, tokens.owner, strict=True))
                if o >= 0 and (i in slots or i == stop)
            }
            ends = [t for t, i in enumerate(tokens.ids) if i == cue]
            for t, q in zip(ends, dialogue.questions, strict=True):
                after = itertools.takewhile(lambda i: tokens.supervise[i] > 0, range(t + 1, len(tokens)))  # noqa: B023
                answer = list(after)
                said = {int(n) for n in re.findall(r"<n(\d)>", q.answer)}
                asked = {int(n[1:]) for n in q.about}
                phrase = next((i for i in answer if tokens.ids[i] in slots), None)
                if phrase is not None and (q.kind in SLOTS or q.kind in ("has", "who_has")):
                    slot = slots[tokens.ids[phrase]][0]
                    wanted = [places.get((o, slot)) for o in said]
                    point.add(r, [t, phrase - 1] if q.kind == "who_has" else [phrase - 1], wanted)
                elif q.kind in ("recognize", "both"):
                    point.add(r, [t], [places.get((o, ".")) for o in asked])
                elif q.kind.startswith("who"):
                    point.add(r, [t], [places.get((o, ".")) for o in said])
                elif q.kind in kinds_in("named"):
                    (o,) = asked
                    point.add(r, [t, *answer[:-2]], [places.get((o, "."))])
                    figure = dialogue.named[o].figure
                    if figure is not None and dialogue.scene is not None and q.kind in GAZES:
                        gaze.add(r, answer[:-2], GAZES[q.kind](dialogue.scene, figure, self.side))
        return point, gaze


class AttentionTargets:
    """Rows of attention targets: (row, position) of a token, and which of `width` places it should attend to."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.where: list[tuple[int, int]] = []
        self.target: list[Tensor] = []

    def add(self, row: int, positions: Sequence[int], wanted: Sequence[int | None]) -> None:
        """From each of `positions` attend to the places `wanted`; nothing where one of them is unknown."""
        places = [w for w in wanted if w is not None]
        if places and len(places) == len(wanted):
            self.where += [(row, p) for p in positions]
            self.target += [torch.isin(torch.arange(self.width), torch.tensor(places))] * len(positions)

    def tensors(self) -> tuple[Tensor, Tensor]:
        """int64[M, 2] and bool[M, width]."""
        if not self.where:
            return torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0, self.width, dtype=torch.bool)
        return torch.tensor(self.where), torch.stack(self.target)


@lru_cache(maxsize=20_000)
def _patches_of(scene: Scene, figure: Figure, side: int, part: int) -> list[int]:
    """The patches of a figure's head (part 0) or body (part 1)."""
    grid = patch_figures(scene, side)[part]
    return [int(p) for p in (grid == scene.figures.index(figure)).nonzero()[0]]


GAZES: dict[str, Callable[[Scene, Figure, int], list[int]]] = {
    "wearing": lambda s, f, n: _patches_of(s, f, n, 1),
    "doing": lambda s, f, n: _patches_of(s, f, n, 1),
    "hat": lambda s, f, n: _patches_of(s, f, n, 0),
    "glasses": lambda s, f, n: _patches_of(s, f, n, 0),
    "expression": lambda s, f, n: _patches_of(s, f, n, 0),
}


def _missed(weights: Tensor, target: Tensor) -> Tensor:
    """Mean -log of the mass that weights [M, heads, X] put on target bool[M, X]; 0 where there is nothing to look at."""
    if not len(target):
        return weights.new_zeros(())
    return -(weights * target.unsqueeze(1)).sum(-1).clamp(min=1e-6).log().mean()


@lru_cache(maxsize=20_000)
def _patches_with(scene: Scene, slot: str, value: str, side: int) -> Tensor:
    """bool[P]: patches that show the head of somebody with this trait."""
    head = torch.as_tensor(patch_figures(scene, side)[0].astype("int64"))
    owners = [i for i, f in enumerate(scene.figures) if f.person[slot] == value]
    return torch.isin(head, torch.tensor(owners, dtype=torch.int64))


class Pretrainer(nn.Module):
    """The loss of one packed batch. `images` [B, P, D] are word pictures or projected features; None: text alone."""

    def __init__(self, recipe: Recipe, backbone: Backbone) -> None:
        super().__init__()
        self.recipe = recipe
        self.backbone = backbone
        self.prompt = Prompt(backbone.tokenizer)
        self.writer = DialogueWriter(self.prompt, recipe.image_size // recipe.patch)
        self.names = NameRows(recipe)
        self.helpers = AuxiliaryHeads(recipe)
        self._seen: dict[int, Tensor] = {}
        for i in range(recipe.layers):
            layer = backbone.model.model.language_model.layers[i]
            layer.register_forward_hook(lambda _m, _a, out, i=i: self._seen.__setitem__(i, out))
        self.unknown_id = self.prompt.text(" " + UNKNOWN[0].upper() + UNKNOWN[1:])[0]

    def prefix_embeddings(self, images: Tensor | None, batch: int) -> Tensor:
        """Embeddings [B, T0, D] of everything up to and including the image."""
        before, after = self.prompt.prefix()
        table = self.backbone.word_rows
        parts = [table[list(before)].expand(batch, -1, -1), table[list(after)].expand(batch, -1, -1)]
        if images is not None:
            parts.insert(1, images)
        return torch.cat(parts, 1)

    def forward(
        self,
        scenes: list[Scene | None],
        images: Tensor | None,
        packs: int,
        mix: DialogueMix,
        rng: random.Random,
        counts: Mapping[int, float] = CONCEPTS,
        *,
        show: Show | None = None,
        read_outs: bool = True,
    ) -> dict[str, Tensor]:
        """The losses of `packs` dialogues about each of `scenes` (None: text alone), of which "total" is to be minimised.

        `counts` weighs how many people are named. `show` gives the tokens [N, P, D] of a picture of each person of N: people are
        then introduced by a picture in place of words. Without `read_outs` the helpers' own losses are left out.
        """
        concepts = rng.choices(*zip(*counts.items(), strict=True))[0]
        rows = [s for s in scenes for _ in range(packs)]
        dialogues = [draw_dialogue(s, concepts, mix, rng) for s in rows]
        width, base = self.backbone.width, self.backbone.vocabulary_size
        blank = self.writer.vocabulary(base, concepts, len(rows), width)
        if show is not None:
            shown = show([n.person for d in dialogues for n in d.named], rng)
            blank = replace(blank, context=shown.unflatten(0, (len(rows), concepts)).float())
        batch = self.writer.batch(rows, dialogues, blank, rng)
        codes = torch.randn(len(rows), concepts, self.recipe.code)
        word, head = self.names(codes)
        vocabulary = replace(blank, word=word, head=head)
        embeddings = vocabulary.embed(batch.ids, self.backbone.word_rows)
        tag = 0.5 * torch.rand(len(rows), 1, 1) * (torch.rand(len(rows), 1, 1) < 0.6)
        if concepts:
            owned = batch.owner.clamp(min=0).unsqueeze(-1).expand(-1, -1, width)
            tags = word.gather(1, owned) * (batch.owner >= 0).unsqueeze(-1)
            embeddings = embeddings + tag * tags
        with mixed_precision():
            prefix = self.prefix_embeddings(images, len(scenes))
            _, past = self.backbone.hidden(prefix, keep=True)
            assert past is not None
            rest = self._rest_loss(prefix, images)
            hidden, _ = self.backbone.hidden(embeddings, repeat(past, packs))
        logits = vocabulary.logits(hidden, self.backbone.head_rows)
        losses = {"answer": self._answer_loss(logits, batch), "rest": REST * rest}
        losses |= self._guide_losses(batch, past, packs)
        if read_outs:
            losses |= self._read_out_losses(batch, codes)
        losses["total"] = sum(losses.values())  # type: ignore[assignment]
        losses |= self._hits(logits, batch)
        return losses

    def _answer_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        target, kind = batch.ids[:, 1:], batch.supervise[:, 1:]
        chosen = kind > 0
        weight = torch.ones_like(target, dtype=torch.float)
        weight[kind == VERDICT] = 4.0
        weight[(kind == ANSWER) & ((target >= self.backbone.vocabulary_size) | (target == self.unknown_id))] = 2.0
        loss = F.cross_entropy(logits[:, :-1][chosen], target[chosen], reduction="none")
        return (loss * weight[chosen]).sum() / weight[chosen].sum()

    def _rest_loss(self, prefix: Tensor, images: Tensor | None) -> Tensor:
        """Mean squared change of the patches from layer to layer's output, against their size at the input.

        Left alone they grow fivefold, and what one word among seventeen says is lost before the last layer reads it.
        """
        if images is None:
            return prefix.new_zeros(())
        first = len(self.prompt.prefix()[0])
        place, size = slice(first, first + images.shape[1]), images.float().square().sum(-1)
        moved = [
            (h[:, place] - images).float().square().sum(-1) for i, h in self._seen.items() if i < self.recipe.layers - 1
        ]
        return (torch.stack(moved) / size).mean()

    def _read_out_losses(self, batch: Batch, codes: Tensor) -> dict[str, Tensor]:
        owner_at, has_at, fits_at = (self._seen[i] for i in self.helpers.layers)
        mine = batch.owner >= 0
        wanted = codes.gather(1, batch.owner.clamp(min=0).unsqueeze(-1).expand(-1, -1, codes.shape[-1]))[mine]
        guess = self.helpers.owner(owner_at[mine])
        losses = {"owner": 0.5 * (1 - F.cosine_similarity(guess, wanted, dim=-1)).mean()}
        if batch.has_mask.any():
            m, f = batch.has_mask, batch.fits_mask
            losses["has"] = 3 * F.binary_cross_entropy_with_logits(self.helpers.has(has_at[m]), batch.has[m])
            losses["fits"] = 2 * F.binary_cross_entropy_with_logits(self.helpers.fits(fits_at[f]), batch.fits[f])
        return losses

    def _attention(self, index: int, where: Tensor, past: KeyValues, packs: int) -> Tensor:
        """Attention weights [M, SHOWN_HEADS, prefix + T] of layer `index` from the suffix tokens `where[m]` = (row, position)."""
        language = self.backbone.model.model.language_model
        layer, keys, (rows, columns) = language.layers[index], past[index][0][:, :SHOWN_HEADS], where.T
        attention, seen = layer.self_attn, layer.input_layernorm(self._seen[index - 1])
        start, length = keys.shape[2], seen.shape[1]
        cos, sin = language.rotary_emb(seen, start + torch.arange(length).unsqueeze(0))

        def turned(projection: nn.Linear) -> Tensor:
            x = F.linear(seen, projection.weight[: SHOWN_HEADS * attention.head_dim])
            x = x.unflatten(-1, (SHOWN_HEADS, -1)).transpose(1, 2)
            return x * cos.unsqueeze(1) + rotate_half(x) * sin.unsqueeze(1)

        q, own = turned(attention.q_proj), turned(attention.k_proj)
        packed = q.unflatten(0, (-1, packs)).transpose(1, 2).flatten(2, 3)  # the packs of a picture share its prefix
        before = (packed @ keys.to(q.dtype).mT).unflatten(2, (packs, -1)).transpose(1, 2).flatten(0, 1)
        here = (q @ own.mT).masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), -1e9)
        return torch.cat([before, here], -1)[rows, :, columns].mul(attention.scaling).softmax(-1)

    def _look_loss(self, batch: Batch, past: KeyValues, packs: int) -> Tensor:
        """-log of the attention mass from a trait's word onto the patches of those who have it, or, where nobody has it,
        past all patches."""
        weights = self._attention(LOOK_LAYER, torch.nonzero(batch.has_mask), past, packs)
        weights = weights[torch.arange(len(weights)), batch.look_head]
        first = len(self.prompt.prefix()[0])
        seen = weights[:, first : first + batch.look.shape[1]]
        mass = torch.where(batch.look.any(1), (seen * batch.look).sum(1), 1 - seen.sum(1))
        return -mass.clamp(min=1e-6).log().mean()

    def _guide_losses(self, batch: Batch, past: KeyValues, packs: int) -> dict[str, Tensor]:
        """-log of the attention mass where `look`, `point` and `gaze` say that it should be."""
        start, first = past[0][0].shape[2], len(self.prompt.prefix()[0])
        last = self.recipe.layers - 1
        (where, target), (seen_from, seen) = batch.point.tensors(), batch.gaze.tensors()
        pointed = self._attention(last - 1, where, past, packs)[..., start:]
        losses = {"point": 0.3 * _missed(pointed, target)}
        if batch.has_mask.any():
            losses["look"] = 0.5 * self._look_loss(batch, past, packs)
            stops = torch.nonzero(batch.fits_mask)
            own = batch.has_mask[stops[:, 0]] & (
                batch.owner[stops[:, 0]] == batch.owner[stops[:, 0], stops[:, 1], None]
            )
            gathered = self._attention(last - 2, stops, past, packs)[..., start:]
            losses["gather"] = 0.3 * _missed(gathered, own)
        if len(seen):
            gazed = self._attention(last, seen_from, past, packs)[..., first : first + seen.shape[1]]
            losses["gaze"] = 0.3 * _missed(gazed, seen)
        return losses

    @torch.no_grad()
    def _hits(self, logits: Tensor, batch: Batch) -> dict[str, Tensor]:
        target, kind = batch.ids[:, 1:], batch.supervise[:, 1:]
        right = logits[:, :-1].argmax(-1) == target
        named = (kind == ANSWER) & (torch.cat([kind.new_zeros(len(kind), 1), kind[:, :-1]], 1) == 0)
        return {
            "yes_no": right[kind == VERDICT].float().mean(),
            "first": right[named].float().mean(),
            "tokens": right[kind > 0].float().mean(),
        }


def write_dialogue(
    prompt: Prompt, dialogue: Dialogue, vocabulary: ConceptVocabulary, words: Callable[[Named], str] | None = None
) -> Tokens:
    """A drawn dialogue's suffix. `words` describes people in words; without it their context tokens stand there."""
    turns = [(q.text, q.answer, q.verdict) for q in dialogue.questions]
    said = [words(named) for named in dialogue.named] if words is not None else ()
    return write_turns(prompt, dialogue.names, [n.joins for n in dialogue.named], turns, vocabulary, said)
