"""What makes pictures: one small protocol, and the generators by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from PIL import Image

from plvm.data.spec import Identity, Spec
from plvm.errors import RequestError


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
    """Makes everything about one identity, or about a few who are pictured together, from the spec's seed alone.

    `keys` names whom it could make pictures of, a group by its first member; `inputs` are digests of whatever it takes
    from outside of the spec; `make` gives a reference of everyone first, then the pictures, and says of each that failed
    why. An identity without a reference comes back as failures only.
    """

    def keys(self) -> Sequence[str]: ...

    def inputs(self) -> Mapping[str, str]: ...

    def make(self, identity: Identity) -> tuple[list[Sample], list[Failure]]: ...

    def describe(self) -> Mapping[str, str]:
        """What the datasheet says of it: its name, its models, its versions."""
        ...


def build_generator(spec: Spec) -> Generator:
    """The generator that a spec names, ready to work. Raises RequestError for an unknown name, missing models or
    missing packages."""
    if spec.generator == "portraits":
        from plvm_lab.synth.portraits_generator import PortraitsGenerator

        return PortraitsGenerator(spec)
    if spec.generator == "photos":
        from plvm_lab.synth.photo_folder import PhotoFolder

        return PhotoFolder(spec)
    if spec.generator == "ip-adapter":
        from plvm_lab.synth.ip_adapter import AdapterGenerator

        return AdapterGenerator(spec)
    raise RequestError(
        f'There is no generator "{spec.generator[:40]}".', f"The generators are: {', '.join(GENERATORS)}."
    )


GENERATORS = ("portraits", "photos", "ip-adapter")
