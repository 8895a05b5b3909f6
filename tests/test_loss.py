"""Eq. 2 of the paper: the weighted cross-entropy of an answer, against a plain loop that spells it out."""

from __future__ import annotations

import math
import random
import re

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.prompt.turns import ANSWER, IGNORED, VERDICT, Tokens
from plvm.prompt.vocabulary import ConceptVocabulary, vocabulary_of
from plvm.train.loss import answer_logits, answer_loss
from toys import a_concept

V = 23


def batch(seed: int, rows: int = 5, length: int = 30) -> tuple[Tensor, Tensor, Tensor, list[tuple[int, int, int]]]:
    """Logits, ids and marks of random rows, and where their answers are: (row, first, behind the last).

    Each row has one to three answers of different lengths; about half begin with a Yes/No word.
    """
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, length, V, generator=generator, dtype=torch.float64)
    ids = torch.randint(V, (rows, length), generator=generator)
    marks = torch.zeros(rows, length, dtype=torch.long)
    answers = []
    for row in range(rows):
        at = rng.randint(1, 4)
        for _ in range(rng.randint(1, 3)):
            size = rng.randint(1, 6)
            marks[row, at : at + size] = ANSWER
            if rng.random() < 0.5:
                marks[row, at] = VERDICT
            answers.append((row, at, at + size))
            at += size + rng.randint(1, 3)
    return logits, ids, marks, answers


def loss_of(logits: Tensor, ids: Tensor, marks: Tensor, w: float) -> Tensor:
    """`answer_loss`, which is given the logits of answers alone, from the logits of everything."""
    return answer_loss(logits[:, :-1][marks[:, 1:] > 0], ids, marks, w)


def concepts_and_states(marks: Tensor, width: int = 7) -> tuple[ConceptVocabulary, Tensor, Tensor]:
    """A vocabulary with one or two concepts a row, frozen head rows and hidden states of the rows of `marks`."""
    head = torch.randn(V, width, generator=torch.Generator().manual_seed(1))
    hidden = torch.randn(*marks.shape, width, generator=torch.Generator().manual_seed(2))
    rows = [[a_concept(str(n), n, width) for n in range(1 + row % 2)] for row in range(len(marks))]
    return vocabulary_of(rows, head), head, hidden


def naive(logits: Tensor, ids: Tensor, marks: Tensor, answers: list[tuple[int, int, int]], w: float) -> float:
    """The same number from the formula, answer by answer and token by token."""
    means = []
    for row, first, behind in answers:
        total = weights = 0.0
        for t in range(first, behind):
            scores = [math.exp(x) for x in logits[row, t - 1].tolist()]
            a = w if marks[row, t] == VERDICT else 1.0
            total += a * -math.log(scores[ids[row, t]] / sum(scores))
            weights += a
        means.append(total / weights)
    return sum(means) / len(means)


