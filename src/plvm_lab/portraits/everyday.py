"""Everyday English: the many ways in which people ask for what the portraits world can answer, and how they type it.

`EVERYDAY[kind]` are the wordings of everyday.txt, beside those of `sentences.py` (with the same places to fill: `{x}`, `{p}`,
...); `LEARNED[kind]` are both. `described`, `greeting` and `about_itself` draw a request for a caption, a greeting with its
answer, and a question about the model. None of them is a wording that `sentences.HELD_OUT` keeps for the evaluation.
"""

from __future__ import annotations

import random
from importlib import resources

from plvm_lab.portraits.sentences import HELD_OUT, PRACTICE

LIMITS = "I can only talk about what is in the picture and the people I know."
ABILITIES = "I can tell you who is in a picture, where they are, what they wear and what they do."


def read_wordings(text: str) -> dict[str, tuple[str, ...]]:
    """The wordings of each [kind], one a line; lines that begin with # are remarks."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            own = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            own.append(line)
    return {kind: tuple(lines) for kind, lines in found.items()}


EVERYDAY = read_wordings(resources.files("plvm_lab.portraits").joinpath("everyday.txt").read_text(encoding="utf-8"))
LEARNED: dict[str, tuple[str, ...]] = {
    kind: tuple(dict.fromkeys([*texts, *(t for t in EVERYDAY.get(kind, ()) if t not in HELD_OUT.get(kind, ()))]))
    for kind, texts in PRACTICE.items()
}
_PICTURES = ("picture", "photo", "image", "photograph", "pic", "scene", "snapshot", "shot")
_THIS = ("the", "this", "this", "that", "my")
_OPENINGS = (
    "", "", "", "", "", "", "please ", "can you ", "could you ", "would you ", "hey, ", "ok, ", "so ", "now ", "well, ", "and ",
    "hi, ", "I want you to ", "can you please ", "could you please ", "would you please ", "please can you ", "now please ",
    "just ",
)  # fmt: skip
_LOOSE_OPENINGS = tuple(o for o in _OPENINGS if o.strip() in ("", "hey,", "ok,", "so", "now", "well,", "and", "hi,"))
_ENDINGS = (
    "", "", "", "", "", " please", ", please", " for me", " for me please", " now", " here", " then", " again", ", thanks",
)  # fmt: skip
_ASKING = (
    "what", "who", "how", "I ", "I'd", "an ", "a ", "and ", "any", "got", "have you", "do you", "is there", "your ", "caption,",
    "everything ", "please ", "summary", "alt ", "short", "quick", "brief ", "one ", "full", "detailed", "picture", "image",
    "photo", "the ", "can't",
)  # fmt: skip
_STATING = (
    "introduce", "tell", "describe", "help", "I ", "I'd", "give", "show", "let's", "talk", "say", "test", "explain",
)  # fmt: skip
_AGREED = (("hello", "Hello! " + ABILITIES), ("thanks", "You are welcome."), ("goodbye", "Goodbye!"))


def described(rng: random.Random) -> str:
    """A request to describe the picture."""
    freely = rng.random() < 0.65
    core = rng.choice(EVERYDAY["describe_freely" if freely else "describe"])
    core = core.replace("{it}", f"{rng.choice(_THIS)} {rng.choice(_PICTURES)}")
    if freely:
        opening = rng.choice(_LOOSE_OPENINGS) if rng.random() < 0.3 else ""
        return sentence(opening + core, rng.choice(("?", "?", ".", ".", "!", "", "")))
    free = core.startswith(_ASKING)
    opening = rng.choice(_LOOSE_OPENINGS if free else _OPENINGS)
    text = opening + core + ("" if core.endswith("please") else rng.choice(_ENDINGS))
    asks = free or opening.startswith(("can", "could", "would", "please can"))
    return sentence(text, "?" if asks and rng.random() < 0.8 else rng.choice((".", ".", "!", "")))


def greeting(rng: random.Random) -> tuple[str, str]:
    """A greeting, thanks or a goodbye, and what is answered."""
    kind, answer = rng.choices(_AGREED, (0.6, 0.25, 0.15))[0]
    return sentence(rng.choice(EVERYDAY[kind]), rng.choice("..!!?") if kind == "hello" else rng.choice(".!")), answer


def about_itself(rng: random.Random) -> str:
    """A question about the model: who it is, what it can do."""
    text = rng.choice(EVERYDAY["about_itself"])
    opening = rng.choice(("", "", "", "", "", "", "so, ", "hello, ", "hi, ", "hey, ", "tell me, ", "and ", "wait, "))
    return sentence(opening + text, rng.choice(".!") if text.startswith(_STATING) else "?")


_BEFORE = ("Hey, ", "So, ", "Okay, ", "And ", "Please: ", "Tell me: ", "Quick question: ", "One more: ", "Hm, ")


def sentence(text: str, stop: str) -> str:
    """The text with a capital letter first and `stop` at its end."""
    return text[:1].upper() + text[1:] + stop


def as_typed(text: str, rng: random.Random) -> str:
    """The text as somebody types it: now and then in small letters, without its last sign, or with a word before or after it.
    Names in `<` `>` stay as they are."""
    draw = rng.random()
    if draw < 0.12:
        text = text[:1].lower() + text[1:]
    elif draw < 0.2:
        text = text.lower()
    if rng.random() < 0.18:
        text = text.rstrip("?.!")
    if rng.random() < 0.12:
        text = rng.choice(_BEFORE) + text
    if rng.random() < 0.06:
        text = text.rstrip() + rng.choice((" Thanks!", " Please.", "?", " I wonder.", " Do you know?"))
    return text or "?"
