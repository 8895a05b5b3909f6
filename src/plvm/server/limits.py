"""How much one server takes: of memory, of time, of anybody's patience."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """`body_bytes` of one request; `pictures` and `people` that come with it; `queue` requests wait while `batch` are answered
    side by side; an answer has `seconds`, of which a picture may want many on a CPU; `tokens` are the longest answer.

    `per_minute` requests of one key (0: any number). Uploaded files are held for `file_seconds`, at most `file_bytes` of them a
    namespace, in memory alone; `session_bytes` are for dialogues that may go on, `guests` people that came with requests.
    """

    body_bytes: int = 64 * 1024**2
    pictures: int = 24
    people: int = 16
    queue: int = 64
    batch: int = 16
    seconds: float = 120.0
    tokens: int = 1024
    per_minute: int = 0
    file_seconds: float = 3600.0
    file_bytes: int = 256 * 1024**2
    session_bytes: int = 256 * 1024**2
    guests: int = 512
