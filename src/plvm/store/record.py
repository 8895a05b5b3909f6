"""What is kept of one concept, as it was found, and whether it is what was written.

A row's number is part of its seals, and a picture's seal has its concept's: so no value can be taken for another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plvm.store.cipher import Plain, hide_text, show_text
from plvm.store.entry import HIDDEN, LOST, PICTURE, ROW, TOKENS, Entry
from plvm.store.seal import Value, is_whole, mended, seal
from plvm.store.tokens import tokens_from_bytes
from plvm.types import Concept

TEXTS = ("namespace", "name", "display", "aligner", "notes", "created")
BETWEEN = "\x1e"  # notes and consent, in one column
Row = dict[str, Any]


@dataclass
class Record:
    """A row of `plvm_concepts`, and by position its rows of `plvm_references`; texts are UTF-8."""

    row: Row
    pictures: dict[int, Row] = field(default_factory=dict)

    def entry(self, cipher: Plain) -> Entry:
        """What it says, and what of it is damaged."""
        values, damage = row_values(self.row), []
        if not is_whole(values, self.row["seal"]):
            damage.append(ROW)
            values = mended(values, self.row["seal"]) or values
        if not is_whole(token_values(self.row), self.row["tokens_seal"]):
            damage.append(TOKENS)
        namespace = as_text(self.row["namespace"])
        whole = [row["picture"] for row in self._in_order() if is_whole(picture_values(row), row["seal"])]
        if len(whole) < len(self.pictures):
            damage.append(PICTURE)
        if ROW not in damage and len(self.pictures) != self.row["pictures"]:
            damage.append(LOST)
        texts = {column: as_text(value) for column, value in zip(TEXTS[1:], values[2:], strict=False)}
        texts["name"], texts["display"] = shown_names(cipher, namespace, texts["name"], texts["display"])
        try:
            notes = show_text(cipher, texts["notes"], f"{namespace}\nnotes")
            texts["notes"], _, texts["consent"] = notes.partition(BETWEEN)
            pictures = tuple(cipher.show(picture, picture_place(namespace)) for picture in whole)
        except ValueError:
            return Entry(texts["name"], damage=(*damage, HIDDEN))
        return Entry(**texts, references=pictures, damage=tuple(damage))

    def concept(self, entry: Entry, cipher: Plain) -> Concept:
        """The concept that it is, where it is whole; `entry` is its own. Raises ValueError for tokens that are none."""
        tokens = tokens_from_bytes(cipher.show(self.row["tokens"], f"{as_text(self.row['namespace'])}\ntokens"))
        return Concept(
            entry.name, tokens, entry.aligner, entry.references, entry.notes, entry.created, entry.display, consent=entry.consent
        )

    def _in_order(self) -> list[Row]:
        return [self.pictures[position] for position in sorted(self.pictures)]


def texts_of(concept: Concept, namespace: str) -> dict[str, str]:
    """The texts of a concept by column; those of the notes are its notes and, behind a separator, its consent."""
    texts = {column: getattr(concept, column) for column in TEXTS if column != "namespace"}
    return {"namespace": namespace, **texts, "notes": concept.notes + (BETWEEN + concept.consent if concept.consent else "")}


def hidden_row(cipher: Plain, texts: Mapping[str, str]) -> Row:
    """The texts of a concept as they are kept."""
    namespace = texts["namespace"]
    return {
        **texts,
        "name": cipher.hide_name(texts["name"], namespace),
        "display": hide_text(cipher, texts["display"], f"{namespace}\ndisplay"),
        "notes": hide_text(cipher, texts["notes"], f"{namespace}\nnotes"),
    }


def shown_names(cipher: Plain, namespace: str, name: Any, display: Any) -> tuple[str, str]:
    """A concept's name and display name out of what is kept; what cannot be decrypted stays as it is."""
    try:
        return cipher.show_name(as_text(name), namespace), show_text(cipher, as_text(display), f"{namespace}\ndisplay")
    except ValueError:
        return as_text(name), ""


def picture_place(namespace: str) -> str:
    """Where a picture belongs, for its encryption."""
    return f"{namespace}\npicture"


def tokens_shown(cipher: Plain, tokens: bytes, namespace: str) -> bytes:
    """Tokens out of what is kept; b"" where they cannot be decrypted."""
    try:
        return cipher.show(tokens, f"{namespace}\ntokens")
    except ValueError:
        return b""


def key_shown(cipher: Plain, key: bytes, namespace: str) -> bytes:
    """A key out of what is kept; b"" where it cannot be decrypted."""
    try:
        return cipher.show(key, f"{namespace}\nkey")
    except ValueError:
        return b""


def row_values(row: Mapping[str, Any]) -> list[Value]:
    """What the seal of a concept's row is made of: everything but its tokens."""
    count = -1 if row["pictures"] is None else int(row["pictures"])
    return [row["id"], *(_bytes(row[column]) for column in TEXTS), count]


def token_values(row: Mapping[str, Any]) -> list[Value]:
    """What the seal of a concept's tokens is made of."""
    return [row["id"], _bytes(row["tokens"])]


def picture_values(row: Mapping[str, Any]) -> list[Value]:
    """What the seal of a picture is made of."""
    return [row["concept_id"], row["position"], _bytes(row["picture"])]


def seals_of(row: Mapping[str, Any]) -> dict[str, bytes]:
    """The two seals of a concept's row."""
    return {"seal": seal(row_values(row)), "tokens_seal": seal(token_values(row))}


def as_text(value: Any) -> str:
    """A value of a text column, with what is not UTF-8 replaced; "" where there is none."""
    return _bytes(value).decode(errors="replace")


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else b"" if value is None else str(value).encode()
