"""Photographs' frozen parts, without a photograph: drawn faces, noise, and arithmetic done another way."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from plvm.errors import CheckpointError
from plvm.vision.face_chip import UPRIGHT, face_chip, fitted
from plvm.vision.face_code import FaceCode, weights_of
from plvm.vision.face_finder import Face, FaceFinder, in_strips, suppress
from plvm.vision.photo_reader import PhotoReader
from plvm.vision.thing_code import ThingCode, convolved, pooled, windows

RNG = np.random.default_rng(0)


def integer(value: int) -> bytes:
    body = value.to_bytes((value.bit_length() + 7) // 8 or 1, "little")
    return bytes([len(body)]) + body


def tensor(numbers: np.ndarray) -> bytes:
    return b"".join(integer(n) for n in (2, numbers.size, 1, 1, 1)) + struct.pack(f"<{numbers.size}f", *numbers)


def written(net: FaceCode) -> bytes:
    """`net` as dlib writes it, with other layers' words between."""
    w = {name: value.numpy() for name, value in net.state_dict().items()}
    data = b"\x01\x02loss_metric_2" + b"input_rgb_image_sized"
    pairs = [("stem", "stem_affine")]
    pairs += [(f"blocks.{i}.{k}", f"blocks.{i}.{k}_affine") for i in range(len(net.blocks)) for k in ("first", "second")]
    for layer, affine in pairs:
        data += b"\x05con_4" + tensor(np.concatenate([w[f"{layer}.weight"].ravel(), w[f"{layer}.bias"]])) + b"rest"
        data += b"\x07affine_" + tensor(np.concatenate([w[f"{affine}.gamma"], w[f"{affine}.beta"]])) + b"relu_110"
    return data + b"\x04fc_2" + integer(128) + integer(256) + tensor(w["out.weight"].T.ravel())


def test_a_descriptor_written_as_dlib_writes_it_is_read_to_the_bit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, file = FaceCode(), tmp_path / "net.dat"
    file.write_bytes(written(net))
    read = weights_of(file)
    assert read.keys() == net.state_dict().keys()
    assert all(torch.equal(read[name], value) for name, value in net.state_dict().items())


def test_a_face_described_both_ways_is_the_mean_of_itself_and_its_mirror_image() -> None:
    net, faces = FaceCode(), torch.rand(3, 3, 150, 150) * 255
    with torch.inference_mode():
        found, alone = net.both_ways(faces), [net(face[None]) for face in (faces[1], faces[1].flip(-1))]
    torch.testing.assert_close(found[1], (alone[0] + alone[1])[0] / 2)


def test_another_file_is_refused_as_a_descriptor(tmp_path: Path) -> None:
    (tmp_path / "other.dat").write_bytes(b"\x05con_4" + tensor(np.ones(7, np.float32)))
    with pytest.raises(CheckpointError, match="not dlib's face descriptor"):
        weights_of(tmp_path / "other.dat")


def test_a_fit_undoes_a_turn_a_scale_and_a_move() -> None:
    angle, points = 0.4, RNG.normal(size=(5, 2))
    turn = 2.5 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = fitted(points @ turn.T + [30, -4], points)
    assert np.allclose(matrix[:, :2], np.linalg.inv(turn))
    assert np.allclose((points @ turn.T + [30, -4]) @ matrix[:, :2].T + matrix[:, 2], points)


@pytest.mark.parametrize("size", [0.4, 1.0, 5.0])
def test_points_of_a_turned_face_of_any_size_come_to_their_places(size: float) -> None:
    angle = -0.5
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (UPRIGHT - 75) @ turn.T + 420
    canvas = np.zeros((840, 840, 3), np.uint8)
    y, x = np.mgrid[:840, :840]
    for px, py in points:
        spot = 255 * np.exp(-np.hypot(x + 0.5 - px, y + 0.5 - py) ** 2 / (2 * max(1.5, 3 * size) ** 2))
        canvas = np.maximum(canvas, spot.round().astype(np.uint8)[:, :, None])
    chip = face_chip(Image.fromarray(canvas), points).astype(float)[:, :, 0]
    gy, gx = np.mgrid[:150, :150] + 0.5
    for px, py in UPRIGHT:
        near = np.where(np.hypot(gx - px, gy - py) < 12, chip, 0)
        assert abs((near * gx).sum() / near.sum() - px) < 0.5
        assert abs((near * gy).sum() / near.sum() - py) < 0.5


def test_a_face_beyond_the_edge_is_black_there() -> None:
    chip = face_chip(Image.new("RGB", (150, 150), "white"), UPRIGHT - [75, 0])
    assert chip[:, :70].max() == 0
    assert chip[10:140, 80:140].min() == 255


