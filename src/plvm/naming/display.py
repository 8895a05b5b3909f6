"""A display name and the word made of it: "Anna Maria" is `<anna-maria>` to the model.

Whatever can be a word as it is (`types.check_name`) stays that word and needs no display name. The others keep letters, digits
and marks of any script, in lower case; all else becomes "-". People are given as {word: display name, or ""}.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache

from plvm.errors import ConceptNameError
from plvm.types import MAX_NAME_LENGTH, check_name, is_mark, may_stand, nearest_names

MAX_DISPLAY_LENGTH = 60
RESERVED = {"image"}  # <image> marks the picture
INVISIBLE_LETTERS = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # fillers that Unicode counts as letters or marks
APOSTROPHES = "'\u2019\u2018\u02bc\uff07"
_JOINERS = "\u200c\u200d"
_UNSEEN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
_HINT = (
    f"Use at most {MAX_DISPLAY_LENGTH} characters that one can see, without < and >: "
    'for example "billie", "Anna Maria" or "O\'Neill".'
)
People = Mapping[str, str]


def bare(name: str) -> str:
    """`name` in composed form, without the `<` `>` around it."""
    text = unicodedata.normalize("NFC", name)
    return text[1:-1] if len(text) > 2 and text[0] == "<" and text[-1] == ">" else text


def word_and_display(name: str) -> tuple[str, str]:
    """(word, display name) of a name as somebody typed it, with or without `<` `>`; "" where the word is the name itself.

    Raises ConceptNameError where no word can be made of it: it is empty or too long, has `<`, `>` or characters that
    cannot be seen, begins with "-", or has neither letter nor digit.
    """
    text = bare(name)
    _refuse_unseen(text)
    try:
        return check_name(name), ""
    except ConceptNameError:
        if not text.strip() or text.strip() in RESERVED:
            raise
    display = " ".join(text.split())
    if display[0] == "-" or is_mark(display[0]):
        raise ConceptNameError(
            f"The name {display[:64]!r} begins with {ascii(display[0])}.", "Begin it with a letter or digit."
        )
    if len(display) > MAX_DISPLAY_LENGTH:
        raise ConceptNameError(f"The name has {len(display):,} characters, over {MAX_DISPLAY_LENGTH}.", _HINT)
    return _word_of(display), display


def check_display(display: str) -> str:
    """A display name in its usual form; "" stays "". Raises ConceptNameError for what is none."""
    return word_and_display(display)[1] or display.strip() if display else ""


@lru_cache(maxsize=8192)
def key(name: str) -> str:
    """What two spellings of one name have in common: not case, width, kind of apostrophe or number of blanks."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join("".join("'" if c in APOSTROPHES else c for c in folded).split())


def resolve(name: str, people: People) -> str | None:
    """The word among `people` that `name` stands for: a word exactly, or a display name whatever its case. None: nobody's, or
    that of more than one."""
    text = bare(name).strip()
    if text in people:
        return text
    wanted = key(text)
    found = [word for word, display in people.items() if display and key(display) == wanted]
    return found[0] if len(found) == 1 else None


def nearest_words(name: str, people: People, count: int = 3) -> list[str]:
    """Up to `count` words of those whom someone who typed `name` may have meant, best first."""
    words: dict[str, list[str]] = {}
    for word, display in people.items():
        for form in {word, display} - {""}:
            words.setdefault(form, []).append(word)
    close = nearest_names(bare(name), words, count)
    return list(dict.fromkeys(word for form in close for word in words[form]))[:count]


def words_for(new: Sequence[tuple[str, str]], known: People) -> list[str]:
    """The word that each new (word, display name) gets: that of `known` who has the same display name; otherwise its own,
    with "-2", "-3" ... where somebody else of another display name has it. A name without display name keeps its word."""
    taken = {*known, *RESERVED, *(word for word, display in new if not display)}
    same = {key(display): word for word, display in known.items() if display}
    words = []
    for word, display in new:
        if display:
            if key(display) not in same:
                same[key(display)] = word = unused(word, taken)
                taken.add(word)
            word = same[key(display)]
        words.append(word)
    return words


def unused(word: str, taken: Collection[str]) -> str:
    """`word`, or where it is taken the first of `word-2`, `word-3` ... that is not."""
    number, free = 1, word
    while free in taken:
        number += 1
        suffix = f"-{number}"
        free = word[: MAX_NAME_LENGTH - len(suffix)].rstrip("-" + _JOINERS) + suffix
    return free


def label(word: str, display: str = "") -> str:
    """How messages call somebody: `<billie>`, or `Anna Maria <anna-maria>`."""
    return f"{display} <{word}>" if display else f"<{word}>"


def typed(name: str) -> str:
    """`name` as one types it in a shell: between quotation marks where it needs them."""
    plain = all(may_stand(name, i) or name[i] in "._" for i in range(len(name)))
    return name if plain else '"' + name.replace('"', '\\"') + '"'


def hint_of(words: Iterable[str]) -> str:
    """ "Did you mean <billie> or <billy>? ", or "" for no words."""
    shown = " or ".join(f"<{word}>" for word in words)
    return f"Did you mean {shown}? " if shown else ""


def _refuse_unseen(text: str) -> None:
    wrong = [c for i, c in enumerate(text) if c in INVISIBLE_LETTERS or c in "<>" or _is_unseen(text, i)]
    if wrong and len(text) <= MAX_NAME_LENGTH:
        found = ", ".join(map(ascii, dict.fromkeys(wrong[:4]))) + (", ..." if len(wrong) > 4 else "")
        shown = "".join(c for c in text if c not in wrong)
        raise ConceptNameError(
            f"The name {text!r} contains {found}.", _HINT + (f' Perhaps "{shown}"?' if shown.strip() else "")
        )
    if wrong:
        raise ConceptNameError(f"The name has {len(text):,} characters, over {MAX_DISPLAY_LENGTH}.", _HINT)


def _is_unseen(text: str, i: int) -> bool:
    """Whether a reader sees nothing of character `i`. A joiner that shapes letters, or one picture out of two, is seen."""
    if unicodedata.category(text[i]) not in _UNSEEN or may_stand(text, i):
        return False
    between_pictures = 0 < i < len(text) - 1 and unicodedata.category(text[i + 1]) == "So"
    return not (text[i] == "\u200d" and between_pictures)


def _word_of(display: str) -> str:
    lowered = unicodedata.normalize("NFC", display.replace("İ", "i").lower())
    kept = ""
    for i, c in enumerate(lowered):
        if c in "-_" or not may_stand(lowered, i) or (is_mark(c) and not kept.strip("-")):
            c = "-"
        if is_mark(c) and kept.endswith("-"):  # it belonged to what was left away
            continue
        kept += "" if c == "-" and kept.endswith("-") else c
    word = kept[:MAX_NAME_LENGTH].strip("-" + _JOINERS)
    if not word:
        raise ConceptNameError(f"The name {display!r} has neither a letter nor a digit.", _HINT)
    return word
