"""What is known of a concept without its tokens: what a listing shows, and what enrolling again needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

ROW = "its name, notes or dates changed since they were written"
TOKENS = "its tokens changed since they were written"
PICTURE = "a picture changed since it was written"
LOST = "a picture is missing"
HIDDEN = "it cannot be decrypted"
UNREADABLE = "its row in the file cannot be read"


@dataclass(frozen=True)
class Entry:
    """A stored concept without its tokens. `display` is "" where the name is what people call it, `aligner` the fingerprint of
    the Aligner that made it, `created` an ISO 8601 time in UTC, `references` are the pictures that are what was written.
    `damage` says what of it is not, () where all is; a damaged name is given as far as it can be read."""

    name: str
    display: str = ""
    aligner: str = ""
    notes: str = ""
    created: str = ""
    references: tuple[bytes, ...] = field(default=(), repr=False)
    damage: tuple[str, ...] = ()
    consent: str = ""

    @property
    def can_be_made_again(self) -> bool:
        """Whether all that is damaged are tokens, perhaps pictures too, and a picture is whole to make new ones from."""
        return TOKENS in self.damage and ROW not in self.damage and bool(self.references)

    def __str__(self) -> str:
        return f"<{self.name}> is damaged: {', '.join(self.damage)}" if self.damage else f"<{self.name}>"


@dataclass(frozen=True)
class Page:
    """Some of those who are stored: `total` is how many match the search, `more` whether some come behind these."""

    entries: Sequence[Entry]
    total: int
    more: bool
