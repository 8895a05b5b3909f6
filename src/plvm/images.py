"""The one door through which every picture enters: limits, decoding, orientation, colour; clear refusals.

Pictures are untrusted. Size limits come before decoding (file size, then the pixel count of the header), the format is
found from the content and must be on a short list, and whatever a decoder raises becomes an ImageError with a hint.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import overload

from PIL import Image, ImageCms, ImageOps

from plvm.errors import ImageError
from plvm.types import nearest_names

Source = str | Path | bytes | Image.Image

MAX_BYTES = 50 * 1024**2
MAX_PIXELS = 64_000_000
MAX_ASPECT = 100  # beyond it, scaling the short side up to an encoder's input would make the long one enormous
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
REFERENCE_SIDE = 1024
REFERENCE_PNG_BYTES = 512 * 1024

_READS = "JPEG, PNG, WebP, GIF, BMP, TIFF and AVIF pictures"
_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_FOREIGN = (
    (b"%PDF", "a PDF document", "Export the page as PNG."),
    (b"<svg", "an SVG drawing", "Export it as PNG."),
    (b"<?xml", "an XML file", "Export the drawing as PNG."),
    (b"<!DOCTYPE html", "a web page", "Save the picture itself, not the page that shows it."),
)


def open_image(source: Source, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture in `source` as it should look: RGB, 8 bits, upright, sRGB, transparency on white, free of metadata.

    `source` is a file (never a URL), its bytes, or a PIL image (its current frame). The result is the caller's own.
    Raises ImageError for anything that is not one readable still picture of at most `max_bytes` bytes and `max_pixels`
    pixels; animations and files of several pages are refused, because which frame was meant is not ours to guess.
    """
    if isinstance(source, Image.Image):
        _check_size(source, "The picture", max_pixels)
        return _decode(source, "The picture")
    label, data = _read(source, max_bytes)
    with _identify(data, label, max_pixels) as image:
        _check_size(image, label, max_pixels)
        _check_still(image, label)
        return _decode(image, label)


def file_bytes(path: str | Path) -> bytes:
    """The bytes of a picture's file, not looked at: at most MAX_BYTES. Raises ImageError where there is none."""
    return _read(path, MAX_BYTES)[1]


def encode_image(source: Source, *, max_side: int = REFERENCE_SIDE) -> bytes:
    """The bytes to keep of a reference: at most `max_side` pixels a side, upright, without any metadata (where and
    when a photo was taken is private). PNG, which loses nothing, unless that is over 512 KiB; then a fine JPEG."""
    image = _reduced(open_image(source), max_side)
    png = io.BytesIO()
    image.save(png, "PNG", compress_level=1)  # a third faster than the default, 8 % larger
    if png.tell() <= REFERENCE_PNG_BYTES:
        return png.getvalue()
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=95, subsampling=0)
    return jpeg.getvalue()


class KeptImages(Sequence[bytes]):
    """RGB pictures as the bytes to keep of them, encoded when they are first asked for: PNG takes longer than enrolling."""

    def __init__(self, pictures: Sequence[Image.Image]) -> None:
        self._pictures = [_reduced(p, REFERENCE_SIDE) for p in pictures]

    @cached_property
    def _encoded(self) -> tuple[bytes, ...]:
        return tuple(map(encode_image, self._pictures))

    def __len__(self) -> int:
        return len(self._pictures)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[bytes, ...]: ...
    def __getitem__(self, index: int | slice) -> bytes | tuple[bytes, ...]:
        return self._encoded[index]

    def __eq__(self, other: object) -> bool:
        return self._encoded == tuple(other) if isinstance(other, (tuple, KeptImages)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._encoded)


def sniff_format(data: bytes) -> str | None:
    """The format that the first bytes of `data` claim, one of FORMATS, or None."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    return next((name for magic, name in _MAGIC if data.startswith(magic)), None)


def _reduced(image: Image.Image, max_side: int) -> Image.Image:
    """The picture itself where it is small enough, else a copy of at most `max_side` pixels a side."""
    if max(image.size) <= max_side:
        return image
    copy = image.copy()
    copy.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return copy


def _read(source: str | Path | bytes, max_bytes: int) -> tuple[str, bytes]:
    """How to speak of `source`, and its bytes: not empty, at most `max_bytes`."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        label, data = "The picture", bytes(source)
    else:
        label, data = _short(str(source)), _read_file(source, max_bytes)
    if len(data) > max_bytes:
        raise ImageError(
            f"{label} has more than {max_bytes / 1024**2:,.0f} MiB.", "Save it smaller; 1024 pixels a side are plenty."
        )
    if not data:
        raise ImageError(f"{label} is empty (0 bytes).", "Copy or download the picture again.")
    return label, data


def _read_file(source: str | Path, max_bytes: int) -> bytes:
    name, label = str(source), _short(str(source))
    if re.match(r"([a-z][a-z0-9+.-]+://|data:)", name, re.IGNORECASE):
        raise ImageError(
            f"{label} is a URL; plvm fetches nothing from the network.", "Download it, then name the file."
        )
    if not name or "\0" in name:
        raise ImageError("No picture was named.", "Give the path of a picture.")
    try:
        mode = os.stat(name).st_mode
        if stat.S_ISDIR(mode):
            raise ImageError(f"{label} is a folder, not a picture.", "Name one picture in it.")
        if not stat.S_ISREG(mode):  # reading a pipe or a device could wait, or go on, for ever
            raise ImageError(f"{label} is not a regular file.", "Name a picture file.")
        with open(name, "rb") as file:
            return file.read(max_bytes + 1)
    except FileNotFoundError:
        raise _missing(Path(name)) from None
    except OSError as error:
        raise ImageError(f"{label} cannot be read: {error.strerror}.", "Check the path and its permissions.") from None


