"""`/v1/recognize` and `/v1/describe`: who is in a picture, and what is to be seen there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from plvm.personal import Personal
from plvm.presence.roll import Presence, with_places
from plvm.presence.verdicts import NO, YES
from plvm.server.chat_routes import Caller
from plvm.server.chat_schema import PIXEL, GuestIn, Strict
from plvm.server.errors_schema import ErrorResponse
from plvm.server.service import Service
from plvm.server.visitors import Visitor
from plvm.types import Concept

router = APIRouter(tags=["pictures"], responses={"4XX": {"model": ErrorResponse}})
Seen = TypeVar("Seen", "Recognized", "Described")


class PictureIn(Strict):
    """A picture, as a data URI or the id of an uploaded file. `concepts` come with it: {name, images}, or the names of stored
    ones to ask about; without any, everybody who is stored is asked about."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"image": PIXEL}]})

    model: str | None = None
    image: str
    concepts: list[GuestIn | str] = Field(default=[], max_length=64)


class RecognizeIn(PictureIn):
    """With `places` the model says where those are who may be there; otherwise nobody has a place."""

    places: bool = False


class PersonOut(BaseModel):
    """Whether somebody is there. `probability` is the model's own P(Yes), null where it was not asked, `evidence` in log-odds is
    what the verdict rests on; `place` is what the model says of where they are."""

    name: str
    shown: str
    verdict: str = Field(pattern="^(yes|unsure|no)$")
    probability: float | None = None
    evidence: float | None = None
    place: str | None = None


class Recognized(BaseModel):
    """A verdict about everybody who was asked about, surest first. `calibrated` is false where the verdicts were never fitted to
    this model."""

    object: Literal["recognition"] = "recognition"
    model: str
    people: list[PersonOut]
    calibrated: bool
    unlike: float | None = None


class Described(BaseModel):
    """A caption in which those who are surely there are named, and everybody who may be, with what the model says of where.
    `tags` are the names of those who are surely there."""

    object: Literal["description"] = "description"
    model: str
    caption: str
    people: list[PersonOut]
    tags: list[str]
    unlike: float | None = None


@router.post("/v1/recognize", response_model=Recognized)
async def recognize(body: RecognizeIn, request: Request, namespace: Caller) -> Any:
    """Say of everybody whether they are in a picture: yes, no or unsure."""
    service: Service = request.app.state.service

    def work(vlm: Personal, picture: Any, concepts: list[Concept]) -> Recognized:
        seen = vlm.look(picture, namespace=namespace)
        found = vlm.verdicts([seen], concepts, namespace=namespace)[0] if concepts else []
        if body.places:
            (placed,) = with_places(vlm.engine, [seen], concepts, [found], namespace=namespace)
            there = {p.name: p for p in placed}
            found = [there.get(p.name, p) for p in found]
        ranks = {YES: 0, NO: 2}
        found = sorted(found, key=lambda p: (ranks.get(p.verdict, 1), -p.evidence))
        return Recognized(
            model=service.name, people=[_out(p, concepts) for p in found],
            calibrated=vlm.calibration.verdicts.calibrated, unlike=_rounded(seen.unlike),
        )  # fmt: skip

    return await _seen(service, namespace, body, work)


@router.post("/v1/describe", response_model=Described)
async def describe(body: PictureIn, request: Request, namespace: Caller) -> Any:
    """Describe a picture in a sentence or two, with the names of those who are there."""
    service: Service = request.app.state.service

    def work(vlm: Personal, picture: Any, concepts: list[Concept]) -> Described:
        answer, found = vlm.describe(picture, concepts, namespace=namespace)
        people = [_out(p, concepts) for p in found]
        return Described(
            model=service.name, caption=answer.shown(concepts), people=people,
            tags=[p.shown for p in people if p.verdict == YES], unlike=_rounded(answer.unlike),
        )  # fmt: skip

    return await _seen(service, namespace, body, work)


async def _seen(
    service: Service, namespace: str, body: PictureIn, work: Callable[[Personal, Any, list[Concept]], Seen]
) -> Seen:
    """What `work` sees in the picture of a request, of those whom it asks about; the store notes that those who are surely there
    were used."""
    picture, visitors, stored = await asyncio.to_thread(_read, service, namespace, body)
    seen = await service.compute(lambda vlm: work(vlm, picture, _everybody(service, vlm, visitors, stored)))
    await service.note_use(namespace, [p.name for p in seen.people if p.verdict == YES])
    return seen


def _read(service: Service, namespace: str, body: PictureIn) -> tuple[Any, list[Visitor], list[Concept]]:
    """The picture, those who come with it, and the stored concepts to ask about."""
    if body.model is not None:
        service.check_model(body.model)
    picture = service.picture(namespace, body.image, "image")
    visitors, names = [], []
    for i, one in enumerate(body.concepts):
        if isinstance(one, str):
            names.append(one)
        else:
            where = f"concepts[{i}].images"
            images = [(image, f"{where}[{j}]") for j, image in enumerate(one.images)]
            visitors.append(service.visitor(namespace, one.name, images))
    if names or not visitors:
        stored = service.store(namespace).chosen(lambda _: names or None, aligner=service.vlm.fingerprint)
    else:
        stored = []
    return picture, visitors, stored


def _everybody(service: Service, vlm: Personal, visitors: list[Visitor], stored: list[Concept]) -> list[Concept]:
    guests = service.visitors.enrolled(vlm, visitors)
    theirs = {guest.name for guest in guests}
    return [*guests, *(c for c in stored if c.name not in theirs)]


def _out(p: Presence, concepts: list[Concept]) -> PersonOut:
    shown = next(c.shown for c in concepts if c.name == p.name)
    known = p.probability is not None
    return PersonOut(
        name=p.name, shown=shown, verdict=p.verdict, probability=_rounded(p.probability),
        evidence=round(p.evidence, 3) if known else None, place=p.place or None,
    )  # fmt: skip


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 4)
