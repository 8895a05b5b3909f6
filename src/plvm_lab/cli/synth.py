"""`plvm synth`: training data - one reference and other pictures of everyone, with questions and answers."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Context, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import count, out, out_json, progress, say
from plvm.cli.verbs import add_verb
from plvm.errors import PlvmError, RequestError

synth = Typer(invoke_without_command=True, no_args_is_help=True, rich_markup_mode=None)
Workers = Annotated[int, Option("--workers", metavar="N", help="Processes that work side by side.", min=1)]
References = Annotated[
    Path | None,
    Option("--references", metavar="FOLDER", help="Faces to start from: FOLDER/face.jpg or FOLDER/name/face.jpg.",
           show_default=False),
]  # fmt: skip
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
FLAGS = {"model": "--sd", "safety": "--no-safety"}  # options whose flag is not their name
Shard = Annotated[int, Option("--shard", metavar="N", help="Identities per shard.", min=1)]
Size = Annotated[int, Option("--size", metavar="N", help="Pixels a side.")]
FaceThreshold = Annotated[
    float | None,
    Option(
        "--face-threshold", metavar="X", help="The least face similarity.", show_default="the judge's own; ArcFace 0.5"
    ),
]


def register(app: Typer) -> None:
    add_verb(synth, "show", show, usage="FOLDER")
    add_verb(synth, "import", import_, usage="PHOTOS")
    add_verb(synth, "prompts", prompts)
    add_verb(synth, "check", check, usage="FOLDER")
    app.add_typer(synth, name="synth", rich_help_panel="The laboratory")


@synth.callback()
def make(
    context: Context,
    generator: Annotated[
        str, Option("--generator", metavar="NAME", help="portraits (drawn) or ip-adapter (Stable Diffusion).")
    ] = "portraits",
    identities: Annotated[
        int | None,
        Option("--identities", metavar="N", help="How many.", min=1, show_default="2000, or all of --references"),
    ] = None,
    per_identity: Annotated[
        int, Option("--per-identity", metavar="N", help="Pictures of each, beside the reference.", min=1)
    ] = 5,
    people: Annotated[
        str | None,
        Option("--people", metavar="N|A-B", help="People in a drawn picture, 1 to 4: friends, each with a reference. "
               "More than one needs --no-filters.", show_default="1"),
    ] = None,
    destination: Annotated[
        Path | None, Option("--out", metavar="FOLDER", help="Where the dataset goes.", show_default=False)
    ] = None,
    seed: Seed = 0,
    size: Annotated[
        int | None, Option("--size", metavar="N", help="Pixels a side.", show_default="224; ip-adapter 512")
    ] = None,
    shard: Shard = 50,
    workers: Workers = 1,
    ray: Annotated[
        str | None,
        Option("--ray", metavar="ADDRESS", help="A Ray cluster to work in, with --workers actors.", show_default=False),
    ] = None,
    no_filters: NoFilters = False,
    text_threshold: Annotated[
        float | None,
        Option("--text-threshold", metavar="X", help="The least similarity of picture and prompt.",
               show_default="the judge's own; CLIP 0.2"),
    ] = None,
    face_threshold: FaceThreshold = None,
    answers: Annotated[
        str, Option("--answers", metavar="truth|backbone", help="Who answers questions about attributes.")
    ] = "truth",
    model: Annotated[
        str, Option("--model", metavar="NAME|FOLDER", help="The model that --answers backbone asks.")
    ] = "mini",
    references: References = None,
    prompts_file: Annotated[
        Path | None, Option("--prompts", metavar="FILE", help="Scene descriptions, one a line.", show_default="200 of ours")
    ] = None,
    sd: Annotated[
        str | None,
        Option("--sd", metavar="MODEL", help="Stable Diffusion, a folder or Hub id.", show_default="version 1.5"),
    ] = None,
    adapter: Annotated[
        str | None,
        Option("--adapter", metavar="MODEL", help="IP-Adapter, a folder or Hub id.", show_default="h94/IP-Adapter"),
    ] = None,
    adapter_file: Annotated[
        str | None,
        Option("--adapter-file", metavar="NAME", help="Its weights.", show_default="the plus-face variant"),
    ] = None,
    scheduler: Annotated[
        str | None, Option("--scheduler", metavar="NAME", help="ddim, euler or dpm.", show_default="ddim")
    ] = None,
    steps: Annotated[int | None, Option("--steps", metavar="N", help="Denoising steps.", show_default="50")] = None,
    scale: Annotated[
        float | None, Option("--scale", metavar="X", help="How much the face counts.", show_default="0.6")
    ] = None,
    batch: Annotated[int | None, Option("--batch", metavar="N", help="Pictures at once.", show_default="5")] = None,
    no_safety: Annotated[bool, Option("--no-safety", help="Work without the safety checker.")] = False,
    clip: Annotated[
        str | None, Option("--clip", metavar="MODEL", help="CLIP, a folder or Hub id.", show_default="ViT-B/32")
    ] = None,
    faces: Faces = None,
    judge: Judge = None,
    device: o.Device = None,
    dtype: Annotated[
        str | None,
        Option("--dtype", metavar="TYPE", help="float32, bfloat16 or float16.", show_default="what suits the device"),
    ] = None,
    json: o.Json = False,
) -> None:  # fmt: skip
    """Make training data: one reference and other pictures of everyone, with questions and answers.

    Interrupted, the same command goes on where it stopped. What the filters refuse is kept apart, with its
    score and the reason.

    \b
    Example:
      plvm synth --generator portraits --identities 2000 --per-identity 5 --workers 2 --out data/portraits
    """
    if context.invoked_subcommand is not None:
        return
    from plvm.data.spec import Spec

    drawn = generator == "portraits"
    of_photos: dict[str, Any] = {
        "references": references and str(references), "prompts": prompts_file and str(prompts_file), "model": sd,
        "adapter": adapter, "adapter_file": adapter_file, "scheduler": scheduler, "steps": steps, "scale": scale,
        "batch": batch, "safety": False if no_safety else None, "clip": clip, "faces": faces, "dtype": dtype,
    }  # fmt: skip
    of_drawn: dict[str, Any] = {"people": people and _range(people)}
    for name, value in (of_photos if drawn else of_drawn).items():
        if value is not None:
            raise RequestError(
                f"{FLAGS.get(name, '--' + name.replace('_', '-'))} means nothing to the generator {generator}.",
                "Leave it out, or choose another --generator.",
            )
    chosen = {
        **of_photos, **of_drawn, "judge": judge, "device": device,
        "answer_model": model if answers == "backbone" else None,
    }  # fmt: skip
    spec = Spec(
        generator, identities if identities is not None else 2000 if drawn else 0, per_identity, seed,
        size if size is not None else 224 if drawn else 512, shard, filters=not no_filters,
        text_threshold=text_threshold, face_threshold=face_threshold, answers=answers,
        options={k: v for k, v in chosen.items() if v is not None},
    )  # fmt: skip
    if destination is None:
        raise RequestError("No folder is named.", "Say where the dataset goes with --out FOLDER.")
    _run(spec, destination, workers, ray, json)


def _range(text: str) -> list[int]:
    """ "3" -> [3, 3]; "1-4" -> [1, 4]. Raises RequestError."""
    least, _, most = text.partition("-")
    if not (least.isdecimal() and (most or least).isdecimal()):
        raise RequestError(
            f'"{text[:40]}" is no number of people.', "Give one, or the least and the most: --people 1-4."
        )
    return [int(least), int(most or least)]


def import_(
    photos: Annotated[Path, Argument(metavar="PHOTOS", help="PHOTOS/name/picture.jpg", show_default=False)],
    destination: o.Out,
    per_identity: Annotated[
        int, Option("--per-identity", metavar="N", help="At most so many pictures of each.", min=1)
    ] = 100,
    seed: Seed = 0,
    size: Size = 512,
    shard: Shard = 50,
    workers: Workers = 1,
    no_filters: NoFilters = False,
    face_threshold: FaceThreshold = None,
    several: Annotated[bool, Option("--several-faces", help="Pictures may show more people than the one.")] = False,
    faces: Faces = None,
    judge: Judge = None,
    json: o.Json = False,
) -> None:
    """Make a dataset of a folder of photos.

    Everyone has a folder; the file called ref..., or else the first one, becomes the reference, cropped to its
    largest face.

    \b
    Example:
      plvm synth import photos --faces ~/.insightface/models/buffalo_l --out data/friends
    """
    from plvm.data.spec import Spec

    chosen = {"references": str(photos), "faces": faces, "judge": judge, "several_faces": several or None}
    spec = Spec(
        "photos", 0, per_identity, seed, size, shard, filters=not no_filters, face_threshold=face_threshold,
        options={k: v for k, v in chosen.items() if v is not None},
    )  # fmt: skip
    _run(spec, destination, workers, None, json)


def _run(spec: Any, destination: Path, workers: int, ray: str | None, json: bool) -> None:
    from plvm_lab.synth.pipeline import synthesize

    what = "groups" if spec.options.get("people") else "identities"
    with progress() as advance:
        manifest = synthesize(
            spec, destination, workers=workers, ray=ray, report=lambda done, total: advance(what, done, total)
        )
    counts, times = manifest.counts, manifest.times
    if json:
        out_json({"folder": str(destination), "content": manifest.content, "counts": counts, "times": times})
        return
    pictures = sum(counts[split]["pictures"] for split in ("train", "val", "test"))
    kept = sum(counts[split]["kept"] for split in ("train", "val", "test"))
    say(
        f"{count(pictures, 'picture')}, {kept:,} kept; {times['pictures_per_second']} images/s in {times['seconds']} s."
    )
    for reason, number in counts["rejections"].items():
        say(f"refused by {reason}: {number:,}")
    out(str(destination))


def show(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="A dataset.", show_default=False)],
    file: Annotated[Path, Option("--out", metavar="FILE", help="sheet.png or sheet.html.")] = Path("sheet.png"),
    identities: Annotated[int, Option("--identities", metavar="N", help="How many rows.", min=1)] = 12,
    split: Annotated[
        str | None, Option("--split", metavar="NAME", help="train, val or test.", show_default="all")
    ] = None,
    rejected: Annotated[bool, Option("--rejected", help="Only those of whom a picture was refused.")] = False,
) -> None:
    """Write a contact sheet: references, their pictures, scores.

    \b
    Example:
      plvm synth show data/portraits --out sheet.html --rejected
    """
    from plvm_lab.synth.contact_sheet import rows_of, sheet_html, sheet_png

    rows = rows_of(folder, identities, split, rejected)
    try:
        if file.suffix.lower() in (".html", ".htm"):
            file.write_text(sheet_html(rows, f"{folder.name}: {len(rows)} identities"), encoding="utf-8")
        elif file.suffix.lower() == ".png":
            sheet_png(rows).save(file, "PNG")
        else:
            raise RequestError(f"{file.name} is neither .png nor .html.", "Name the sheet so with --out.")
    except OSError as error:
        raise PlvmError(f"{file} cannot be written: {error.strerror}.", "Name another file with --out.") from None
    out(str(file))


def check(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="A dataset.", show_default=False)], json: o.Json = False
) -> None:
    """Compare a dataset's files with its manifest.

    \b
    Example:
      plvm synth check data/portraits
    """
    from plvm.data.manifest import changed_files, read_manifest

    started = time.monotonic()
    changed = changed_files(folder)
    if json:
        out_json({"changed": changed, "content": read_manifest(folder).content})
    if changed:
        raise PlvmError(
            f"{count(len(changed), 'file')} changed or missing: {', '.join(changed[:3])}.",
            "Remove these shards and the manifest, then start the command that made them again.",
        )
    if not json:
        out(f"All files are as they were written ({time.monotonic() - started:.1f} s).")


def prompts(
    number: Annotated[int, Option("--count", metavar="N", help="How many.", min=1)] = 200,
    api: Annotated[
        str | None,
        Option("--api", metavar="URL", help="An OpenAI-compatible API that writes them.", show_default=False),
    ] = None,
    model: Annotated[str, Option("--model", metavar="NAME", help="Its model.")] = "gpt-4o-mini",
    seed: Seed = 0,
) -> None:
    """Print scene descriptions, one a line, for --prompts.

    Without --api they are composed; with it, a model writes new ones. The key is taken from OPENAI_API_KEY.

    \b
    Example:
      plvm synth prompts --count 500 --api http://localhost:8000/v1 --model llama > prompts.txt
    """
    from plvm_lab.synth.prompts import ask_for_prompts, compose, read_prompts

    if api is None:
        made = compose(number, seed)
    else:
        key = os.environ.get("OPENAI_API_KEY", "")
        made = ask_for_prompts(number, api, model, key=key, known=read_prompts())
    out("\n".join(made))
