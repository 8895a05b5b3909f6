"""The one door for pictures: the right picture comes in, or a clear refusal comes out."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pictures import BLUE, GREEN, RED, WHITE, animation, encoded, near, png_bomb, rotated_jpeg, scene
from plvm import images
from plvm.errors import ImageError
from plvm.images import encode_image, open_image


def refusal(source: object, **limits: int) -> ImageError:
    with pytest.raises(ImageError) as caught:
        open_image(source, **limits)  # type: ignore[arg-type]
    assert caught.value.message.endswith(".") and caught.value.hint, "a refusal says what is wrong and what to do"
    assert len(str(caught.value)) < 400
    return caught.value


def is_scene(image: Image.Image, slack: int = 24) -> bool:
    points = {(12, 40): RED, (52, 40): BLUE, (32, 3): GREEN}
    return image.size == (64, 48) and all(near(image.getpixel(at), colour, slack) for at, colour in points.items())


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_a_picture_opens_the_same_from_path_text_bytes_and_pil(format: str, tmp_path: Path) -> None:
    data = encoded(scene(), format)
    path = tmp_path / "scene"
    path.write_bytes(data)
    for source in (path, str(path), data, Image.open(path)):
        image = open_image(source)
        assert image.mode == "RGB" and is_scene(image)


def test_the_result_belongs_to_the_caller() -> None:
    original = scene()
    open_image(original).paste(WHITE, (0, 0, 64, 48))
    assert is_scene(original)


def test_a_wrong_extension_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "scene.jpg"
    path.write_bytes(encoded(scene(), "PNG"))
    assert is_scene(open_image(path), slack=0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    assert is_scene(open_image(rotated_jpeg(orientation)))


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_keeps_its_colours(format: str) -> None:
    assert is_scene(open_image(encoded(scene().convert("CMYK"), format)))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(format: str) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    image = open_image(encoded(Image.fromarray(np.tile(ramp, (16, 1))), format))
    greys = np.asarray(image)[0, :, 0].astype(int)
    assert np.abs(greys - np.arange(256)).max() <= 1


def test_transparency_is_composited_on_white() -> None:
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([*RED, *BLUE])
    palette.paste(1, (4, 0, 8, 8))
    image = open_image(encoded(palette, "PNG", transparency=0))
    assert image.getpixel((1, 1)) == WHITE and image.getpixel((6, 1)) == BLUE
    half = open_image(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 128)), "PNG"))
    assert near(half.getpixel((1, 1)), (127, 127, 127), slack=2)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "PA", "HSV", "YCbCr", "LAB", "RGBX", "RGBa"])
def test_any_mode_of_pil_comes_out_as_rgb_or_is_refused(mode: str) -> None:
    try:
        image = open_image(Image.new(mode, (8, 8)))
    except ImageError as error:
        assert mode == "LAB" and error.hint
    else:
        assert image.mode == "RGB"


def test_a_broken_colour_profile_does_not_spoil_the_picture() -> None:
    assert is_scene(open_image(encoded(scene(), "PNG", icc_profile=b"no profile at all" * 20)))


def test_a_phone_picture_with_a_second_picture_behind_it_opens_as_the_first() -> None:
    data = encoded(scene(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48), WHITE)], quality=95)
    assert is_scene(open_image(data))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_animations_are_refused_and_single_frames_are_not(format: str) -> None:
    assert "animated" in refusal(animation(format)).message
    assert open_image(encoded(Image.new("RGB", (16, 16), RED), format)).size == (16, 16)


def test_a_tiff_of_two_pages_is_refused() -> None:
    assert "2 pages" in refusal(animation("TIFF")).message


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = png_bomb()
    assert len(bomb) < 1_000_000
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("the bomb was decoded"))
    error = refusal(bomb)
    assert "900,000,000" in error.message and "64,000,000" in error.message


def test_pixels_and_bytes_are_limited() -> None:
    assert "64 x 48" in refusal(encoded(scene()), max_pixels=64 * 48 - 1).message
    assert "64 x 48" in refusal(scene(), max_pixels=64 * 48 - 1).message
    assert "MiB" in refusal(b"x" * 2000, max_bytes=1999).message


def test_a_large_file_is_not_read_beyond_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with open(path, "wb") as file:
        file.truncate(200 * 1024**3)  # sparse: it takes no room, but reading it all would take the machine down
    assert "50 MiB" in refusal(path).message


def test_a_hair_thin_picture_is_refused() -> None:
    assert "narrow" in refusal(encoded(Image.new("L", (1, 5000)))).message


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_off_picture_is_refused(format: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, format)
    message = refusal(data[: int(len(data) * share)]).message
    assert "cut off" in message or "damaged" in message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes"),
        (b"hello, I am a text file\n" * 9, "not a picture"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        (b"<!doctype html><html>", "web page"),
        (b"P6 2 2 255 " + bytes(12), "not a picture"),
    ],
)
def test_what_is_no_picture_is_refused_by_its_kind(data: bytes, words: str) -> None:
    assert words in refusal(data).message


def test_random_bytes_behind_a_true_header_never_escape_as_another_error() -> None:
    random = np.random.default_rng(1)
    for format in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        whole = encoded(scene(), format)
        for _ in range(20):
            data = np.frombuffer(whole, np.uint8).copy()
            spots = random.integers(4, len(data), 12)
            data[spots] = random.integers(0, 256, 12)
            try:
                open_image(data.tobytes())
            except ImageError as error:
                assert error.hint


def test_a_missing_file_names_what_is_there_instead(tmp_path: Path) -> None:
    for name in ("billie.jpg", "notes.txt"):
        (tmp_path / name).touch()
    error = refusal(tmp_path / "bilie.jpg")
    assert "does not exist" in error.message and str(tmp_path / "billie.jpg") in error.hint
    assert "notes.txt" not in error.hint
    assert "folder" in refusal(tmp_path / "nowhere" / "billie.jpg").message


def test_folders_pipes_and_nonsense_are_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "a folder" in refusal(tmp_path).message
    assert "not a regular file" in refusal(pipe).message
    assert "No picture" in refusal("").message
    assert "No picture" in refusal("a\0b").message
    assert "cannot be read" in refusal("x" * 10_000).message


@pytest.mark.parametrize(
    "url", ["https://example.org/a.png", "file:///etc/passwd", "FTP://a/b", "data:image/png;base64,AA"]
)
def test_urls_are_never_fetched(url: str) -> None:
    assert "URL" in refusal(url).message


def test_what_is_kept_of_a_reference_is_upright_small_and_free_of_metadata() -> None:
    photo = rotated_jpeg(6)
    kept = encode_image(photo)
    assert is_scene(open_image(kept))
    for secret in (b"SecretCamera", b"SecretComment", b"Exif"):
        assert secret in photo and secret not in kept
    assert max(open_image(encode_image(scene((3000, 1500)))).size) == 1024


def test_a_small_reference_is_kept_exactly_and_a_heavy_one_as_jpeg() -> None:
    assert np.array_equal(np.asarray(open_image(encode_image(scene()))), np.asarray(scene()))
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8))
    kept = encode_image(noise)
    assert Image.open(io.BytesIO(kept)).format == "JPEG" and len(kept) < len(encoded(noise))
    profile_and_comment = encoded(noise, "JPEG", comment=b"SecretComment", icc_profile=b"SecretProfile")
    assert b"Secret" not in encode_image(profile_and_comment)


def test_kept_pictures_are_encoded_once_and_only_when_somebody_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, encoded = [scene(), scene((3000, 1500))], []
    monkeypatch.setattr(images, "encode_image", lambda p: encoded.append(p.size) or encode_image(p))
    kept = images.KeptImages(pictures)
    assert len(kept) == 2 and not encoded
    assert (
        kept == tuple(encode_image(p) for p in pictures) and hash(kept) == hash(tuple(kept)) and kept[:1] == (kept[0],)
    )
    assert encoded == [scene().size, (1024, 512)], "what is too large is not held in full"
