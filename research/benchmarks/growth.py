"""How cost grows with people, pictures, turns, image tokens and the size of the backbone: measured, beside what the shapes say;
and what that makes of a 7B model and of a fleet.

    python research/benchmarks/growth.py            # research/results/growth_curves.json, docs/images/growth.svg; 3 minutes

A prediction is the operations of the language model's layers and of the vision tower, as the shapes give them, over the rate of
a large matrix product in the same run. Nothing is fitted. The fleet's times are those of research/results/full_size.json; its
assumptions are in `Fleet` and are printed with every line that uses them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plvm.engine.generate import complete
from plvm.engine.request import Request
from plvm.model.backbone import Backbone
from plvm.presets import PRESETS
from plvm_lab.evaluate.result_table import Table, lasting
from plvm_lab.measure.asking import ONE, QUESTION, Bench
from plvm_lab.measure.ceiling import layer_flops
from plvm_lab.measure.cost import GIB, cost, parameters
from plvm_lab.measure.in_turn import in_turn
from plvm_lab.measure.subjects import RANDOM, pictures, subject
from plvm_lab.measure.subjects import people as people_of
from plvm_lab.report.plots import growth_svg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, write_result

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "growth.svg"
Point = dict[str, float]
FORMULAS = {
    "people in a picture": "one picture + people x one suffix",
    "pictures, 8 people each": "pictures x (one picture + 8 suffixes)",
    "turn of a dialogue": "its own tokens, which see all that was said",
    "tokens of a picture": "tower + layers, attention with the square",
    "million parameters, one picture and 8 people": "tokens x parameters",
}


# ---- curves


def looking(backbone: Backbone) -> float:
    """Operations of one picture: tower, projector, and the layers on its tokens."""
    model = backbone.model.model
    tokens = backbone.model.config.image_seq_length
    return 2.0 * tokens * (parameters(model.vision_tower) + parameters(model.multi_modal_projector)) + layer_flops(
        backbone, tokens, tokens / 2
    )


def recognising(bench: Bench, seen: int, known: int) -> Point:
    """`known` people in each of `seen` new pictures."""
    vlm, album, people = bench.vlm, pictures(seen, 480, bench.seed), people_of(bench.vlm, known, bench.seed, looks=1)

    def step() -> None:
        vlm.engine.prefixes.forget()
        vlm.recognize(album, people)

    state = bench.look(album[:1])[0]
    own = len(bench.suffix(Request(state, vlm.prompt.template.recognize.replace("{name}", "<n0>"), (people[0],))))
    work = seen * (looking(vlm.backbone) + known * layer_flops(vlm.backbone, own, state.length + own / 2))
    return point(bench, step, work)


def point(bench: Bench, step: Any, work: float) -> Point:
    """Seconds as measured, and as the operations say."""
    times = in_turn({"ours": (step, 1), "product": bench.product}, bench.rounds)
    return {"seconds": times["ours"]["seconds"], "predicted": work * times["product"]["seconds"]}


def turns_of(bench: Bench, last: int) -> Iterator[Point]:
    """The first token of every fifth turn of a dialogue."""
    vlm, album = bench.vlm, pictures(1, 480, bench.seed)
    start, said = bench.look(album)[0], list[tuple[str, str]]()
    state: Any = start
    for turn in range(1, last + 1):
        joining = people_of(vlm, 1, bench.seed) if turn == 1 else []
        request = vlm.engine.next_request(start, state, QUESTION, joining, said, longest=1, strict_names=True)
        if turn % 5 == 0 or turn == 2:
            own = len(bench.suffix(request))
            work = layer_flops(vlm.backbone, own, request.state.length + own / 2)
            yield {"x": turn} | point(bench, lambda r=request: complete(vlm.backbone, vlm.prompt, r, ONE), work)  # type: ignore[misc]
        done = complete(vlm.backbone, vlm.prompt, request, ONE)
        state, said = done.session, [*said, (QUESTION, done.answer.text)]


def curves(name: str, rounds: int, seed: int, short: bool) -> dict[str, list[Point]]:
    """Every curve, of the subject `name` where nothing else is said."""
    bench = Bench(subject(name, seed=seed), rounds, seed)
    counts = (1, 4) if short else (1, 3, 10, 30, 100, 300, 1000)
    found = {
        "people in a picture": [{"x": n} | recognising(bench, 1, n) for n in counts],
        "pictures, 8 people each": [{"x": n} | recognising(bench, n, 8) for n in ((1, 2) if short else (1, 2, 4, 8, 16))],
        "turn of a dialogue": list(turns_of(bench, 5 if short else 50)),
    }
    rows = []
    for tokens in (16, 64) if short else (64, 256, 576):
        sized = Bench(subject(name, tokens, seed=seed), rounds, seed)
        album = pictures(1, 480, seed)
        rows.append({"x": tokens} | point(sized, lambda b=sized, a=album: b.look(a), looking(sized.vlm.backbone)))  # type: ignore[misc]
    found["tokens of a picture"] = rows
    sizes = ("toy",) if short else tuple(sorted(RANDOM, reverse=True))
    for other in sizes:
        sized = Bench(subject(other, seed=seed), rounds, seed)
        millions = parameters(sized.vlm.backbone.language_model.layers) / 1e6
        found.setdefault("million parameters, one picture and 8 people", []).append(
            {"x": millions} | recognising(sized, 1, 8)
        )
    return found


# ---- a fleet


@dataclass(frozen=True)
class Fleet:
    """What is assumed. Prices are round numbers of a year's contract, nobody's offer: put in your own."""

    users: int = 10_000_000
    people: int = 20
    questions: float = 5.0  # of a user a day
    new: float = 0.5  # of them about a picture that was not looked at before
    words: int = 32  # tokens of an answer
    peak: float = 3.0  # the busiest hour over the mean
    busy: float = 0.6  # of a GPU's time that can be used
    gpu_hour: float = 2.5  # dollars
    gigabyte_month: float = 0.023  # dollars


def fleet(f: Fleet, full: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(what, how much, the arithmetic), from full-size times on one GPU and from a preset's memory."""
    memory, ms = facts["memory"], full["prefill"]["milliseconds"]
    concept, token, width = memory["concept"], full["decode"]["ms_per_token"] / 1000, 768
    stored = f.users * f.people * concept
    keys = f.users * f.people * width * 4
    rate = f.users * f.questions / 86_400 * f.peak
    seconds = f.new * ms["image_prefix"] / 1000 + ms["question"] / 1000 + f.words * token
    replicas = rate * seconds / f.busy
    room = 80 * GIB - memory["weights"]["bfloat16"] - 2 * GIB
    held = memory["image_prefix"] + 1024 * memory["kv_per_token"]
    money = (replicas * 730 * f.gpu_hour, stored / 1e9 * f.gigabyte_month)
    return [
        ("concepts in the store", f"{stored / 1e12:.1f} TB", f"{f.users:,} users x {f.people} people x {concept:,} bytes"),
        ("their keys for retrieval", f"{keys / 1e9:.0f} GB", f"{f.users:,} x {f.people} x {width} numbers x 4 bytes"),
        ("retrieval for one face", f"{2 * f.people * width / 1e3:.0f} kFLOP",
         f"{f.people} people of one user x {width} x 2; no index is needed"),
        ("read from the store for one question", f"{2 * concept / 2**20:.2f} MiB", f"2 people named x {concept:,} bytes"),
        ("questions a second at the peak", f"{rate:,.0f}", f"{f.users:,} x {f.questions:g} a day / 86,400 s x {f.peak:g}"),
        ("a question on one GPU", f"{seconds:.3f} s",
         f"{f.new:g} x {ms['image_prefix'] / 1000:.3f} s + {ms['question'] / 1000:.3f} s + {f.words} tokens x {token:.4f} s"),
        ("GPUs", f"{replicas:,.0f}", f"{rate:,.0f} a second x {seconds:.3f} s / {f.busy:g} of their time"),
        ("dialogues that a GPU of 80 GiB holds", f"{room / held:,.0f}",
         f"{room / GIB:.0f} GiB beside the weights / {held / 2**20:.0f} MiB (a picture and 1,024 tokens)"),
        ("GPUs, a month", f"${money[0] / 1e6:.2f} million", f"{replicas:,.0f} x 730 h x ${f.gpu_hour:g}, at peak size all month"),
        ("store, a month", f"${money[1]:,.0f}", f"{stored / 1e9:,.0f} GB x ${f.gigabyte_month:g}, one copy"),
        ("a user, a month", f"${sum(money) / f.users:.3f}", "both over all users"),
    ]  # fmt: skip


