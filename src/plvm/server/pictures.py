"""Pictures as requests bring them: data URIs and ids of uploaded files. Nothing is fetched from anywhere."""

from __future__ import annotations

import base64
import binascii
import re

from PIL import Image

from plvm.errors import ImageError
from plvm.images import open_image
from plvm.server.refusals import Refusal
from plvm.server.uploads import Uploads

_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*)(;base64)?,", re.IGNORECASE)
_HINT = 'Send it as "data:image/jpeg;base64,..." or upload it with POST /v1/files and give its id.'


def picture_of(source: str, uploads: Uploads, namespace: str, param: str | None = None) -> Image.Image:
    """The picture that `source` stands for. Raises Refusal, with the field `param`, for what is none."""
    return opened(bytes_of(source, uploads, namespace, param), param)


def opened(data: bytes, param: str | None = None) -> Image.Image:
    """The picture in a file. Raises Refusal."""
    try:
        return open_image(data)
    except ImageError as error:
        raise Refusal(400, "invalid_image", error.message, error.hint, param=param) from None


def bytes_of(source: str, uploads: Uploads, namespace: str, param: str | None = None) -> bytes:
    """The bytes of a picture's file. Raises Refusal."""
    source = source.strip()
    if source.startswith("file-"):
        try:
            return uploads.get(namespace, source).data
        except Refusal as error:
            raise Refusal(error.status, error.code, error.message, error.hint, param=param) from None
    if re.match(r"[a-z][a-z0-9+.-]*://", source, re.IGNORECASE):
        raise Refusal(
            400, "remote_fetch", "This server fetches no picture from the network.", _HINT, param=param
        )
    match = _DATA.match(source)
    if match is None or match[3] is None:
        raise Refusal(400, "invalid_image", "This is no picture that can be read: it is no base64 data URI.", _HINT, param=param)
    try:
        return base64.b64decode("".join(source[match.end() :].split()), validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(
            400, "invalid_image", "The picture's base64 is damaged or cut off.", "Encode the whole file again.", param=param
        ) from None
