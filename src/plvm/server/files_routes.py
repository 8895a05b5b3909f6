"""`/v1/files`: pictures that are sent once and asked about often. They are held in memory for a while, never on a disk."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, Response, UploadFile

from plvm.errors import ImageError
from plvm.images import open_image
from plvm.server.chat_routes import Caller
from plvm.server.concepts_schema import Deleted
from plvm.server.errors_schema import ErrorResponse
from plvm.server.files_schema import FileList, FileOut, out_of
from plvm.server.refusals import Refusal
from plvm.server.service import Service

router = APIRouter(tags=["files"], responses={"4XX": {"model": ErrorResponse}})


@router.post("/v1/files", response_model=FileOut)
def upload_file(
    request: Request, namespace: Caller, file: Annotated[UploadFile, File()],
    purpose: Annotated[Literal["vision", "user_data", "assistants"], Form()] = "vision",
) -> Any:  # fmt: skip
    """Upload a picture; its id stands where a data URI can."""
    service: Service = request.app.state.service
    data = file.file.read()
    try:
        open_image(data)
    except ImageError as error:
        raise Refusal(400, "invalid_image", error.message, error.hint, param="file") from None
    return out_of(service.uploads.add(namespace, file.filename or "picture", purpose, data))


@router.get("/v1/files", response_model=FileList)
def list_files(request: Request, namespace: Caller) -> Any:
    """All files that are held, the newest first."""
    service: Service = request.app.state.service
    data = [out_of(upload) for upload in service.uploads.list(namespace)]
    return FileList(data=data, first_id=data[0].id if data else None, last_id=data[-1].id if data else None)


@router.get("/v1/files/{id}", response_model=FileOut)
def get_file(id: str, request: Request, namespace: Caller) -> Any:
    """What is known of a file."""
    service: Service = request.app.state.service
    return out_of(service.uploads.get(namespace, id))


@router.get(
    "/v1/files/{id}/content", response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file"}},
)  # fmt: skip
def get_content(id: str, request: Request, namespace: Caller) -> Response:
    """The file itself."""
    service: Service = request.app.state.service
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"}
    return Response(service.uploads.get(namespace, id).data, media_type="application/octet-stream", headers=headers)


@router.delete("/v1/files/{id}", response_model=Deleted)
def delete_file(id: str, request: Request, namespace: Caller) -> Any:
    """Forget a file."""
    service: Service = request.app.state.service
    service.uploads.delete(namespace, id)
    return Deleted(id=id, object="file")
