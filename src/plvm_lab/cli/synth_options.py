"""The options of `plvm synth`, in groups: amounts, work, filters, answers, and what photographs are made from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from plvm.errors import RequestError

Workers = Annotated[int, Option("--workers", metavar="N", help="Processes that work side by side.", min=1)]
Faces = Annotated[
    str | None,
    Option("--faces", metavar="FOLDER", help="A pack of insightface's ONNX models, such as buffalo_l.",
           show_default=False),
]  # fmt: skip
Judge = Annotated[
    str | None,
    Option("--judge", metavar="FOLDER", help="Our judge of drawn faces, from `plvm mini judge`.", show_default=False),
]  # fmt: skip
NoFilters = Annotated[bool, Option("--no-filters", help="Keep every picture, unseen.")]
Seed = Annotated[int, Option("--seed", metavar="N", help="The same seed gives the same bytes.", min=0)]
ShardSize = Annotated[int, Option("--shard", metavar="N", help="Identities per shard.", min=1)]
FaceThreshold = Annotated[
    float | None,
    Option(
        "--face-threshold", metavar="X", help="The least face similarity.", show_default="the judge's own; ArcFace 0.5"
    ),
]


@dataclass(frozen=True)
class Amounts:
    """How much is made, and from which seed."""

    identities: Annotated[
        int | None,
        Option("--identities", metavar="N", help="How many.", min=1, show_default="2000, or all of --references"),
    ] = None
    per_identity: Annotated[
        int, Option("--per-identity", metavar="N", help="Pictures of each, beside the reference.", min=1)
    ] = 5
    people: Annotated[
        str | None,
        Option("--people", metavar="N|A-B", help="People in a drawn picture, 1 to 4: friends, each with a reference. "
               "More than one needs --no-filters.", show_default="1"),
    ] = None  # fmt: skip
    seed: Seed = 0
    size: Annotated[
        int | None, Option("--size", metavar="N", help="Pixels a side.", show_default="224; ip-adapter 512")
    ] = None
    shard: ShardSize = 50

    def people_range(self) -> list[int] | None:
        """ "3" -> [3, 3]; "1-4" -> [1, 4]; None where nothing is said. Raises RequestError."""
        if self.people is None:
            return None
        least, _, most = self.people.partition("-")
        if not (least.isdecimal() and (most or least).isdecimal()):
            raise RequestError(
                f'"{self.people[:40]}" is no number of people.', "Give one, or the least and the most: --people 1-4."
            )
        return [int(least), int(most or least)]


@dataclass(frozen=True)
class PhotoAmounts:
    """How much of a folder of photos is taken, and from which seed."""

    per_identity: Annotated[
        int, Option("--per-identity", metavar="N", help="At most so many pictures of each.", min=1)
    ] = 100
    seed: Seed = 0
    size: Annotated[int, Option("--size", metavar="N", help="Pixels a side.")] = 512
    shard: ShardSize = 50


@dataclass(frozen=True)
class Work:
    """Who works."""

    workers: Workers = 1
    ray: Annotated[
        str | None,
        Option("--ray", metavar="ADDRESS", help="A Ray cluster to work in, with --workers actors.", show_default=False),
    ] = None


@dataclass(frozen=True)
class Filtering:
    """Which pictures are kept."""

    no_filters: NoFilters = False
    text_threshold: Annotated[
        float | None,
        Option("--text-threshold", metavar="X", help="The least similarity of picture and prompt.",
               show_default="the judge's own; CLIP 0.2"),
    ] = None  # fmt: skip
    face_threshold: FaceThreshold = None
    judge: Judge = None


@dataclass(frozen=True)
class PhotoFiltering:
    """Which photos of a folder are kept."""

    no_filters: NoFilters = False
    face_threshold: FaceThreshold = None
    several_faces: Annotated[
        bool, Option("--several-faces", help="Pictures may show more people than the one.")
    ] = False
    faces: Faces = None
    judge: Judge = None


@dataclass(frozen=True)
class Answering:
    """Who answers the questions."""

    answers: Annotated[
        str, Option("--answers", metavar="truth|backbone", help="Who answers questions about attributes.")
    ] = "truth"
    model: Annotated[
        str, Option("--model", metavar="NAME|FOLDER", help="The model that --answers backbone asks.")
    ] = "mini"

    def asked(self) -> str | None:
        """The model to ask, if one is."""
        return self.model if self.answers == "backbone" else None


@dataclass(frozen=True)
class PhotoSources:
    """What Stable Diffusion makes photographs from; a drawn picture needs none of it. None: the default."""

    references: Annotated[
        Path | None,
        Option("--references", metavar="FOLDER", help="Faces to start from: FOLDER/face.jpg or FOLDER/name/face.jpg.",
               show_default=False),
    ] = None  # fmt: skip
    prompts: Annotated[
        Path | None,
        Option("--prompts", metavar="FILE", help="Scene descriptions, one a line.", show_default="200 of ours"),
    ] = None
    sd: Annotated[
        str | None,
        Option("--sd", metavar="MODEL", help="Stable Diffusion, a folder or Hub id.", show_default="version 1.5"),
    ] = None
    adapter: Annotated[
        str | None,
        Option("--adapter", metavar="MODEL", help="IP-Adapter, a folder or Hub id.", show_default="h94/IP-Adapter"),
    ] = None
    adapter_file: Annotated[
        str | None,
        Option("--adapter-file", metavar="NAME", help="Its weights.", show_default="the plus-face variant"),
    ] = None
    scheduler: Annotated[
        str | None, Option("--scheduler", metavar="NAME", help="ddim, euler or dpm.", show_default="ddim")
    ] = None
    steps: Annotated[int | None, Option("--steps", metavar="N", help="Denoising steps.", show_default="50")] = None
    scale: Annotated[
        float | None, Option("--scale", metavar="X", help="How much the face counts.", show_default="0.6")
    ] = None
    batch: Annotated[int | None, Option("--batch", metavar="N", help="Pictures at once.", show_default="5")] = None
    no_safety: Annotated[bool, Option("--no-safety", help="Work without the safety checker.")] = False
    clip: Annotated[
        str | None, Option("--clip", metavar="MODEL", help="CLIP, a folder or Hub id.", show_default="ViT-B/32")
    ] = None
    faces: Faces = None
    dtype: Annotated[
        str | None,
        Option("--dtype", metavar="TYPE", help="float32, bfloat16 or float16.", show_default="what suits the device"),
    ] = None

    def given(self) -> list[str]:
        """The flags that were given; every field has the name of its flag."""
        return ["--" + f.name.replace("_", "-") for f in fields(self) if getattr(self, f.name) != f.default]

    def options(self) -> dict[str, Any]:
        """Those of `Spec.options`."""
        paths = {"references": self.references, "prompts": self.prompts}
        return {
            **{name: path and str(path) for name, path in paths.items()}, "model": self.sd, "adapter": self.adapter,
            "adapter_file": self.adapter_file, "scheduler": self.scheduler, "steps": self.steps, "scale": self.scale,
            "batch": self.batch, "safety": False if self.no_safety else None, "clip": self.clip, "faces": self.faces,
            "dtype": self.dtype,
        }  # fmt: skip
