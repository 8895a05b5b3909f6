"""`plvm cost`: what a full-size model costs in parameters, memory and, measured, in time."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Option, Typer

from plvm.cli import options as o
from plvm.cli.console import out, out_json, say, table, waiting
from plvm.cli.verbs import add_verb


def register(app: Typer) -> None:
    add_verb(app, "cost", cost, "The laboratory")


def cost(
    preset: Annotated[
        str, Option("--preset", metavar="NAME", help="For example released-7b; a wrong name lists them all.")
    ] = "paper-7b",
    measure: Annotated[
        bool, Option("--measure", help="Also build it with random weights, if it fits here, and time it.")
    ] = False,
    device: o.Device = None,
    dtype: Annotated[
        str | None,
        Option("--dtype", metavar="FORMAT", help="With --measure: float32, bfloat16 or float16.",
               show_default="the best one for the device"),
    ] = None,
    json: o.Json = False,
) -> None:  # fmt: skip
    """What a full-size model costs: parameters, memory, time.

    Nothing is downloaded. Parameters and bytes follow from the shapes; times need a machine that can hold
    the model.

    \b
    Example:
      plvm cost --preset paper-7b --json
    """
    from plvm.presets import preset as named
    from plvm_lab.measure.cost import cost as count

    chosen = named(preset)
    timed = _timed(chosen, device, dtype) if measure else None
    with waiting("Counting"):
        facts = count(chosen)
    facts["measured"] = timed
    if json:
        out_json(facts)
    else:
        _tell(facts)


def _timed(chosen: Any, device: str | None, dtype: str | None) -> dict[str, Any]:
    from plvm.runtime import choose_device, choose_dtype
    from plvm_lab.measure.timing import measure as timing

    where = choose_device(device)
    number = choose_dtype(dtype, device=where.value)
    say(f"On {where}. In {str(number).removeprefix('torch.')}.")
    with waiting(f"Measuring {chosen.name}"):
        return timing(chosen, where.value, number.value)


def _tell(facts: dict[str, Any]) -> None:
    memory = facts["memory"]
    rows: list[tuple[str, object]] = [
        ("Aligner, trainable", f"{facts['aligner_trainable']:,}"),
        ("encoder", f"{facts['encoder']:,}"),
        ("Aligner and encoder", f"{facts['aligner_with_encoder']:,}"),
        ("backbone", f"{facts['backbone']:,}"),
        *((f"of it {name.replace('_', ' ')}", f"{count:,}") for name, count in facts["backbone_parts"].items()),
    ]
    out(table(rows, ("PARAMETERS", facts["preset"])))
    out(f"The Aligner has {100 * facts['aligner_share']:.1f} % as many as the backbone.\n")
    out(table([(kind, _size(n)) for kind, n in memory["weights"].items()], ("WEIGHTS, ALL PARTS", "MEMORY")))
    out(
        f"Keys and values: {_size(memory['kv_per_token'])} a token, {_size(memory['image_prefix'])} a picture "
        f"({memory['image_tokens']} tokens).\nA stored concept: {_size(memory['concept'])}. "
        f"Training the Aligner: {_size(memory['training'])} more than its weights.\n"
    )
    fits = [(f"{p['gib']} GiB", p["format"] or "does not fit", f"{p['kv_tokens']:,}") for p in memory["plan"]]
    out(table(fits, ("MACHINE", "BACKBONE IN", "ROOM FOR TOKENS")))
    if facts["measured"]:
        times = facts["measured"]["milliseconds"]
        header = (f"ON {facts['measured']['device']}, {facts['measured']['dtype']}", "MS")
        out("\n" + table([(name, f"{ms:.1f}") for name, ms in times.items()], header))
        out(f"The Aligner takes {100 * facts['measured']['aligner_share']:.1f} % of Aligner and prefill.")


def _size(count: int) -> str:
    """Bytes in words: "512.0 KiB"."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
