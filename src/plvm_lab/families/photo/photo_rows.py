"""Scenes and questions about them, scored by the product's own code: its prompt, its rows of faces and people, its engine's
layout. Everything of a scene but its questions goes through the model once."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from plvm.engine.layout import lay_out
from plvm.model.backbone import Backbone, repeat
from plvm.prompt.image_first import Prompt
from plvm.prompt.turns import IGNORED, Tokens
from plvm.prompt.vocabulary import ConceptVocabulary
from plvm.train.rows import pad_rows
from plvm_lab.families.photo.photo_dialogues import MOST_PEOPLE, Scene

Turn = tuple[str, str]  # a question and its answer, in which {0}, {1}, ... are the concepts introduced
_NAMES = [f"p{i}" for i in range(MOST_PEOPLE)]


def scores_of(
    backbone: Backbone, prompt: Prompt, scenes: Sequence[Scene], turns: Sequence[Sequence[Turn]]
) -> tuple[Tensor, Tensor]:
    """Scores `[N, V + C]` of every word of every answer, and a table int64[N, 4] of those words: the one that is right, whose
    question it is, how far into the answer, and where the token stands that says it. A scene has as many turns as the others."""
    people = _people(backbone, scenes)
    starts = [_start(backbone, prompt, scene, people, row) for row, scene in enumerate(scenes)]
    lengths, times = [len(start) for start in starts], len(turns[0])
    _, past = backbone.hidden(pad_sequence(starts, batch_first=True), keep=True)
    assert past is not None
    written = [_turn(prompt, turn, people) for own in turns for turn in own]
    ids = pad_rows([t.ids for t in written], prompt.end_id)
    each = [n for n in lengths for _ in range(times)]
    layout = lay_out(each, each, ids.shape[1], ids.device, [len(t) for t in written])
    rows = torch.arange(len(scenes)).repeat_interleave(times)
    embeddings = people.select(rows).embed(ids, backbone.word_rows)
    hidden, _ = backbone.hidden(embeddings, repeat(past, times), layout.positions, layout.mask)
    asked = [(number, at, t.ids[at]) for number, t in enumerate(written) for at, kind in enumerate(t.supervise) if kind]
    begins = [next(at for at, kind in enumerate(t.supervise) if kind != IGNORED) for t in written]
    number, at, word = (torch.tensor(column) for column in zip(*asked, strict=True))
    state = hidden[number, at - 1].unsqueeze(1)
    scores = people.select(rows[number]).logits(state, backbone.head_rows)[:, 0].float()
    return scores, torch.stack([word, number, at - torch.tensor(begins)[number], at - 1], 1)


def _people(backbone: Backbone, scenes: Sequence[Scene]) -> ConceptVocabulary:
    """The concepts of each scene, with one context token each."""
    codes = torch.zeros(len(scenes), MOST_PEOPLE, scenes[0].concepts.shape[1])
    present = torch.zeros(codes.shape[:2], dtype=torch.bool)
    for row, scene in enumerate(scenes):
        codes[row, : len(scene.concepts)], present[row, : len(scene.concepts)] = torch.from_numpy(scene.concepts), True
    word, head, context = backbone.model.decoder.rows.concepts(codes)
    return ConceptVocabulary(backbone.vocabulary_size, word, head, context.unsqueeze(2), present)


def _start(backbone: Backbone, prompt: Prompt, scene: Scene, people: ConceptVocabulary, row: int) -> Tensor:
    """The embeddings `[T, D]` of a scene's picture and definitions."""
    faces, windows, columns = (torch.from_numpy(np.ascontiguousarray(x)) for x in (scene.faces, scene.windows, scene.columns))
    image = backbone.family.tokens_of(faces, len(faces), windows, columns)  # type: ignore[attr-defined]
    before, after = prompt.prefix()
    picture = backbone.embed(torch.tensor([[*before, *image.ids, *after]]), [image])[0]
    tokens = Tokens()
    for person in range(len(scene.concepts)):
        prompt.define(tokens, person, people)
    if not len(tokens):
        return picture
    own = people.select(torch.tensor([row])).embed(torch.tensor([tokens.ids]), backbone.word_rows)[0]
    return torch.cat([picture, own])


def _turn(prompt: Prompt, turn: Turn, people: ConceptVocabulary) -> Tokens:
    question, answer = (re.sub(r"\{(\d+)\}", r"<p\1>", text) for text in turn)
    tokens = Tokens()
    prompt.turn(tokens, question, _NAMES, people, answer=answer)
    return tokens