# ---- the report


def shown(figures: Mapping[str, Any]) -> Shown:
    """The curves as a table, and the fleet."""
    found, lines, name = figures["curves"], [tuple(line) for line in figures["fleet"]["lines"]], figures["subject"]
    rows = tuple(
        (what, f"{p['x']:,.0f}", lasting(p["seconds"]), lasting(p["predicted"]), f"{p['seconds'] / p['predicted']:.2f}",
         FORMULAS[what])
        for what, points in found.items()
        for p in points
    )
    header = ("what grows", "to", "measured", "predicted", "measured / predicted", "formula")
    note = f"{name} with random weights; predicted: the operations that the shapes give, over the rate of a matrix product."
    return Shown((
        Table("How cost grows", header, rows, note),
        Table("A fleet of 7B models", ("what", "how much", "arithmetic"), tuple(lines),
              "Times are those of one H100 at batch 1: answers written side by side need fewer. Prices are assumptions."),
    ))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subject", default="small", choices=sorted(RANDOM))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="few points, to see that it runs")
    parser.add_argument("--out", type=Path, default=RESULTS / "growth_curves.json")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    found = curves(arguments.subject, arguments.rounds, arguments.seed, arguments.short)
    full = json.loads((RESULTS / "full_size.json").read_text(encoding="utf-8"))
    lines = fleet(Fleet(), full, cost(PRESETS["paper-7b"]))
    figures = {"n": arguments.rounds, "subject": arguments.subject, "curves": found, "fleet": vars(Fleet()) | {"lines": lines}}
    arguments.picture.write_text(growth_svg({
        what: {"measured": [(p["x"], p["seconds"]) for p in own], "predicted": [(p["x"], p["predicted"]) for p in own]}
        for what, own in found.items()
    }), encoding="utf-8")  # fmt: skip
    write_result(arguments.out, arguments.seed, figures, shown(figures))


if __name__ == "__main__":
    main()
