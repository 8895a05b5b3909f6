"""What looks like a known name and is not: letters of another alphabet, characters without width.

`skeleton` maps what looks alike to the same text; two names with one skeleton cannot be told apart by eye.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from plvm.errors import ConceptNameError, UnknownConceptError
from plvm.naming.display import INVISIBLE_LETTERS, People, key, label

_LATIN = {
    # Cyrillic, small and capital
    "а": "a", "е": "e", "о": "o", "р": "p", "с": "c", "у": "y", "х": "x", "і": "i", "ј": "j", "ѕ": "s", "һ": "h", "ԁ": "d",
    "ԛ": "q", "ԝ": "w", "ѵ": "v", "ӏ": "l", "ѐ": "è", "ё": "ë", "ї": "ï", "А": "A", "В": "B", "Е": "E", "З": "3", "К": "K",
    "М": "M", "Н": "H", "О": "O", "Р": "P", "С": "C", "Т": "T", "У": "Y", "Х": "X", "І": "I", "Ј": "J", "Ѕ": "S", "Ү": "Y",
    "Ԛ": "Q", "Ԝ": "W", "Ѵ": "V", "Ӏ": "I", "Ё": "Ë", "Ї": "Ï", "Ѐ": "È",
    # Greek, small and capital
    "α": "a", "ο": "o", "ν": "v", "ρ": "p", "ι": "i", "κ": "k", "υ": "u", "ϲ": "c", "ϳ": "j", "Α": "A", "Β": "B", "Ε": "E",
    "Ζ": "Z", "Η": "H", "Ι": "I", "Κ": "K", "Μ": "M", "Ν": "N", "Ο": "O", "Ρ": "P", "Τ": "T", "Υ": "Y", "Χ": "X", "Ϲ": "C",
    "ό": "ó", "ί": "í", "ά": "á", "Ϳ": "J",
    # Latin letters of phonetic and other scripts
    "ɑ": "a", "ɡ": "g", "ⅼ": "l",
}  # fmt: skip
_WORD = re.compile(r"[^\s<>]+")
_EDGES = "\"'“”„‘’«».,;:!?()[]{}…-—–"


@lru_cache(maxsize=8192)
def skeleton(text: str) -> str:
    """`text` with look-alikes of other alphabets as Latin letters and without what has no width; case stays."""
    seen = "".join(c for c in unicodedata.normalize("NFKC", text) if not is_invisible(c))
    mapped = "".join(_LATIN.get(c, c) for c in unicodedata.normalize("NFC", seen))
    return " ".join(unicodedata.normalize("NFC", mapped).split())


def is_invisible(c: str) -> bool:
    """Whether a character has no width of its own and shapes no picture: joiners, directions, fillers, selectors."""
    selector = "\ufe00" <= c <= "\ufe0f" or "\U000e0100" <= c <= "\U000e01ef" or "\u180b" <= c <= "\u180f"
    return unicodedata.category(c) == "Cf" or c in INVISIBLE_LETTERS or selector


def lookalike(name: str, people: People) -> str | None:
    """The word among `people` that looks like `name` whatever its case, but is spelled otherwise; None: there is none."""
    wanted, own = skeleton(name).casefold(), key(name)
    for word, display in people.items():
        for form in (word, display):
            if form and key(form) != own and skeleton(form).casefold() == wanted:
                return word
    return None


def refuse_lookalike(name: str, people: People) -> None:
    """Raise ConceptNameError for a new name that nobody can tell from a known one by eye."""
    for word, display in people.items():
        for form in (word, display):
            if form and form != name and key(form) != key(name) and skeleton(form) == skeleton(name):
                raise ConceptNameError(
                    f"{shown(name)} looks like {label(word, display)}, who is known, but has {oddity(name, form)}.",
                    "Type it anew, or choose another name.",
                )


def refuse_disguised(text: str, people: People) -> None:
    """Raise UnknownConceptError for a word outside `<` `>` that looks like a known name, but mixes alphabets or hides
    characters. A word wholly of another alphabet is a word of another language."""
    if text.isascii():
        return
    parts = {
        skeleton(part).casefold(): (word, part)
        for word, display in people.items()
        for form in (word, display)
        for part in form.split()
    }
    for found in _WORD.findall(re.sub(r"<[^<>\n]*>", " ", text)):
        piece = found.strip(_EDGES)
        piece = re.sub(r"['’]\w{0,4}$", "", piece)
        known = parts.get(skeleton(piece).casefold())
        if known and key(known[1]) != key(piece) and _is_mixed(piece):
            raise unknown_lookalike(piece, *known)


def unknown_lookalike(name: str, word: str, form: str = "") -> UnknownConceptError:
    """The error for a `name` that looks like `<word>`, which is written as `form`."""
    return UnknownConceptError(
        f"{shown(name)} looks like <{word}>, but has {oddity(name, form or word)}.",
        f"Did you mean <{word}>? Type the name anew, or copy it from `plvm list`.",
    )


def oddity(name: str, form: str) -> str:
    """In words, the first character of `name` that cannot be seen or that is not that of `form`."""
    plain = set(unicodedata.normalize("NFC", form))
    odd = [c for c in name if is_invisible(c)] or [c for c in name if c not in plain and skeleton(c) != c] or [name[-1]]
    return f"{unicodedata.name(odd[0], 'a character without a name')} (U+{ord(odd[0]):04X})"


def shown(name: str) -> str:
    """`name` between quotation marks, with what cannot be seen spelled out."""
    return '"' + "".join(ascii(c)[1:-1] if is_invisible(c) else c for c in name[:64]) + '"'


def _is_mixed(word: str) -> bool:
    alphabets = {unicodedata.name(c, "").partition(" ")[0] for c in word if c.isalpha()}
    return len(alphabets) > 1 or any(map(is_invisible, word))
