"""The values that cross boundaries: all frozen, none holds a model.

Axis letters: `K` context tokens, `D` width of the language model, `E` width of the encoder.
"""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plvm.errors import ConceptNameError, RequestError

if TYPE_CHECKING:
    from torch import Tensor

MAX_NAME_LENGTH = 64


@dataclass(frozen=True, eq=False)
class ConceptTokens:
    """What the Aligner makes of a reference: the rows that a concept is to the language model.

    word [D]: input row of `<name>`; head [D]: its LM-head row, at minus infinity where no answer says the name; context
    [K, D]: soft tokens of its definition; key [E]: L2-normalised global encoder feature, for retrieval.
    """

    word: Tensor
    head: Tensor
    context: Tensor
    key: Tensor


@dataclass(frozen=True, eq=False)
class Concept:
    """A named person, pet or thing: a value that is passed to whatever shall know it.

    `aligner` is the fingerprint of the Aligner that made the tokens; `references` are the encoded pictures it was
    enrolled from (kept so that another Aligner can enrol it again); `created` is an ISO 8601 time in UTC. `name` is the
    word that stands as `<name>` in questions and answers, `display` what people call it: "" where that is the same.
    `unlike` says of each reference how unlike the training it is, as `Answer.unlike` does of a picture; `strangers` are the
    numbers of references that seem to show somebody else than the others. Both are known where it was enrolled, and not stored.
    `consent` is a note of who agreed to this, when and how.
    """

    name: str
    tokens: ConceptTokens
    aligner: str
    references: Sequence[bytes] = ()
    notes: str = ""
    created: str = ""
    display: str = ""
    unlike: tuple[float, ...] = ()
    consent: str = ""
    strangers: tuple[int, ...] = ()

    @property
    def shown(self) -> str:
        """What people read: the display name, or the name itself where there is none."""
        return self.display or self.name


