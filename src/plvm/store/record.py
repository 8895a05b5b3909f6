"""What is kept of one concept, as it was found, and whether it is what was written.

A row's number is part of its seals, and a picture's seal has its concept's: so no value can be taken for another's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plvm.store.seal import Value, is_whole, mended, seal
from plvm.store.tokens import tokens_from_bytes
from plvm.types import Concept

TEXTS = ("namespace", "name", "display", "aligner", "notes", "created")


@dataclass(frozen=True)
class Remains:
    """What is whole of a damaged concept, where it is enough to enrol it again: all but its tokens, and a picture."""

    name: str
    display: str
    aligner: str
    notes: str
    created: str
    references: Sequence[bytes]


@dataclass(frozen=True)
class Damage:
    """A damaged concept: its name, as far as it can be read, what of it is damaged, and what of it can be enrolled again."""

    name: str
    parts: tuple[str, ...]
    remains: Remains | None = None

    def __str__(self) -> str:
        return f"<{self.name}> is damaged: {', '.join(self.parts)}"


@dataclass
class Record:
    """One row of `plvm_concepts` and its rows of `plvm_references`: texts as UTF-8, images by position as (picture, seal)."""

    id: int
    values: dict[str, Any]
    images: dict[int, tuple[bytes, bytes | None]] = field(default_factory=dict)

    @property
    def row_whole(self) -> bool:
        """Whether the texts and the count of pictures are what was written."""
        return is_whole(row_values(self.whole_row), self.values["seal"])

    @property
    def tokens_whole(self) -> bool:
        """Whether the tokens are what was written."""
        return is_whole(token_values(self.whole_row), self.values["tokens_seal"])

    @property
    def whole_row(self) -> dict[str, Any]:
        """All columns."""
        return self.values | {"id": self.id}

    def picture_row(self, position: int) -> dict[str, Any]:
        """The row of one picture."""
        picture, found = self.images[position]
        return {"concept_id": self.id, "position": position, "picture": picture, "seal": found}

    def whole_pictures(self) -> list[bytes]:
        """The pictures that are what was written, in their order."""
        rows = [self.picture_row(position) for position in sorted(self.images)]
        return [row["picture"] for row in rows if is_whole(picture_values(row), row["seal"])]

    def text(self, column: str) -> str:
        """A text, with what is not UTF-8 replaced; "" where there is none."""
        return _bytes(self.values[column]).decode(errors="replace")

    def name(self) -> str:
        """Its name; where that is damaged by one bit, the name that it was."""
        if not self.row_whole and (values := mended(row_values(self.whole_row), self.values["seal"])) is not None:
            return _bytes(values[1 + TEXTS.index("name")]).decode(errors="replace")
        return self.text("name")

    def damage(self) -> Damage | None:
        """What is damaged of it, None where it is whole."""
        row, tokens, pictures = self.row_whole, self.tokens_whole, self.whole_pictures()
        count = self.values["pictures"]
        parts = [] if row else ["its name, notes or dates changed since they were written"]
        parts += [] if tokens else ["its tokens changed since they were written"]
        if len(pictures) < len(self.images):
            parts.append("a picture changed since it was written")
        if row and len(self.images) != count:
            parts.append("a picture is missing")
        if not parts:
            return None
        again = row and not tokens and pictures
        return Damage(self.name(), tuple(parts), self._remains(pictures) if again else None)

    def _remains(self, pictures: Sequence[bytes]) -> Remains:
        name, display, aligner, notes, created = (self.text(f) for f in ("name", "display", "aligner", "notes", "created"))
        return Remains(name, display, aligner, notes, created, pictures)

    def concept(self) -> Concept:
        """The concept that a whole record is. Raises ValueError for tokens that are none."""
        pictures = tuple(self.images[position][0] for position in sorted(self.images))
        tokens = tokens_from_bytes(self.values["tokens"])
        name, aligner, notes, created, display = (self.text(f) for f in ("name", "aligner", "notes", "created", "display"))
        return Concept(name, tokens, aligner, pictures, notes, created, display)


def row_values(row: Mapping[str, Any]) -> list[Value]:
    """What the seal of a concept's row is made of: everything but its tokens."""
    return [row["id"], *(_bytes(row[column]) for column in TEXTS), _int(row["pictures"])]


def token_values(row: Mapping[str, Any]) -> list[Value]:
    """What the seal of a concept's tokens is made of."""
    return [row["id"], _bytes(row["tokens"])]


def picture_values(row: Mapping[str, Any]) -> list[Value]:
    """What the seal of a picture is made of."""
    return [row["concept_id"], row["position"], _bytes(row["picture"])]


def seals_of(row: Mapping[str, Any]) -> dict[str, bytes]:
    """The two seals of a concept's row."""
    return {"seal": seal(row_values(row)), "tokens_seal": seal(token_values(row))}


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else b"" if value is None else str(value).encode()


def _int(value: Any) -> int:
    return -1 if value is None else int(value)
