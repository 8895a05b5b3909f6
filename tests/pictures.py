"""Pictures, good and bad, made on the spot."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 160, 60), (40, 60, 200), (255, 255, 255)


def scene(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Red left half, blue right half, a green bar along the top: every orientation of it is different."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    image.paste(GREEN, (0, 0, size[0], size[1] // 4))
    return image


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """`image` as a file's bytes."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png_bomb(side: int = 30_000) -> bytes:
    """A valid PNG of side x side black pixels, 1 bit each, in about 0.1 MB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(1)
    row = bytes(1 + (side + 7) // 8)
    rows = b"".join(packer.compress(row * 1000) for _ in range(side // 1000)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def animation(format: str) -> bytes:
    """Two frames of 16 x 16 pixels."""
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
    return encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=100)


def rotated_jpeg(orientation: int) -> bytes:
    """`scene()` stored turned or mirrored, with the EXIF note that says how to turn it back, and where it was taken."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = scene() if undo is None else scene().transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "SecretCamera"
    return encoded(image, "JPEG", quality=95, exif=exif, comment=b"SecretComment")


def near(pixel: Any, colour: tuple[int, int, int], slack: int = 24) -> bool:
    """Whether an RGB pixel is `colour`, give or take what JPEG does to it."""
    return all(abs(a - b) <= slack for a, b in zip(pixel, colour))
