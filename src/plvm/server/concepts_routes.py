"""`/v1/concepts`: the people, pets and things that the caller's key knows."""

from __future__ import annotations

import asyncio
import io
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from plvm.errors import UnknownConceptError
from plvm.images import open_image
from plvm.server.chat_routes import Caller
from plvm.server.concepts_schema import (
    MOST_IMAGES,
    ConceptList,
    ConceptOut,
    Deleted,
    MoreImages,
    NewConcept,
    Renaming,
    enrolled_out,
    out_of,
)
from plvm.server.errors_schema import ErrorResponse
from plvm.server.refusals import Refusal
from plvm.server.service import Service
from plvm.store import ConceptStore
from plvm.store.entry import Entry

router = APIRouter(tags=["concepts"], responses={"4XX": {"model": ErrorResponse}})


@router.post("/v1/concepts", status_code=201, response_model=ConceptOut)
async def add_concept(body: NewConcept, request: Request, namespace: Caller) -> Any:
    """Enrol somebody from one or several pictures. The answer comes once everything is safely stored."""
    service: Service = request.app.state.service
    pictures = [
        await asyncio.to_thread(service.picture, namespace, image, f"images[{i}]") for i, image in enumerate(body.images)
    ]
    store = service.store(namespace)
    if not body.replace:
        await asyncio.to_thread(store.check_free, body.name)
    made = await service.compute(lambda vlm: vlm.enroll(body.name, *pictures, notes=body.notes, face=body.face, box=body.box))
    made = replace(made, consent=body.consent)
    old = await asyncio.to_thread(_known, store, body.name)
    kept = await asyncio.to_thread(store.add, made, replace=body.replace)
    request.state.concept = kept.name
    service.left(namespace, kept.name, () if old is None else old.references)
    return enrolled_out(kept, made)


@router.get("/v1/concepts", response_model=ConceptList)
def list_concepts(
    request: Request, namespace: Caller, limit: Annotated[int, Query(ge=1, le=1000)] = 100, after: str | None = None,
    search: Annotated[str | None, Query(max_length=80)] = None,
) -> Any:  # fmt: skip
    """Everybody, sorted by name, `limit` at a time; with `search`, those whose name contains it."""
    service: Service = request.app.state.service
    page = service.store(namespace).page(limit, after=after, search=search or "")
    data = [out_of(entry, service.vlm.fingerprint) for entry in page.entries]
    return ConceptList(data=data, has_more=page.more, last=data[-1].name if data else None, total=page.total)


@router.get("/v1/concepts/{name}", response_model=ConceptOut)
def get_concept(name: str, request: Request, namespace: Caller) -> Any:
    """What is known of somebody, by word or display name."""
    service: Service = request.app.state.service
    return out_of(service.store(namespace).entry(name), service.vlm.fingerprint)


@router.patch("/v1/concepts/{name}", response_model=ConceptOut)
def rename_concept(name: str, body: Renaming, request: Request, namespace: Caller) -> Any:
    """Call somebody something else."""
    service: Service = request.app.state.service
    store = service.store(namespace)
    (old,) = store.check_known(name)
    word = store.rename(old, body.name)
    service.left(namespace, old, ())
    return out_of(store.entry(word), service.vlm.fingerprint)


@router.delete("/v1/concepts/{name}", response_model=Deleted)
def forget_concept(name: str, request: Request, namespace: Caller) -> Any:
    """Forget somebody: rows and pictures leave the store, their bytes its file, and what was computed with them the memory."""
    service: Service = request.app.state.service
    (word,) = service.store(namespace).check_known(name)
    service.forget(namespace, word)
    return Deleted(id=word, object="concept.deleted")


@router.post("/v1/concepts/{name}/images", status_code=201, response_model=ConceptOut)
async def add_images(name: str, body: MoreImages, request: Request, namespace: Caller) -> Any:
    """Enrol somebody anew, from the pictures that are there and these."""
    service: Service = request.app.state.service
    more = [await asyncio.to_thread(service.picture, namespace, image, f"images[{i}]") for i, image in enumerate(body.images)]
    store = service.store(namespace)
    old = await asyncio.to_thread(store.get, name)
    count = len(old.references) + len(more)
    if count > MOST_IMAGES:
        raise Refusal(
            400, "too_many_pictures", f"<{old.name}> would have {count} pictures; {MOST_IMAGES} may be.",
            "Send fewer, or choose the best ones with POST /v1/concepts and \"replace\".", param="images",
        )  # fmt: skip
    made = await service.compute(lambda vlm: vlm.enroll(old.display or old.name, *old.references, *more, notes=old.notes))
    await asyncio.to_thread(store.check_known, old.name)  # whoever was forgotten meanwhile stays forgotten
    kept = await asyncio.to_thread(store.add, replace(made, consent=old.consent), replace=True)
    request.state.concept = kept.name
    service.left(namespace, kept.name, ())
    return enrolled_out(kept, made)


@router.get(
    "/v1/concepts/{name}/thumbnail", response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}, "description": "A JPEG picture"}},
)  # fmt: skip
def thumbnail(
    name: str, request: Request, namespace: Caller, size: Annotated[int, Query(ge=16, le=1024)] = 160,
    number: Annotated[int, Query(ge=0)] = 0,
) -> Response:  # fmt: skip
    """Picture `number` of somebody (counted from 0), at most `size` pixels a side."""
    service: Service = request.app.state.service
    entry = service.store(namespace).entry(name)
    if number >= len(entry.references):
        raise Refusal(404, "picture_not_found", f"<{entry.name}> has {len(entry.references)} pictures.", "They count from 0.")
    picture = open_image(entry.references[number])
    picture.thumbnail((size, size))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return Response(file.getvalue(), media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})


@router.get(
    "/v1/export", response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "A file that `plvm import` takes"}},
)  # fmt: skip
def export_concepts(request: Request, namespace: Caller, name: Annotated[list[str] | None, Query()] = None) -> Response:
    """The concepts called `name` (may be repeated; default: all) as one portable file."""
    service: Service = request.app.state.service
    store = service.store(namespace)
    if not store.names():
        raise Refusal(404, "nothing_to_export", "Nobody is enrolled yet.", "Add somebody with POST /v1/concepts.")
    with tempfile.TemporaryDirectory(prefix="plvm-") as folder:
        file = Path(folder) / "concepts.plvm"
        store.export(file, name)
        data = file.read_bytes()
    headers = {"Content-Disposition": 'attachment; filename="concepts.plvm"'}
    return Response(data, media_type="application/octet-stream", headers=headers)


def _known(store: ConceptStore, name: str) -> Entry | None:
    """Who is called `name` already; None: nobody is."""
    try:
        return store.entry(name)
    except UnknownConceptError:
        return None