def _missing(path: Path) -> ImageError:
    folder = path.parent
    if not folder.is_dir():
        return ImageError(f"{_short(str(path))} does not exist, nor does its folder.", "Check the path.")
    with os.scandir(folder) as entries:
        close = nearest_names(path.name, (entry.name for entry in islice(entries, 10_000)))
    hint = f"Did you mean {' or '.join(str(folder / name) for name in close)}?" if close else "Check the path."
    return ImageError(f"{_short(str(path))} does not exist.", hint)


def _identify(data: bytes, label: str, max_pixels: int) -> Image.Image:
    """The picture with its header read and its pixels not."""
    Image.init()
    try:
        return Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name in Image.OPEN])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        raise _too_large(label, f"{int(found[1]):,}" if found else f"more than {max_pixels:,}", max_pixels) from None
    except MemoryError:
        raise _too_large(label, "too many", max_pixels) from None
    except Exception:  # the parsers raise whatever they trip over: OSError, SyntaxError, struct.error, ValueError, ...
        raise _unreadable(data, label) from None


def _unreadable(data: bytes, label: str) -> ImageError:
    claimed = sniff_format(data)
    if claimed is not None:
        return ImageError(f"{label} is a damaged {claimed} picture.", "Copy or download it again.")
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"hevc", b"msf1"):
        return ImageError(f"{label} is a HEIC picture, which plvm does not read.", "Export it as JPEG, then try again.")
    start = data.lstrip()[:32].lower()
    for magic, what, hint in _FOREIGN:
        if start.startswith(magic.lower()):
            return ImageError(f"{label} is {what}, not a picture.", hint)
    return ImageError(f"{label} is not a picture that plvm reads.", f"It reads {_READS}.")


def _check_size(image: Image.Image, label: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise _too_large(label, f"{width:,} x {height:,}", max_pixels)
    if min(width, height) < 1 or max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"{label} is {width:,} x {height:,} pixels, too narrow to see anything on.",
            f"Use a picture that is at most {MAX_ASPECT} times as long as wide.",
        )


def _too_large(label: str, pixels: str, max_pixels: int) -> ImageError:
    return ImageError(
        f"{label} has {pixels} pixels; at most {max_pixels:,} in all are read.",
        "Scale it down; 1024 pixels a side are plenty.",
    )


def _check_still(image: Image.Image, label: str) -> None:
    if image.format == "MPO":  # a phone's JPEG with a preview or depth picture behind the photo, which comes first
        return
    try:
        frames = int(getattr(image, "n_frames", 1))
    except Exception:  # counting reads the rest of the file, which may be cut off
        raise ImageError(f"{label} is a damaged {image.format} picture.", "Copy or download it again.") from None
    if frames > 1:
        what = "pages" if image.format == "TIFF" else "frames: it is animated"
        raise ImageError(f"{label} has {frames} {what}.", "Save the one you mean as PNG and use that.")


def _decode(image: Image.Image, label: str) -> Image.Image:
    try:
        image.load()
        plain = _flatten(_to_srgb(_upright(image)), label)
    except ImageError:
        raise
    except Exception as error:  # see _identify
        hint = "Copy or download it again." if image.format else "Convert it to RGB first."
        reason = "is cut off" if "truncated" in str(error) else "is damaged: its pixels cannot be decoded"
        raise ImageError(f"{label} {reason}.", hint) from None
    plain.info = {}  # comments, EXIF and profiles would otherwise be written again by the next save
    return plain


def _upright(image: Image.Image) -> Image.Image:
    """An upright copy."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF is no reason to refuse a whole picture: it stays as its pixels are
        return image.copy()


def _to_srgb(image: Image.Image) -> Image.Image:
    """`image` in sRGB if it carries another colour profile that can be read, else unchanged."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "CMYK"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return image
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    return image if converted is None else converted


def _flatten(image: Image.Image, label: str) -> Image.Image:
    """An RGB picture: deep greys scaled to 8 bits, transparency on white."""
    if image.mode.startswith("I"):
        return _scale_grey(image, label).convert("RGB")
    if image.mode == "F":
        raise ImageError(f"{label} has floating-point pixels.", "Save it with 8 or 16 bits a channel.")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _scale_grey(image: Image.Image, label: str) -> Image.Image:
    """Pillow's own conversion clips 16-bit greys at 255, which turns a photo white."""
    import numpy as np  # half of this module's time at the prompt, for one rare kind of picture

    deep = np.asarray(image).astype(np.int64)
    if deep.min() < 0 or deep.max() > 65535:
        raise ImageError(f"{label} has 32-bit pixels.", "Save it with 8 or 16 bits a channel.")
    return Image.fromarray(((deep * 255 + 32767) // 65535).astype(np.uint8))


def _short(name: str) -> str:
    """`name` on one line of bearable length, its end kept: that is where files differ."""
    line = "".join(c if c.isprintable() else "?" for c in name)
    return line if len(line) <= 120 else f"...{line[-117:]}"
