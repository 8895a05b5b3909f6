"""Where in a photograph a face is, in words: faces are counted from left to right."""

from __future__ import annotations

MOST = 6  # faces of a photograph that are told apart; of more, the largest
NUMBERS = ("nobody", "1 person", "2 people", "3 people", "4 people", "5 people", "6 people")
_PLACES = {
    1: ("in the middle",),
    2: ("on the left", "on the right"),
    3: ("on the left", "in the middle", "on the right"),
    4: ("on the far left", "second from the left", "second from the right", "on the far right"),
    5: ("on the far left", "second from the left", "in the middle", "second from the right", "on the far right"),
    6: (
        "on the far left", "second from the left", "third from the left", "third from the right", "second from the right",
        "on the far right",
    ),
}  # fmt: skip
PLACES = tuple(dict.fromkeys(place for places in _PLACES.values() for place in places))


def places_of(count: int) -> tuple[str, ...]:
    """Where each of `count` faces is, up to MOST."""
    return _PLACES[count] if count else ()