@dataclass(frozen=True)
class SamplingParams:
    """How an answer is chosen. temperature 0 is greedy; top_k 0 and top_p 1 keep every token; at most `max_tokens` are
    written; `stop` strings end the answer and are not part of it; `seed` makes drawn answers repeatable (None: they differ).

    Raises RequestError for values out of range."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 64
    stop: tuple[str, ...] = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        checks = (
            (0 <= self.temperature < math.inf, f"temperature must be a number >= 0, not {self.temperature}"),
            (0 < self.top_p <= 1, f"top_p must be in (0, 1], not {self.top_p}"),
            (self.top_k >= 0, f"top_k must be >= 0, not {self.top_k}"),
            (self.max_tokens >= 1, f"max_tokens must be >= 1, not {self.max_tokens}"),
            (all(self.stop), "a stop string must not be empty"),
            (self.seed is None or -(2**63) <= self.seed < 2**64, f"seed must have at most 64 bits, not be {self.seed}"),
        )
        for good, message in checks:
            if not good:
                raise RequestError(message, "Correct the sampling parameters and ask again.")


@dataclass(frozen=True)
class Answer:
    """What the model said. `finish` is "end" (it ended the answer), "stop" (a stop string) or "length" (max_tokens).

    prompt_tokens counts the tokens of the whole prompt; computed_tokens those that went through the backbone for this
    answer's prompt, which is less when an image prefix or earlier turns were reused; new_tokens those that were written in
    `seconds`. `names` are the concepts that the text mentions. `unlike` says how unlike the training the picture is: 0 not at
    all, above 1 more than the limit; None where there is no picture, or the Aligner cannot tell.
    """

    text: str
    finish: str = "end"
    prompt_tokens: int = 0
    computed_tokens: int = 0
    new_tokens: int = 0
    seconds: float = 0.0
    names: tuple[str, ...] = field(default=())
    unlike: float | None = None

    def shown(self, concepts: Iterable[Concept]) -> str:
        """The text with the display names of `concepts` in place of their `<name>`s."""
        return with_display_names(self.text, concepts)


def with_display_names(text: str, concepts: Iterable[Concept]) -> str:
    """`text` with the display names of `concepts` in place of their `<name>`s; any other `<name>` stays."""
    shown = {f"<{concept.name}>": concept.shown for concept in concepts}
    return re.sub(r"<[^<>\s]{1,64}>", lambda found: shown.get(found[0], found[0]), text)


def check_text(text: str, what: str) -> str:
    """`text`, if it can be written down. Raises RequestError, which says `what` it is, where it holds half of a character (a lone
    surrogate: it was typed in another encoding than UTF-8, or cut in the middle) or a NUL, which ends texts elsewhere."""
    wrong = next((c for c in text if "\ud800" <= c <= "\udfff" or c == "\0"), None)
    if wrong is not None:
        raise RequestError(
            f"{what} contains {ascii(wrong)}, which is no character.", "Type it anew, or convert the text to UTF-8."
        )
    return text


def check_name(name: str) -> str:
    """The name in Unicode's composed form (NFC), without surrounding `<` `>`. Raises ConceptNameError where it cannot be one.

    A name is 1 to 64 letters of any script (with the marks that its script writes on them), digits, "-" or "_", and
    does not begin with a mark or "-", so that `<name>` is unmistakable inside a sentence and on a command line.
    """
    text = unicodedata.normalize("NFC", name)
    bare = text[1:-1] if len(text) > 2 and text[0] == "<" and text[-1] == ">" else text
    if not bare:
        raise ConceptNameError("The name is empty.", _NAME_HINT)
    if len(bare) > MAX_NAME_LENGTH:
        raise ConceptNameError(f"The name has {len(bare):,} characters, over {MAX_NAME_LENGTH}.", _NAME_HINT)
    wrong = list(dict.fromkeys(c for i, c in enumerate(bare) if not may_stand(bare, i)))
    if wrong:
        found = ", ".join(map(ascii, wrong[:4])) + (", ..." if len(wrong) > 4 else "")
        raise ConceptNameError(f"The name {bare!r} contains {found}.", f"{_NAME_HINT}{_suggestion(bare)}")
    if bare[0] == "-" or is_mark(bare[0]):
        raise ConceptNameError(f"The name {bare!r} begins with {ascii(bare[0])}.", "Begin it with a letter or digit.")
    if bare == "image":
        raise ConceptNameError('"image" cannot be a name: <image> marks the picture.', "Choose another name.")
    return bare


def nearest_names(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """Up to `count` of `names` that someone who typed `name` may have meant, best first; case makes no difference."""
    folded: dict[str, list[str]] = {}
    for known in sorted(names):
        folded.setdefault(known.casefold(), []).append(known)
    close = difflib.get_close_matches(name.casefold()[:256], folded, n=count, cutoff=0.6)
    return [known for key in close for known in folded[key]][:count]


_NAME_HINT = f'Use at most {MAX_NAME_LENGTH} letters, digits, "-" and "_", for example "billie" or "my-cat".'
_ZERO_WIDTH_NON_JOINER, _ZERO_WIDTH_JOINER = "\u200c", "\u200d"
_VIRAMA_CLASS = 9  # the canonical combining class of the signs that bind Indic consonants


def is_mark(c: str) -> bool:
    """Whether a character is a mark that a script writes on or beside its letters."""
    return unicodedata.category(c) in ("Mn", "Mc")


def may_stand(bare: str, i: int) -> bool:
    """Whether character `i` of `bare` is part of how names are written: a letter, decimal digit, mark, "-", "_", or a
    joiner that shapes real writing (after a virama; between Arabic letters, as in Persian), not just invisible."""
    c = bare[i]
    if c in "-_" or is_mark(c):
        return True
    if c in (_ZERO_WIDTH_NON_JOINER, _ZERO_WIDTH_JOINER) and 0 < i < len(bare) - 1:
        between_arabic = all(unicodedata.bidirectional(n) == "AL" for n in (bare[i - 1], bare[i + 1]))
        return unicodedata.combining(bare[i - 1]) == _VIRAMA_CLASS or (c == _ZERO_WIDTH_NON_JOINER and between_arabic)
    return unicodedata.category(c)[0] == "L" or unicodedata.category(c) == "Nd"


def _suggestion(bare: str) -> str:
    kept = "".join(c if may_stand(bare, i) else " " for i, c in enumerate(bare))
    name = "-".join(kept.split()).strip("-")
    return f' Perhaps "{name}"?' if name else ""
