"""What makes the pictures of a dataset, as a protocol, and what it hands over: samples and failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from PIL import Image

from plvm.data.spec import Identity


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture. `people` are the keys of everybody in it, from left to right; `name` is "reference" or a number;
    `prompt` is what the picture was asked to show ("" for a reference or a photo); `truth` is what is known of it: traits
    of the people, parts of the scene."""

    name: str
    people: tuple[str, ...]
    image: Image.Image
    prompt: str = ""
    truth: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A picture that could not be made or read, and why."""

    name: str
    reason: str


class Generator(Protocol):
    """Makes everything about one identity, or about a few who are pictured together, from the spec's seed alone."""

    def keys(self) -> Sequence[str]:
        """Whom it could make pictures of, a group by its first member."""
        ...

    def inputs(self) -> Mapping[str, str]:
        """Digests of whatever it takes from outside of the spec, by name."""
        ...

    def make(self, identity: Identity) -> tuple[list[Sample], list[Failure]]:
        """A reference of everyone first, then the pictures; and of each picture that failed, why. An identity without a
        reference comes back as failures only."""
        ...

    def describe(self) -> Mapping[str, str]:
        """What the datasheet says of it: its name, its models, its versions."""
        ...
