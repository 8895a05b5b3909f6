"""Concepts, image and turns -> one sequence of token ids, with a mask of what is supervised.

The template is data, saved beside an Aligner's weights, so that chat cannot use another one than training did. With the image
first (`USER: <image>\\n<sks> is <c1>..<cK>. {question} ASSISTANT: {answer}</s>`) everything up to and including the image
depends on no concept: that part is the image prefix, and this file keeps it apart from the rest.

Text is text. A piece typed by a user is tokenised with special tokens switched off; `<name>` becomes a concept's id only if
`name` is among the request's concepts. A concept token absorbs the blank before it, as words of the tokenizer do. Only the
template's own cues may hold control tokens. A single context token stands in a question only as a `ContextToken`, which no
text can spell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plvm.vocabulary import ConceptVocabulary

IGNORED, ANSWER, VERDICT = 0, 1, 2  # what a token is to the loss: nothing, part of an answer, its Yes/No word


@dataclass(frozen=True)
class ContextToken:
    """One context token in a question: number `number` (0 .. K-1) of concept number `concept` of the request."""

    concept: int
    number: int


Words = str | tuple[str | ContextToken, ...]  # a question: text, or text with single context tokens in it
Description = str | tuple[int, ...] | None  # see `UserTurn`


LATER = {"later": True}  # marks fields that came after the first templates were saved


@dataclass(frozen=True)
class Template:
    """How a dialogue is written down. `{name}` and `{context}` stand in `define`; all else is literal text.

    `form` is "image-first", or "definitions-first": then concepts are defined before the picture, see
    `plvm.definitions_first`, and what follows here does not hold.

    The cues `begin`, `after_image`, `user`, `assistant` and `end` may hold the tokenizer's control tokens. A turn's words
    follow `after_image` or, in later turns, `user` at the distance of `first_gap` or `next_gap`; where a definition stands
    between them, at that of a blank. An answer stands at the distance that `yes` has. `end` is the one token that ends an
    answer ("": the tokenizer's own).
    """

    form: str = field(default="image-first", metadata=LATER)
    begin: str = "USER:"
    after_image: str = "\n"
    define: str = "{name} is {context}."
    user: str = "USER:"
    assistant: str = " ASSISTANT:"
    yes: str = " Yes"
    no: str = " No"
    recognize: str = "Is {name} in this photo? Answer with Yes or No."
    first_gap: str = field(default=" ", metadata=LATER)
    next_gap: str = field(default=" ", metadata=LATER)
    end: str = field(default="", metadata=LATER)


@dataclass
class Tokens:
    """A growing token sequence: ids, what each is to the loss, and which concept each describes (-1: none)."""

    ids: list[int] = field(default_factory=list)
    supervise: list[int] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)

    def add(self, ids: Iterable[int], supervise: int = IGNORED, owner: int = -1) -> None:
        for i in ids:
            self.ids.append(i)
            self.supervise.append(supervise)
            self.owner.append(owner)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class UserTurn:
    """The user's half of a turn: the `question`, in which `<name>` stands for one of `names`, and the numbers of the
    concepts that are `joining`.

    `descriptions` gives, by concept number, what stands in a definition in place of all context tokens: words, or the
    numbers of some of them (no number: the concept is not defined, though its tokens can be asked about). `first`: nothing
    was said before. `image` are the ids of a picture that stands in this turn; with the image first there are none, the prefix
    has them.
    """

    question: Words
    names: Sequence[str]
    vocabulary: ConceptVocabulary
    joining: tuple[int, ...]
    descriptions: Mapping[int, Description]
    first: bool
    image: tuple[int, ...]


class Prompt:
    """Writes requests as token ids for one tokenizer and template. Concepts are numbered 0 .. C-1 as in the request."""

    definitions_first = False  # whether a picture stands after the definitions, so that its prefix does not contain it
    blanks_given = True  # whether pieces of text bring their own blanks, instead of getting the tokenizer's

    def __init__(self, tokenizer: Any, template: Template | None = None) -> None:
        self.tokenizer = tokenizer
        self.template = template if template is not None else Template()
        self._anchor = 2 if self.blanks_given and adds_blanks(tokenizer) else 0
        self._own = frozenset(self._pieces())
        self._spelled: dict[tuple[str, bool], tuple[int, ...]] = {}  # the template's own pieces, never a user's words
        self.yes_id = _single(self.template.yes, self.text(self.template.yes))
        self.no_id = _single(self.template.no, self.text(self.template.no))
        end = self.template.end
        self.end_id: int = _single(end, self.control(end)) if end else tokenizer.eos_token_id

    def text(self, text: str) -> tuple[int, ...]:
        """Plain text -> ids; whatever looks like a special token stays letters."""
        return self._once(text, control=False) if text in self._own else self._spell(text, control=False)

    def control(self, cue: str) -> tuple[int, ...]:
        """A cue of the template -> ids; the tokenizer's control tokens in it are control tokens."""
        return self._once(cue, control=True)

    def _once(self, piece: str, control: bool) -> tuple[int, ...]:
        if (piece, control) not in self._spelled:
            self._spelled[piece, control] = self._spell(piece, control)
        return self._spelled[piece, control]

    def _spell(self, text: str, control: bool) -> tuple[int, ...]:
        whole, cut = "\n" + text if self._anchor else text, self._anchor
        ids = self.tokenizer(whole, add_special_tokens=False, split_special_tokens=not control)["input_ids"]
        return tuple(ids[cut:])

    def _pieces(self) -> list[str]:
        """The pieces of text that the template brings to most prompts."""
        before, after = self.template.define.split("{context}")
        head, middle = before.split("{name}")
        asked = self.template.recognize.split(" {name}")
        return [
            head,
            middle.rstrip(" "),
            after,
            *(gap + asked[0] for gap in (" ", self.template.first_gap)),
            *asked[1:],
        ]

    def prefix(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The ids before and after the image tokens; together with the image they are the image prefix."""
        return self.control(self.template.begin), self.control(self.template.after_image)

    def spoken(self, text: str, names: Sequence[str], vocabulary: ConceptVocabulary) -> list[int]:
        """The ids of an answer's words, right after the cue that makes the model answer."""
        gap = " " if self.template.yes.startswith(" ") else ""
        return self.named_text(gap + text.strip(), names, vocabulary)

    def named_text(self, text: str, names: Sequence[str], vocabulary: ConceptVocabulary) -> list[int]:
        """Text in which `<name>` of a known concept becomes its word id."""
        ids: list[int] = []
        for piece, concept in split_names(text, names):
            ids += [vocabulary.word_id(concept)] if concept >= 0 else self.text(piece)
        return ids

    def words(self, words: Words, names: Sequence[str], vocabulary: ConceptVocabulary) -> list[int]:
        """The same for a question that may hold context tokens; each absorbs the one blank before it, as names do.
        Raises RequestError for a token that the concept does not have."""
        pieces = (words,) if isinstance(words, str) else words
        ids: list[int] = []
        for i, piece in enumerate(pieces):
            if isinstance(piece, ContextToken):
                ids.append(vocabulary.context_id(piece.concept, piece.number))
            else:
                followed = i + 1 < len(pieces) and isinstance(pieces[i + 1], ContextToken)
                ids += self.named_text(piece.removesuffix(" ") if followed else piece, names, vocabulary)
        return ids

    def define(
        self, tokens: Tokens, concept: int, vocabulary: ConceptVocabulary, description: Description = None
    ) -> None:
        """Write "<name> is <c1>..<cK>."; with a `description` in words, that stands in place of the context tokens;
        with numbers, only those context tokens do."""
        before, after = self.template.define.split("{context}")
        head, middle = before.split("{name}")
        tokens.add(self.text(head))
        tokens.add([vocabulary.word_id(concept)])
        tokens.add(self.text(middle.rstrip(" ")), owner=concept)
        body = (
            self.text(" " + description) if isinstance(description, str) else chosen(vocabulary, concept, description)
        )
        tokens.add(body, owner=concept)
        tokens.add(self.text(after), owner=concept)

    def question(
        self, tokens: Tokens, words: Words, names: Sequence[str], vocabulary: ConceptVocabulary, gap: str = " "
    ) -> None:
        """Write the user's words, `gap` before them, and the cue that makes the model answer."""
        tokens.add(self.words(between(gap, words), names, vocabulary))
        tokens.add(self.control(self.template.assistant))

    def answer(
        self, tokens: Tokens, text: str, names: Sequence[str], vocabulary: ConceptVocabulary, verdict: bool = False
    ) -> None:
        """Write a supervised answer and its end; with `verdict`, its Yes/No word is marked for the weight of Eq. 2."""
        ids = self.spoken(text, names, vocabulary)
        word = re.match(r"\w*", text.strip())
        spelled = tuple(self.spoken(word.group(), (), vocabulary)) if verdict and word else ()
        first = VERDICT if spelled in ((self.yes_id,), (self.no_id,)) else ANSWER
        tokens.add(ids[:1], first)
        tokens.add([*ids[1:], self.end_id], ANSWER)

    def next_turn(self, tokens: Tokens) -> None:
        """Write what stands between an answer's end and the user's next words."""
        tokens.add(self.control(self.template.user))

    def turn(
        self,
        tokens: Tokens,
        question: Words,
        names: Sequence[str],
        vocabulary: ConceptVocabulary,
        *,
        joining: Iterable[int] = (),
        descriptions: Mapping[int, Description] | None = None,
        first: bool = True,
        image: Sequence[int] = (),
        answer: str | None = None,
        verdict: bool = False,
    ) -> None:
        """Write one whole turn: the user's half, a `UserTurn` of these arguments, and the `answer` if there is one."""
        self.user_turn(
            tokens, UserTurn(question, names, vocabulary, tuple(joining), descriptions or {}, first, tuple(image))
        )
        if answer is not None:
            self.answer(tokens, answer, names, vocabulary, verdict)

    def user_turn(self, tokens: Tokens, turn: UserTurn) -> None:
        """Write the user's half in the one order there is: the user's cue (not in the first turn, where the image prefix
        has it), the definitions of those who join, the question, and the cue that makes the model answer."""
        gap = self.template.first_gap if turn.first else self.template.next_gap
        if not turn.first:
            self.next_turn(tokens)
        for concept in turn.joining:
            description = turn.descriptions.get(concept)
            if description != ():
                self.define(tokens, concept, turn.vocabulary, description)
                gap = " "
        self.question(tokens, turn.question, turn.names, turn.vocabulary, gap)


def adds_blanks(tokenizer: Any) -> bool:
    """Whether a tokenizer writes a blank before any text, as Llama's does. A piece from the middle of a sentence then has to
    be spelled after something, a line end, which no other token ever joins, and two tokens are to be cut off."""
    return len(tokenizer("\n", add_special_tokens=False)["input_ids"]) == 2


def _single(word: str, ids: Sequence[int]) -> int:
    if len(ids) != 1:
        raise ValueError(f"{word!r} must be one token of the tokenizer, it is {len(ids)}")
    return ids[0]


def between(before: str, words: Words, after: str = "") -> Words:
    """`words`, a user's text without the blanks around it, with text before and after; neighbouring texts are one."""
    if isinstance(words, str):
        return before + words.strip() + after
    joined: list[str | ContextToken] = [before]
    for piece in (*words, after):
        if isinstance(piece, str) and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    return tuple(joined)


def chosen(vocabulary: ConceptVocabulary, concept: int, numbers: Sequence[int] | None) -> list[int]:
    """The ids of those context tokens of a concept, None: all of them. Raises RequestError where it has no such one."""
    return vocabulary.context_ids(concept) if numbers is None else [vocabulary.context_id(concept, n) for n in numbers]


def split_names(text: str, names: Sequence[str]) -> list[tuple[str, int]]:
    """Cut `text` at the `<name>`s it mentions: (piece, -1) for text, ("", i) for concept number i.

    The one blank before a name belongs to the name. `<other>` stays text.
    """
    if not names:
        return [(text, -1)] if text else []
    parts = re.split(" ?<(" + "|".join(re.escape(n) for n in names) + ")>", text)
    pieces: list[tuple[str, int]] = []
    for i, part in enumerate(parts):
        if i % 2:
            pieces.append(("", list(names).index(part)))
        elif part:
            pieces.append((part, -1))
    return pieces


def mentioned(text: str) -> list[str]:
    """Every `name` that stands as `<name>` in `text`, in order, once."""
    return list(dict.fromkeys(re.findall(r"<([^<>\s]{1,64})>", text)))
