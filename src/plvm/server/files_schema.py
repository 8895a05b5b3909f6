"""What `/v1/files` gives."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from plvm.server.uploads import Upload


class FileOut(BaseModel):
    """An uploaded file."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"


class FileList(BaseModel):
    """Uploaded files, the newest first."""

    object: Literal["list"] = "list"
    data: list[FileOut]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


def out_of(upload: Upload) -> FileOut:
    """A held file."""
    return FileOut(
        id=upload.id, bytes=len(upload.data), created_at=upload.created, expires_at=upload.expires, filename=upload.name,
        purpose=upload.purpose,
    )  # fmt: skip
