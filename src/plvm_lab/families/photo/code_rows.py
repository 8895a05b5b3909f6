"""Scenes and their questions as rows of tokens: a row is a prefix (faces, then introductions) and questions behind it that do not
see each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plvm_lab.families.photo.grafted import CodeBatch
from plvm_lab.families.photo.photo_dialogues import MOST_FACES, MOST_PEOPLE, PLACES, Scene

_NAME = re.compile(r"\{(\d+)\}")
_NUMBERS = ("nobody", "1 person", "2 people", "3 people", "4 people", "5 people", "6 people")


class Writer:
    """Texts and scenes -> ids, with a tokenizer of `vocabulary` words (the chat marks of SmolLM2 among them)."""

    def __init__(self, tokenizer: Any, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self._pieces: Callable[[str], tuple[int, ...]] = lru_cache(100_000)(
            lambda text: tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
        )

    def text(self, text: str) -> list[int]:
        """The ids of a text, in which {0}, {1}, ... are names."""
        ids: list[int] = []
        for i, piece in enumerate(_NAME.split(text)):
            ids += [self.vocabulary + int(piece)] if i % 2 else self._pieces(piece)
        return ids

    def prefix(self, scene: Scene) -> list[int]:
        """The picture, then who is introduced: "Photo: 2 people. on the left [face], on the right [face]. <a> is [context]." """
        ids = self.text(f"Photo: {_NUMBERS[len(scene.who)]}.")
        for face, place in enumerate(scene.places):
            ids += [*self.text(f" {place}"), self.vocabulary + 2 * MOST_PEOPLE + face]
        ids += self.text(".\n")
        for person in range(len(scene.people)):
            ids += [self.vocabulary + person, *self.text(" is"), self.vocabulary + MOST_PEOPLE + person, *self.text(".\n")]
        return ids

    def turn(self, question: str, answer: str) -> tuple[list[int], list[int]]:
        """A question with its marks, and its answer with the end of the turn."""
        before = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        return self.text(before), self.text(f"{answer}<|im_end|>")


def rows_of(
    writer: Writer, scenes: Sequence[Scene], turns: Sequence[Sequence[tuple[str, str]]]
) -> tuple[CodeBatch, Tensor, Tensor]:
    """The rows of scenes and the (question, answer) pairs of each; which tokens are followed by a word of an answer `[B, T]`;
    and a table `[N, 3]` of those tokens in order: the word that is right, whose question it is, how far into the answer."""
    rows = [_row(writer.prefix(scene), [writer.turn(*pair) for pair in own]) for scene, own in zip(scenes, turns)]
    length, count = max(len(row[0]) for row in rows), len(rows)
    ids, positions = torch.zeros(count, length, dtype=torch.long), torch.zeros(count, length, dtype=torch.long)
    block, wanted = torch.full((count, length), -1), torch.zeros(count, length, dtype=torch.bool)
    words: list[tuple[int, int, int]] = []
    for b, (own, at, turn, answers) in enumerate(rows):
        ids[b, : len(own)], positions[b, : len(own)] = torch.tensor(own), torch.tensor(at)
        block[b, : len(own)] = torch.tensor(turn)
        for place, word, step in answers:
            wanted[b, place] = True
            number = sum(len(t) for t in turns[:b]) + turn[place] - 1
            words.append((word, number, step))  # a name is column V + person, as its id says
    earlier = torch.ones(length, length, dtype=torch.bool).tril()
    sees = earlier & ((block[:, None] == block[:, :, None]) | (block[:, None] == 0)) | torch.eye(length, dtype=torch.bool)
    return CodeBatch(ids, positions, sees, *_codes(scenes)), wanted, torch.tensor(words)


def _row(
    prefix: list[int], turns: Sequence[tuple[list[int], list[int]]]
) -> tuple[list[int], list[int], list[int], list[tuple[int, int, int]]]:
    """Ids, positions (every question begins where the prefix ends), whose they are (0: the prefix's), and the answers' words as
    (the token before, the word, how far into the answer)."""
    ids, positions, block = list(prefix), list(range(len(prefix))), [0] * len(prefix)
    answers = []
    for number, (question, answer) in enumerate(turns, 1):
        own, begin = question + answer[:-1], len(ids)
        answers += [(begin + len(question) - 1 + step, word, step) for step, word in enumerate(answer)]
        ids += own
        positions += range(len(prefix), len(prefix) + len(own))
        block += [number] * len(own)
    return ids, positions, block, answers


def _codes(scenes: Sequence[Scene]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    width = scenes[0].people.shape[1]
    faces = np.zeros((len(scenes), MOST_FACES, width), np.float32)
    people = np.zeros((len(scenes), MOST_PEOPLE, width), np.float32)
    faces_there, people_there = np.zeros(faces.shape[:2], bool), np.zeros(people.shape[:2], bool)
    places = np.zeros(faces.shape[:2], np.int64)
    for b, scene in enumerate(scenes):
        f, c = len(scene.who), len(scene.people)
        faces[b, :f], people[b, :c], faces_there[b, :f], people_there[b, :c] = scene.faces, scene.people, True, True
        places[b, :f] = [PLACES.index(place) for place in scene.places]
    return tuple(torch.from_numpy(a) for a in (faces, faces_there, places, people, people_there))  # type: ignore[return-value]
