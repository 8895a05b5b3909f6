"""Prompts that define concepts before the picture.

The authors' released Aligner was trained with such prompts:

    {begin} <sks> is <c1>..<cK>. {user}<image>{after_image}{question}{assistant}

Each piece of text between concept tokens is tokenised on its own, without the blanks next to a concept token where the
tokenizer adds its own, as Llama's does. What follows the last context token clings to it, so "." is the token of that
name. Blanks next to the picture stay.

With the definitions first the picture's keys and values depend on the concepts. What remains to be shared are the
beginning, the picture's projected tokens and the turns of a dialogue: who joins later is defined where the dialogue
stands, before the next question, so that nothing earlier is computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plvm.prompt.image_first import Prompt, adds_blanks, between, chosen
from plvm.prompt.names import split_names
from plvm.prompt.template import Template
from plvm.prompt.turns import Description, Tokens, UserTurn
from plvm.prompt.vocabulary import ConceptVocabulary


class DefinitionsFirst(Prompt):
    """Writes requests as token ids, the definitions of concepts before the picture. The first turn of a dialogue holds the
    picture; `prefix` is only what begins it."""

    definitions_first = True
    blanks_given = False

    def __init__(self, tokenizer: Any, template: Template | None = None) -> None:
        self._bare = " " if adds_blanks(tokenizer) else ""  # what is left away beside a concept token
        super().__init__(tokenizer, template)

    def prefix(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The ids before the definitions, the tokenizer's begin token first; nothing stands after them."""
        begin = self.tokenizer.bos_token_id
        return (*([] if begin is None else [begin]), *self.text(self.template.begin)), ()

    def named_text(self, text: str, names: Sequence[str], vocabulary: ConceptVocabulary) -> list[int]:
        """The ids of a text in which `<name>` of a known concept becomes its word id, blanks at the pieces' ends left out."""
        ids: list[int] = []
        for piece, concept in split_names(text, names):
            ids += [vocabulary.word_id(concept)] if concept >= 0 else self.text(piece.strip(self._bare))
        return ids

    def define(
        self, tokens: Tokens, concept: int, vocabulary: ConceptVocabulary, description: Description = None
    ) -> None:
        """Write "<name> is <c1>..<cK>."; a `description` in words stands in place of the context tokens, one in numbers leaves
        only those context tokens."""
        before, after = self.template.define.split("{context}")
        head, middle = before.split("{name}")
        tokens.add(self.text(head.strip(self._bare)))
        tokens.add([vocabulary.word_id(concept)])
        tokens.add(self.text(middle.strip(" ") if self._bare else middle.rstrip(" ")), owner=concept)
        if isinstance(description, str):
            said = description.strip(" ")
            tokens.add(self.text(said if self._bare else " " + said), owner=concept)
        else:
            tokens.add(chosen(vocabulary, concept, description), owner=concept)
        tokens.add(self._clinging(after), owner=concept)

    def _clinging(self, text: str) -> tuple[int, ...]:
        """The one token that is `text` without a blank before it, where the tokenizer has one."""
        found = self.tokenizer.convert_tokens_to_ids(text)
        known = isinstance(found, int) and found != self.tokenizer.unk_token_id
        return (found,) if known else self.text(text)

    def user_turn(self, tokens: Tokens, turn: UserTurn) -> None:
        """Write the user's half of a turn: the definitions of those who join, the user's cue, the picture if this turn
        holds it, the question, and the cue that makes the model answer."""
        for concept in turn.joining:
            if (description := turn.descriptions.get(concept)) != ():
                self.define(tokens, concept, turn.vocabulary, description)
        cue = self.template.user
        if turn.image:
            tokens.add(self.text(cue))
            tokens.add(turn.image)
            cue = self.template.after_image
        words = between(cue, turn.question, self.template.assistant)
        tokens.add(self.words(words, turn.names, turn.vocabulary))
