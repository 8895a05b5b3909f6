"""When a host says to come back: the Retry-After header of HTTP."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime


def seconds(header: str | None, longest: float) -> float | None:
    """A Retry-After header, seconds or a date -> seconds from now, at most `longest`; None where it says nothing."""
    if header is None:
        return None
    try:
        wait = float(header)
    except ValueError:
        try:
            wait = (email.utils.parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(wait, 0.0), longest)
