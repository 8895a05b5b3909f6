"""What `/v1/concepts` takes and gives."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from plvm.server.chat_schema import PIXEL, Strict
from plvm.store.entry import Entry
from plvm.types import Concept

MOST_IMAGES = 16  # of one person


class NewConcept(Strict):
    """Somebody to be known from now on: a name, and pictures as data URIs or ids of uploaded files."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Billie", "images": [PIXEL]}]})

    name: str = Field(min_length=1, max_length=80)
    images: list[str] = Field(min_length=1, max_length=MOST_IMAGES)
    notes: str = Field("", max_length=4000)
    consent: str = Field("", max_length=4000, description="Who agreed to this, when and how.")
    replace: bool = False
    face: int | None = Field(None, ge=1, description="Of a single picture with several faces, which is meant; 1 is the leftmost.")
    box: tuple[float, float, float, float] | None = Field(
        None, description="Only what is inside this box of a single picture: left, top, right, bottom, in pixels."
    )


class MoreImages(Strict):
    """More pictures of somebody, as data URIs or ids of uploaded files."""

    images: list[str] = Field(min_length=1, max_length=MOST_IMAGES)


class Renaming(Strict):
    """What somebody shall be called."""

    name: str = Field(min_length=1, max_length=80)


class ConceptOut(BaseModel):
    """What is known of somebody. `name` is the word that stands as `<name>` in questions and answers, `shown` what people read.
    Known where it was just enrolled: `unlike`, how unlike the training each picture is, and `strangers`, the numbers (from 0) of
    those that seem to show somebody else than the others."""

    object: Literal["concept"] = "concept"
    name: str
    shown: str
    notes: str = ""
    consent: str = ""
    created: str = ""
    pictures: int
    usable: bool = True
    damage: list[str] = []
    unlike: list[float] | None = None
    strangers: list[int] | None = None


class ConceptList(BaseModel):
    """A page of concepts; `after` the last name the next one begins."""

    object: Literal["list"] = "list"
    data: list[ConceptOut]
    has_more: bool
    last: str | None = None
    total: int


class Deleted(BaseModel):
    """What is there no more."""

    id: str
    object: str
    deleted: bool = True


def out_of(entry: Entry, aligner: str) -> ConceptOut:
    """An entry of the store; it is usable where the Aligner of this fingerprint made it and nothing is damaged."""
    return ConceptOut(
        name=entry.name, shown=entry.display or entry.name, notes=entry.notes, consent=entry.consent, created=entry.created,
        pictures=len(entry.references), usable=entry.aligner == aligner and not entry.damage, damage=list(entry.damage),
    )  # fmt: skip


def enrolled_out(kept: Concept, made: Concept) -> ConceptOut:
    """Somebody as the store `kept` them, and what is known of the pictures they were just `made` from."""
    return ConceptOut(
        name=kept.name, shown=kept.shown, notes=kept.notes, consent=kept.consent, created=kept.created,
        pictures=len(kept.references), unlike=[round(score, 3) for score in made.unlike] or None,
        strangers=list(made.strangers) or None,
    )  # fmt: skip
