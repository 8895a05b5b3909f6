"""Names as ordinary text, for systems whose backbone has no rows for them: `<billie>` is written "billie", and in an
answer "billie" is read as `<billie>` again."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from plvm.model.backbone import Backbone
from plvm.personal import Personal
from plvm.prompt.image_first import Prompt, between, chosen
from plvm.prompt.turns import Tokens, UserTurn
from plvm.prompt.vocabulary import ConceptVocabulary
from plvm.types import Concept, ConceptTokens


class PlainNames(Prompt):
    """Writes names as text, definitions too: "billie is <c1>..<cK>.", or words in place of the context tokens. A concept
    with neither (no words: "") is not introduced at all."""

    def named_text(self, text: str, names: Sequence[str], vocabulary: ConceptVocabulary) -> list[int]:
        return list(self.text(unmarked(text, names)))

    def user_turn(self, tokens: Tokens, turn: UserTurn) -> None:
        if not turn.first:
            self.next_turn(tokens)
        gap = self.template.first_gap if turn.first else self.template.next_gap
        said = ""  # words that wait to be spelled: one piece of text as far as there is no context token
        for concept in turn.joining:
            before, after = self.template.define.replace("{name}", turn.names[concept]).split("{context}")
            words = turn.descriptions.get(concept)
            if words == "" or words == ():
                continue
            if isinstance(words, str):
                said += f"{gap}{before}{words}{after}"
            else:
                tokens.add(self.text((said + gap + before).rstrip(" ")))
                tokens.add(chosen(turn.vocabulary, concept, words), owner=concept)
                said = after
            gap = " "
        tokens.add(self.words(between(said + gap, turn.question), turn.names, turn.vocabulary))
        tokens.add(self.control(self.template.assistant))


def unmarked(text: str, names: Sequence[str]) -> str:
    """`<billie>` -> "billie", for the given names."""
    for name in names:
        text = text.replace(f"<{name}>", name)
    return text


def marked(text: str, names: Sequence[str]) -> str:
    """ "billie" -> `<billie>`, where it is a word of its own; for the given names."""
    for name in names:
        text = re.sub(rf"(?<![\w<-]){re.escape(name)}(?![\w>-])", f"<{name}>", text, flags=re.IGNORECASE)
    return text


def nameless(name: str, backbone: Backbone, context: Tensor | None = None) -> Concept:
    """A concept without rows of its own for the name; `context` [K, D] default: none."""
    width = backbone.width
    context = torch.zeros(0, width) if context is None else context
    return Concept(
        name, ConceptTokens(torch.zeros(width), torch.full((width,), -torch.inf), context, torch.zeros(0)), ""
    )


def with_prompt(vlm: Personal, kind: type[Prompt]) -> Personal:
    """The model `vlm` with prompts written by `kind`, in its own template where the picture comes first in it, else in the
    backbone's."""
    template = vlm.backbone.template() if vlm.prompt.definitions_first else vlm.prompt.template
    prompt = kind(vlm.prompt.tokenizer, template)
    return Personal(vlm.backbone, vlm.encoder, vlm.aligner, prompt, vlm.fingerprint)
