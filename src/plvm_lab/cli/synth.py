"""`plvm synth`: training data - one reference and other pictures of everyone, with questions and answers."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Context, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import count, out, out_json, progress, say
from plvm.cli.groups import flattened
from plvm.cli.verbs import add_verb
from plvm.errors import PlvmError, RequestError
from plvm_lab.cli import synth_options as g

if TYPE_CHECKING:
    from plvm.data.spec import Spec

synth = Typer(invoke_without_command=True, no_args_is_help=True, rich_markup_mode=None)


def register(app: Typer) -> None:
    synth.callback()(flattened(make))
    add_verb(synth, "show", show, usage="FOLDER")
    add_verb(synth, "import", import_, usage="PHOTOS")
    add_verb(synth, "prompts", prompts)
    add_verb(synth, "check", check, usage="FOLDER")
    app.add_typer(synth, name="synth", rich_help_panel="The laboratory")


def make(
    context: Context,
    generator: Annotated[
        str, Option("--generator", metavar="NAME", help="portraits (drawn) or ip-adapter (Stable Diffusion).")
    ] = "portraits",
    destination: Annotated[
        Path | None, Option("--out", metavar="FOLDER", help="Where the dataset goes.", show_default=False)
    ] = None,
    *,
    amounts: g.Amounts,
    work: g.Work,
    filtering: g.Filtering,
    answering: g.Answering,
    photos: g.PhotoSources,
    device: o.Device = None,
    json: o.Json = False,
) -> None:
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

    drawn, people = generator == "portraits", amounts.people_range()
    for flag in photos.given() if drawn else ["--people"] if people else []:
        raise RequestError(
            f"{flag} means nothing to the generator {generator}.", "Leave it out, or choose another --generator."
        )
    identities, side = (2000, 224) if drawn else (0, 512)
    chosen = {
        **photos.options(), "people": people, "judge": filtering.judge, "device": device,
        "answer_model": answering.asked(),
    }  # fmt: skip
    spec = Spec(
        generator, identities if amounts.identities is None else amounts.identities, amounts.per_identity, amounts.seed,
        side if amounts.size is None else amounts.size, amounts.shard, filters=not filtering.no_filters,
        text_threshold=filtering.text_threshold, face_threshold=filtering.face_threshold, answers=answering.answers,
        options=_said(chosen),
    )  # fmt: skip
    if destination is None:
        raise RequestError("No folder is named.", "Say where the dataset goes with --out FOLDER.")
    _run(spec, destination, work, json)


def import_(
    photos: Annotated[Path, Argument(metavar="PHOTOS", help="PHOTOS/name/picture.jpg", show_default=False)],
    destination: o.Out,
    amounts: g.PhotoAmounts,
    workers: g.Workers = 1,
    *,
    filtering: g.PhotoFiltering,
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

    several = filtering.several_faces or None
    chosen = {
        "references": str(photos), "faces": filtering.faces, "judge": filtering.judge, "several_faces": several,
    }  # fmt: skip
    spec = Spec(
        "photos", 0, amounts.per_identity, amounts.seed, amounts.size, amounts.shard, filters=not filtering.no_filters,
        face_threshold=filtering.face_threshold, options=_said(chosen),
    )  # fmt: skip
    _run(spec, destination, g.Work(workers), json)


def _said(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _run(spec: Spec, destination: Path, work: g.Work, json: bool) -> None:
    from plvm_lab.synth.pipeline import synthesize

    what = "groups" if spec.options.get("people") else "identities"
    with progress() as advance:
        manifest = synthesize(
            spec, destination, workers=work.workers, ray=work.ray,
            report=lambda done, total: advance(what, done, total),
        )  # fmt: skip
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
    seed: g.Seed = 0,
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
