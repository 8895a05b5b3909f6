"""The people in a sentence, between `<` and `>` or as one says their names.

A name counts as whole words only: not in "Annabel", not in "Anna-Lena", but in "Anna's" and "Anna?". Where a script writes no
blanks between words any place will do. Names of one character or of digits alone need their `<` `>`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from plvm.errors import RequestError
from plvm.naming.display import APOSTROPHES, People, hint_of, key, resolve
from plvm.naming.ordinary import is_ordinary, stands_as_name
from plvm.types import is_mark

BRACKETS = re.compile(r"<([^<>\n]{1,64})>")
_NO_BLANKS = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x312F), (0x31A0, 0x9FFF), (0xAA60, 0xAA7F),
              (0xF900, 0xFAFF), (0x20000, 0x3FFFF))  # fmt: skip
_HANGUL = (0xAC00, 0xD7A3)
_PARTICLES = re.compile(
    "(이)?(은|는|가|을|를|의|와|과|랑|도|만|에게|에게서|한테|에|로|으로|야|아|씨|님|께서|이)?"
)  # what Korean writes to a name without a blank


def marked(text: str, people: People, *, exact: bool = False) -> str:
    """`text`, composed, in which everyone of `people` whom it names stands as `<word>`.

    Between `<` and `>` a word or a display name may stand; without them either, whatever its case, the longest first; with
    `exact` only what stands between `<` and `>` is looked at. Raises RequestError for a name that two people have.
    """
    text = unicodedata.normalize("NFC", text)
    found: list[tuple[int, int, str]] = []
    closed: list[tuple[int, int]] = []
    for match in BRACKETS.finditer(text):
        closed.append(match.span())
        if (word := _in_brackets(match[1], people, exact)) is not None:
            found.append((*match.span(), word))
    for start, end, words in () if exact else _spoken(text, people):
        if all(end <= s or start >= e for s, e in closed):
            closed.append((start, end))
            found.append((start, end, _only(text[start:end], words, people)))
    for start, end, word in sorted(found, reverse=True):
        text = f"{text[:start]}<{word}>{text[end:]}"
    return text


def _in_brackets(content: str, people: People, exact: bool) -> str | None:
    word = resolve(content, people)
    if word is None and not exact:
        alike = [w for w in people if key(w) == key(content)]
        return alike[0] if len(alike) == 1 else None
    return word


def _spoken(text: str, people: People) -> Iterator[tuple[int, int, list[str]]]:
    """(start, end, words of those who are called so) of every whole name outside `<` `>`, the longest names first."""
    folded = key(text)
    called: dict[str, tuple[str, list[str]]] = {}
    for word, display in people.items():
        for form in (word, display):
            if form and key(form) in folded and len(form) > 1 and not form.isdigit():
                words = called.setdefault(key(form), (form, []))[1]
                words += [word] if word not in words else []
    for form, words in sorted(called.values(), key=lambda found: -len(found[0])):
        ordinary = is_ordinary(form)
        for match in re.finditer(_pattern(form), text, re.IGNORECASE):
            start, end = match.span()
            if is_whole(text, start, end) and (not ordinary or stands_as_name(text, start, end)):
                yield start, end, words


def _only(spelled: str, words: list[str], people: People) -> str:
    """The one of `words` that is meant by `spelled`. Raises RequestError where more than one may be."""
    if len(words) == 1:
        return words[0]
    exactly = [word for word in words if " ".join(spelled.split()) in (word, people[word])]
    if len(exactly) == 1:
        return exactly[0]
    raise RequestError(f'"{spelled}" is the name of {len(words)} people.', f"{hint_of(words)}Write it with < >.")


def _pattern(form: str) -> str:
    """The form as a pattern: any blanks, any apostrophe, letters of either width."""
    parts = []
    for c in form:
        if c.isspace():
            parts.append(r"\s+")
        elif c in APOSTROPHES:
            parts.append(f"[{APOSTROPHES}]")
        else:
            parts.append(f"[{re.escape(c)}{chr(ord(c) + 0xFEE0)}]" if "!" <= c <= "~" else re.escape(c))
    return "".join(parts)


def is_whole(text: str, start: int, end: int) -> bool:
    """Whether `text[start:end]` is whole words, and not part of a longer name, an address or a file name."""
    before, after = text[:start], text[end:]
    return _ends_before(before, text[start]) and _begins_after(after, text[end - 1])


def _ends_before(before: str, first: str) -> bool:
    if not before:
        return True
    if _in_word(before[-1]):
        return _needs_no_blank(before[-1]) or _needs_no_blank(first)
    if before[-1] in APOSTROPHES:  # "d'Anna", but not "O'Neill"
        run = re.search(r"(\w*)$", before[:-1])
        return run is None or not run[1] or run[1].islower()
    return not (before[-1] in "-@.\\" and _in_word(before[-2:-1]))


def _begins_after(after: str, last: str) -> bool:
    if not after:
        return True
    if is_mark(after[0]):
        return False
    if _in_word(after[0]):
        if _between(after[0], _HANGUL) and (run := re.match(r"\w+", after)):
            return not _between(last, _HANGUL) or _PARTICLES.fullmatch(run[0]) is not None
        return _needs_no_blank(after[0]) or _needs_no_blank(last)
    if after[0] in APOSTROPHES:  # "Anna's", "Ayşe'nin", but not "O'Neill"
        run = re.match(r"\w*", after[1:])
        return run is None or len(run[0]) <= 4 and (not run[0] or run[0].islower())
    return not (after[0] in "-@" and _in_word(after[1:2]) or after[0] == "." and re.match(r"[\da-z]", after[1:]))


def _in_word(c: str) -> bool:
    return bool(c) and (c.isalnum() or c == "_" or is_mark(c))


def _needs_no_blank(c: str) -> bool:
    return any(_between(c, span) for span in _NO_BLANKS)


def _between(c: str, span: tuple[int, int]) -> bool:
    return span[0] <= ord(c) <= span[1]
