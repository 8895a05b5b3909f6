"""How a dialogue is written down, as data: saved beside an Aligner's weights, so that chat cannot use another one than training
did."""

from __future__ import annotations

from dataclasses import dataclass, field

LATER = {"later": True}  # marks fields that came after the first templates were saved
UNNAMED = {"later": True, "unnamed": True}  # and those that change no prompt: a fingerprint does not count them


@dataclass(frozen=True)
class Template:
    """How a dialogue is written down. `{name}` and `{context}` stand in `define`; all else is literal text.

    `form` is "image-first", or "definitions-first": then concepts are defined before the picture, see
    `plvm.prompt.definitions_first`, and what follows here does not hold.

    The cues `begin`, `after_image`, `user`, `assistant` and `end` may hold the tokenizer's control tokens. A turn's words
    follow `after_image` or, in later turns, `user` at the distance of `first_gap` or `next_gap`; where a definition stands
    between them, at that of a blank. An answer stands at the distance that `yes` has. `end` is the one token that ends an
    answer ("": the tokenizer's own).

    `turns`: of a dialogue so many turns are read at most; 0: as many as the model has room for. `introduce` is said of everyone
    before the first question where a name can be said only by spelling it, as `{called}`.
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
    turns: int = field(default=0, metadata=UNNAMED)
    introduce: str = field(default="{name} is called {called}.", metadata=UNNAMED)
