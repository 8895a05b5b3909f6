"""Concepts, image and turns -> one sequence of token ids, with a mask of what is supervised.

With the image first (`USER: <image>\\n<sks> is <c1>..<cK>. {question} ASSISTANT: {answer}</s>`) everything up to and
including the image depends on no concept: that part is the image prefix, and this file keeps it apart from the rest.

Text is text. A piece typed by a user is tokenised with special tokens switched off; `<name>` becomes a concept's id only if
`name` is among the request's concepts. A concept token absorbs the blank before it, as words of the tokenizer do. Only the
template's own cues may hold control tokens. A single context token stands in a question only as a `ContextToken`, which no
text can spell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plvm.prompt.names import split_names
from plvm.prompt.template import Template
from plvm.prompt.turns import ANSWER, VERDICT, ContextToken, Description, Tokens, UserTurn, Words
from plvm.prompt.vocabulary import ConceptVocabulary

READ = 2**15  # spellings that are remembered


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
        self._read: dict[tuple[tuple[int, ...], tuple[int, ...]], str] = {}  # answers are read token by token
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

    def decode(self, ids: Sequence[int]) -> str:
        """Ids of the tokenizer -> text, control tokens as they are written."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def behind(self, before: tuple[int, ...], ids: tuple[int, ...]) -> str:
        """The characters that ids add behind others, which may take a blank from them or complete half a character."""
        known = self._read.get((before, ids))
        if known is None:
            known = self.decode(before + ids)[len(self.decode(before)) :]
            if len(self._read) >= READ:
                self._read.clear()
            if len(ids) == 1:
                self._read[before, ids] = known
        return known

    def _once(self, piece: str, control: bool) -> tuple[int, ...]:
        if (piece, control) not in self._spelled:
            self._spelled[piece, control] = self._spell(piece, control)
        return self._spelled[piece, control]

    def _spell(self, text: str, control: bool) -> tuple[int, ...]:
        whole, cut = "\n" + text if self._anchor else text, self._anchor
        words = getattr(self.tokenizer, "backend_tokenizer", None)
        if words is None or words.truncation or words.padding:  # a caller's, of before: transformers takes them away
            ids = self.tokenizer(whole, add_special_tokens=False, split_special_tokens=not control)["input_ids"]
        else:  # transformers wakes threads for every text
            words.encode_special_tokens = not control
            ids = words.encode(whole, add_special_tokens=False).ids
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
        """The ids of a text in which `<name>` of a known concept (number i is `names[i]`) becomes its word id."""
        ids: list[int] = []
        for piece, concept in split_names(text, names):
            ids += [vocabulary.word_id(concept)] if concept >= 0 else self.text(piece)
        return ids

    def words(self, words: Words, names: Sequence[str], vocabulary: ConceptVocabulary) -> list[int]:
        """The ids of a question in which `<name>` of a known concept becomes its word id and a `ContextToken` its own id; both
        absorb the one blank before them. Raises RequestError for a token that the concept does not have."""
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
        if self.template.ask:
            tokens.add(self.control(self.template.ask))
            gap = ""
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