@pytest.mark.parametrize("w", [1.0, 4.0, 20.0, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_equation_2_answer_by_answer(seed: int, w: float) -> None:
    logits, ids, marks, answers = batch(seed)
    assert len(answers) > 5 and (marks == VERDICT).any()
    assert loss_of(logits, ids, marks, w).item() == pytest.approx(naive(logits, ids, marks, answers, w), rel=1e-5)


def test_with_w_1_it_is_the_plain_cross_entropy_averaged_per_answer() -> None:
    logits, ids, marks, answers = batch(7)
    plain = [F.cross_entropy(logits[r, a - 1 : b - 1], ids[r, a:b]).item() for r, a, b in answers]
    assert loss_of(logits, ids, marks, 1.0).item() == pytest.approx(sum(plain) / len(plain), rel=1e-5)


def test_a_long_answer_weighs_as_much_as_a_short_one() -> None:
    logits = torch.zeros(1, 12, V)
    ids, marks = torch.zeros(1, 12, dtype=torch.long), torch.zeros(1, 12, dtype=torch.long)
    marks[0, 1] = ANSWER  # one token, all but certain
    marks[0, 3:12] = ANSWER  # nine tokens, no idea
    logits[0, 0, 0] = 100
    assert loss_of(logits, ids, marks, 20.0).item() == pytest.approx(math.log(V) / 2, rel=1e-5)


def test_the_weight_moves_the_loss_towards_the_yes_or_no_word() -> None:
    logits = torch.zeros(1, 6, V)
    ids, marks = torch.zeros(1, 6, dtype=torch.long), torch.tensor([[0, 0, VERDICT, ANSWER, ANSWER, 0]])
    logits[0, 1, 0] = 100  # the verdict is certain, the two other tokens are not
    for w in (1.0, 4.0, 20.0):
        assert loss_of(logits, ids, marks, w).item() == pytest.approx(2 * math.log(V) / (w + 2), rel=1e-5)


def test_tokens_that_are_not_marked_have_no_say_and_get_no_gradient() -> None:
    _, ids, marks, _ = batch(3)
    vocabulary, head, hidden = concepts_and_states(marks)
    hidden.requires_grad_()
    answer_loss(answer_logits(vocabulary, hidden, marks, head), ids, marks, 20.0).backward()
    assert hidden.grad is not None
    predicts = torch.zeros(marks.shape, dtype=torch.bool)
    predicts[:, :-1] = marks[:, 1:] != IGNORED
    assert (hidden.grad[~predicts] == 0).all()
    assert (hidden.grad[predicts].abs().sum(-1) > 0).all()


def test_the_logits_of_answers_are_those_of_the_whole_rows_each_with_its_own_concepts() -> None:
    _, _, marks, _ = batch(5)
    vocabulary, head, hidden = concepts_and_states(marks)
    whole = vocabulary.logits(hidden, head)[:, :-1][marks[:, 1:] > 0]
    assert whole.isneginf().any(), "a row with fewer concepts"
    torch.testing.assert_close(answer_logits(vocabulary, hidden, marks, head), whole)


def test_answers_of_neighbouring_rows_are_two_answers() -> None:
    """One row ends with an answer, and the next begins with one as early as a row can."""
    logits = torch.randn(2, 4, V, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ids = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    marks = torch.tensor([[0, 0, VERDICT, ANSWER], [0, ANSWER, 0, 0]])
    expected = naive(logits, ids, marks, [(0, 2, 4), (1, 1, 2)], 20.0)
    assert loss_of(logits, ids, marks, 20.0).item() == pytest.approx(expected, rel=1e-5)


# ---- which token is the Yes/No word


def marks_of(prompt: Prompt, backbone: Backbone, text: str, verdict: bool = True) -> list[tuple[str, int]]:
    """(token, mark) of an answer about <billie>."""
    concepts = [a_concept("billie", 0, backbone.width)]
    tokens = Tokens()
    prompt.answer(tokens, text, ["billie"], vocabulary_of([concepts], backbone.word_rows), verdict)
    words = ["<billie>" if i >= backbone.vocabulary_size else prompt.tokenizer.decode([i]) for i in tokens.ids]
    return list(zip(words, tokens.supervise, strict=True))


@pytest.mark.parametrize(
    "text", ["Yes.", "No.", "Yes, <billie> is in this photo.", "No, <billie> is not in this photo."]
)
def test_the_yes_or_no_word_of_a_verdict_is_marked_and_nothing_else(
    prompt: Prompt, backbone: Backbone, text: str
) -> None:
    (first, mark), *rest = marks_of(prompt, backbone, text)
    assert (first, mark) == (" Yes" if text.startswith("Yes") else " No", VERDICT)
    assert {m for _, m in rest} == {ANSWER} and rest[-1][0] == prompt.tokenizer.eos_token


@pytest.mark.parametrize(
    "text",
    [
        "Yesterday <billie> was here.",
        "Nobody is next to <billie>.",
        "Not here.",
        "yes.",
        "It is No.",
        "<billie> says Yes.",
    ],
)
def test_an_answer_that_only_looks_like_yes_or_no_has_no_verdict(prompt: Prompt, backbone: Backbone, text: str) -> None:
    assert {m for _, m in marks_of(prompt, backbone, text)} == {ANSWER}


def test_a_word_that_begins_like_yes_is_no_verdict_where_the_tokenizer_keeps_words_whole() -> None:
    class Words:
        """A tokenizer of whole words, as large ones are for common words."""

        eos_token_id = 0

        def __call__(self, text: str, **_: bool) -> dict[str, list[int]]:
            known = [" Yes", " No", " Yesterday", " was", " fine", "."]
            return {"input_ids": [1 + known.index(w) for w in re.findall(r" ?\w+|[.]", text)]}

    none = ConceptVocabulary(
        9, *(torch.zeros(1, 0, 4),) * 2, torch.zeros(1, 0, 2, 4), torch.zeros(1, 0, dtype=torch.bool)
    )
    marks = []
    for text in ("Yesterday was fine.", "Yes."):
        tokens = Tokens()
        Prompt(Words()).answer(tokens, text, [], none, verdict=True)
        marks.append(tokens.supervise)
    assert marks == [[ANSWER] * 5, [VERDICT, ANSWER, ANSWER]]


def test_yes_is_no_verdict_where_the_question_did_not_ask_for_one(prompt: Prompt, backbone: Backbone) -> None:
    assert {m for _, m in marks_of(prompt, backbone, "Yes.", verdict=False)} == {ANSWER}