def test_of_boxes_that_share_much_the_surest_stays() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30], [22, 22, 26, 26.0]])
    sure = torch.tensor([0.7, 0.9, 0.8, 0.6])
    assert suppress(boxes, sure, 0.5).tolist() == [1, 2, 3]
    assert suppress(boxes, sure, 0.5, of_smaller=True).tolist() == [1, 2]
    assert suppress(boxes[:0], sure[:0], 0.5).tolist() == []


def test_a_finder_that_takes_all_for_faces_stays_about_the_picture() -> None:
    torch.manual_seed(1)
    finder = FaceFinder(smallest=24, sure=(0.0, 0.0, 0.0))
    faces = finder.find(Image.fromarray(RNG.integers(0, 256, (60, 90, 3), dtype=np.uint8)))
    middles = [(f.box[0] + f.box[2]) / 2 for f in faces]
    assert faces and middles == sorted(middles)
    assert all(f.points.shape == (5, 2) and np.isfinite(f.points).all() for f in faces)


def test_a_picture_smaller_than_any_face_has_none() -> None:
    assert FaceFinder().find(Image.new("RGB", (8, 8))) == []


def test_a_picture_searched_in_strips_has_the_same_places_as_one_searched_whole() -> None:
    torch.manual_seed(5)
    net = FaceFinder().pnet
    for height in (12, 13, 73, 74, 75, 76, 200):
        picture = torch.rand(1, 3, height, 40)
        whole = net["conv1"](picture)
        whole = torch.nn.functional.max_pool2d(net["prelu1"](whole), 2, stride=2, ceil_mode=True)
        for layer in "23":
            whole = net[f"prelu{layer}"](net[f"conv{layer}"](whole))
        torch.testing.assert_close(in_strips(net, picture), whole)


@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(16, 24), (17, 24), (16, 25)])
def test_filters_look_beyond_the_edges_as_tensorflow_pads(side: int, stride: int, size: tuple[int, int]) -> None:
    """SAME: the result has a place for every stride begun; of an odd number of zeros there is one more behind than before."""
    torch.manual_seed(6)
    layer, x, padded = torch.nn.Conv2d(4, 4, side, stride, groups=4), torch.randn(2, 4, *size), []
    for n in reversed(size):
        zeros = max((math.ceil(n / stride) - 1) * stride + side - n, 0)
        padded += [zeros // 2, zeros - zeros // 2]
    torch.testing.assert_close(convolved(layer, x), layer(torch.nn.functional.pad(x, padded)))


def test_norms_folded_into_filters_compute_the_same() -> None:
    torch.manual_seed(4)
    net, picture = ThingCode(), 255 * torch.rand(1, 3, 64, 96)
    for norm in (part for part in net.modules() if isinstance(part, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 2)
        norm.weight.uniform_(0.5, 2)
        norm.bias.normal_(0, 0.1)
    plain = net(picture)
    assert plain.std() > 0.1
    assert torch.allclose(net.folded()(picture), plain, rtol=1e-3, atol=1e-4)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in net.modules())


def test_windows_are_pooled_as_cutting_the_map_would() -> None:
    features = torch.rand(6, 8, 12, dtype=torch.float64)
    boxes = windows((1, 2))
    assert len(boxes) == 10
    for box, code in zip(boxes, pooled(features, boxes)):
        left, right, top, bottom = round(box[0] * 12), round(box[2] * 12), round(box[1] * 8), round(box[3] * 8)
        expected = (features[:, top:bottom, left:right] ** 3).mean((1, 2)) ** (1 / 3)
        assert torch.allclose(code, expected / expected.norm())


def test_a_picture_of_any_shape_has_codes_for_all_its_windows() -> None:
    torch.manual_seed(2)
    codes, boxes = ThingCode().describe(Image.fromarray(RNG.integers(0, 256, (50, 130, 3), dtype=np.uint8)), short=64)
    assert codes.shape == (10, 1280) and boxes.shape == (10, 4)
    assert np.allclose(np.linalg.norm(codes, axis=1), 1, atol=1e-5)


def test_a_reading_has_a_code_for_every_face_as_if_read_alone() -> None:
    torch.manual_seed(3)
    reader = PhotoReader(FaceFinder(), FaceCode(), ThingCode())
    image = Image.fromarray(RNG.integers(0, 256, (200, 400, 3), dtype=np.uint8))
    faces = [Face((0, 0, 150, 150), UPRIGHT + move, 1.0) for move in ([0, 20], [150, 10], [230, 40])]
    together = reader.describe(image, faces)
    assert together.shape == (3, 128)
    assert np.allclose(together[1], reader.describe(image, faces[1:2])[0], atol=1e-4)
    assert reader.describe(image, []).shape == (0, 128)
