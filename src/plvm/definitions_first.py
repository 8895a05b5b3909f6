"""Prompts that define concepts before the picture, written for tokenizers that put a blank before every piece of text.

The authors' released Aligner was trained with such prompts:

    {begin} <sks> is <c1>..<cK>. {user}<image>{after_image}{question}{assistant}

Each piece of text between concept tokens is tokenised on its own, without the blanks next to a concept token: a
Llama tokenizer adds its own. What follows the last context token clings to it, so "." is the token of that name.
Blanks next to the picture stay.

With the definitions first the picture's keys and values depend on the concepts. What remains to be shared are the
beginning, the picture's projected tokens and the turns of a dialogue: who joins later is defined where the dialogue
stands, before the next question, so that nothing earlier is computed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plvm.prompt import Description, Prompt, Template, Tokens, Words, between, chosen, split_names
from plvm.vocabulary import ConceptVocabulary


class DefinitionsFirst(Prompt):
    """Writes requests in this order. The first turn of a dialogue holds the picture; `prefix` only what begins it."""

    definitions_first = True
    blanks_given = False

    def prefix(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The ids before the definitions, the tokenizer's begin token first; nothing stands after them."""
        begin = self.tokenizer.bos_token_id
        return (*([] if begin is None else [begin]), *self.text(self.template.begin)), ()

    def named_text(self, text: str, names: Sequence[str], vocabulary: ConceptVocabulary) -> list[int]:
        """Text in which `<name>` of a known concept becomes its word id, blanks at the pieces' ends left out."""
        ids: list[int] = []
        for piece, concept in split_names(text, names):
            ids += [vocabulary.word_id(concept)] if concept >= 0 else self.text(piece.strip(" "))
        return ids

    def define(
        self, tokens: Tokens, concept: int, vocabulary: ConceptVocabulary, description: Description = None
    ) -> None:
        """Write "<name> is <c1>..<cK>."; see `Prompt.define` for a `description`."""
        before, after = self.template.define.split("{context}")
        head, middle = before.split("{name}")
        tokens.add(self.text(head.strip(" ")))
        tokens.add([vocabulary.word_id(concept)])
        tokens.add(self.text(middle.strip(" ")), owner=concept)
        if isinstance(description, str):
            tokens.add(self.text(description.strip(" ")), owner=concept)
        else:
            tokens.add(chosen(vocabulary, concept, description), owner=concept)
        tokens.add(self._clinging(after), owner=concept)

    def _clinging(self, text: str) -> tuple[int, ...]:
        """The one token that is `text` without a blank before it, where the tokenizer has one."""
        found = self.tokenizer.convert_tokens_to_ids(text)
        known = isinstance(found, int) and found != self.tokenizer.unk_token_id
        return (found,) if known else self.text(text)

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
        """Write one whole turn: the definitions of the `joining` concepts, the user's cue, the picture if this turn
        holds it (`image`, its ids), the question, and the `answer` if there is one."""
        for concept in joining:
            description = None if descriptions is None else descriptions.get(concept)
            if description != ():
                self.define(tokens, concept, vocabulary, description)
        cue = self.template.user
        if image:
            tokens.add(self.text(cue))
            tokens.add(image)
            cue = self.template.after_image
        tokens.add(self.words(between(cue, question, self.template.assistant), names, vocabulary))
        if answer is not None:
            self.answer(tokens, answer, names, vocabulary, verdict)


FORMS: dict[str, type[Prompt]] = {"image-first": Prompt, "definitions-first": DefinitionsFirst}


def prompt_of(tokenizer: Any, template: Template) -> Prompt:
    """The writer of the template's form. Raises ValueError where there is no such form, or where the template does not
    fit the tokenizer."""
    if template.form not in FORMS:
        raise ValueError(f"its form is {template.form!r}, not one of {', '.join(FORMS)}")
    return FORMS[template.form](tokenizer, template)
