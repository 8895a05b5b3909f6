"""Attribute answers from a frozen backbone that looks at the reference picture alone, as the paper's are.

The mini family learned to describe a portrait in the phrases of its world, so its description is taken apart; any other
backbone is asked attribute by attribute about "this person".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

from plvm.data.spec import Spec
from plvm.data.wordings import ATTRIBUTES
from plvm_lab.portraits.person import PHRASES
from plvm_lab.portraits.phrases import TRAIT_VERB
from plvm_lab.portraits.sentences import TRAIN

if TYPE_CHECKING:
    from plvm.personal import Personal


def traits_in(text: str) -> dict[str, str]:
    """slot -> phrase of the drawn world, for every slot of which a description names exactly one value."""
    words = [part.strip(" .").removeprefix("This is ") for part in text.split(",")]
    found = {slot: [p for p in values.values() if p in words] for slot, values in PHRASES.items()}
    return {slot: phrases[0] for slot, phrases in found.items() if len(phrases) == 1}


class BackboneAnswers:
    """Asks a frozen model about reference pictures. `describes`: it answers in the phrases of the drawn world."""

    def __init__(self, vlm: Personal, *, describes: bool) -> None:
        self.vlm, self.describes = vlm, describes

    def about(self, reference: Image.Image) -> dict[str, str]:
        """attribute -> answer about `<n0>`, for every attribute that the model answered."""
        if self.describes:
            text = self.vlm.ask(reference, TRAIN["describe_portrait"][0]).text
            return {slot: f"<n0> {TRAIT_VERB[slot]} {phrase}." for slot, phrase in traits_in(text).items()}
        prefix = self.vlm.look(reference)
        slots = list(ATTRIBUTES)
        said = self.vlm.ask_many([(prefix, ATTRIBUTES[slot][1], ()) for slot in slots])
        return {slot: _about_name(a.text) for slot, a in zip(slots, said, strict=True) if a.text.strip()}


def _about_name(text: str) -> str:
    """An answer about "this person" or "the person" as one about the name."""
    text = text.strip()
    for words in ("This person", "The person", "this person", "the person"):
        text = text.replace(words, "<n0>")
    return text


def build_answers(spec: Spec) -> BackboneAnswers | None:
    """The answering model of a spec; None where answers are the truth. Raises CheckpointError."""
    if spec.answers != "backbone":
        return None
    from plvm.personal import load

    options: dict[str, Any] = dict(spec.options)
    model = str(options.get("answer_model", "mini"))
    vlm = load(model, device=options.get("device"))
    return BackboneAnswers(vlm, describes=model == "mini" or bool(options.get("answers_describe")))
