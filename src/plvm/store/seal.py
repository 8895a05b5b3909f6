"""Seals: 36 bytes that tell whether values are still what was written, and which bit is wrong where it is a single one.

A seal is a CRC-32, by which one flipped bit is found, and a SHA-256, which decides.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence

SIZE = 36
_CRC = 4  # bytes; the digest follows
_STEPS = [zlib.crc32(bytes([i ^ 0xFF])) ^ 0xFF000000 for i in range(256)]  # what a byte does to a CRC-32
Value = bytes | int


def seal(values: Sequence[Value]) -> bytes:
    """The seal of `values`; other values, another order or other borders between them give another one."""
    data, _ = _framed(values)
    return zlib.crc32(data).to_bytes(_CRC, "big") + hashlib.sha256(data).digest()


def is_whole(values: Sequence[Value], found: bytes | None) -> bool:
    """Whether `values` are those that the seal `found` was made of; without a seal nobody can tell, so they are not."""
    return found is not None and len(found) == SIZE and hashlib.sha256(_framed(values)[0]).digest() == found[_CRC:]


def mended(values: Sequence[Value], found: bytes | None) -> list[Value] | None:
    """The values that the seal `found` was made of, where `values` or the seal differ from then in one bit; else None."""
    if found is None or len(found) != SIZE:
        return None
    now = seal(values)
    if _distance(now[_CRC:], found[_CRC:]) <= 1:  # by chance: once in 2^248
        return list(values)
    data, starts = _framed(values)
    bit = _flipped_bit(int.from_bytes(now[:_CRC], "big") ^ int.from_bytes(found[:_CRC], "big"), len(data))
    if bit is None:
        return None
    for i, (value, start) in enumerate(zip(values, starts, strict=True)):
        if start <= bit // 8 < start + _width(value):
            other = list(values)
            other[i] = _with_flip(value, bit - 8 * start)
            return other if is_whole(other, found) else None
    return None


def _framed(values: Sequence[Value]) -> tuple[bytes, list[int]]:
    """All values in a row, each behind its kind and length, and where each begins."""
    data, starts = bytearray(), []
    for value in values:
        data += (b"i" if isinstance(value, int) else b"b") + _width(value).to_bytes(8, "big")
        starts.append(len(data))
        data += _bytes(value)
    return bytes(data), starts


def _width(value: Value) -> int:
    return 8 if isinstance(value, int) else len(value)


def _bytes(value: Value) -> bytes:
    return (value % 2**64).to_bytes(8, "big") if isinstance(value, int) else value


def _with_flip(value: Value, bit: int) -> Value:
    data = bytearray(_bytes(value))
    data[bit // 8] ^= 1 << bit % 8
    return int.from_bytes(data, "big", signed=True) if isinstance(value, int) else bytes(data)


def _distance(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()


def _flipped_bit(difference: int, length: int) -> int | None:
    """Which one bit of `length` bytes makes two CRCs differ by `difference`: 8 * byte + bit; None where it is not one bit.

    A flip in the last byte gives one of eight differences, and every byte behind it turns them into others by a step that
    can be undone; so the steps are undone until one of the eight is met."""
    back = {step >> 24: (i, step) for i, step in enumerate(_STEPS)}
    last = {_STEPS[1 << bit]: bit for bit in range(8)}
    for byte in range(length - 1, -1, -1):
        if difference in last:
            return 8 * byte + last[difference]
        i, step = back[difference >> 24]
        difference = ((difference ^ step) << 8 & 0xFFFFFFFF) | i
    return None
