"""Table 7 of the paper: what the Aligner costs beside the whole.

    python research/runs/table7.py                              # research/results/table7.json; `plvm report` shows its table

Parameters of the paper's own sizes (preset paper-7b) are counted on models without memory, as by `plvm cost`. Times are
those of mini, measured in one run, medians of interleaved repetitions on one drawn picture:

    encoder    one reference through the frozen encoder, its image processor included
    aligner    its features to concept tokens: what is new
    enrolment  a picture to concept tokens, both of these (`Personal.tokens_of`)
    answer     a picture and the recognition question to the whole answer, nothing cached

Claim: 128 M trainable parameters, 1.8 % of LLaVA's; the Aligner's time is a few percent of one answer (the paper, on a GPU:
0.006 s and 0.19 s, 3.2 %). The ratio of times is for comparing, not the seconds. A laptop's CPU, half a minute.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from plvm import personal
from plvm.presets import preset
from plvm.types import Concept
from plvm_lab.evaluate.portraits_benchmark import portraits
from plvm_lab.evaluate.result_table import Table
from plvm_lab.measure.cost import cost, parameters
from plvm_lab.report.published import TABLE_7

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result


def measured(vlm: personal.Personal, seed: int, repeat: int) -> dict[str, float]:
    """Median seconds of each step, one after the other in every repetition; the first two do not count."""
    bench = portraits("test", seed)
    album, name = bench.album(), bench.names[0]
    reference, query = album.reference(name), album.query(0)
    z_ref = vlm.encoder.features(vlm.encoder.pixels([reference])).to(next(vlm.aligner.parameters()))
    concept = Concept(name, vlm.tokens_of([[reference]])[0], vlm.fingerprint)
    question = vlm.prompt.template.recognize.replace("{name}", f"<{name}>")

    def aligner() -> None:
        with torch.inference_mode():
            vlm.aligner.tokens_from_features(z_ref)

    def answer() -> None:
        vlm.engine.prefixes.forget()
        vlm.ask(query, question, [concept])

    steps: dict[str, Callable[[], Any]] = {
        "encoder": lambda: vlm.encoder.features(vlm.encoder.pixels([reference])),
        "aligner": aligner,
        "enrolment": lambda: vlm.tokens_of([[reference]]),
        "answer": answer,
    }
    times: dict[str, list[float]] = {step: [] for step in steps}
    for i in range(repeat + 2):
        for step, run in steps.items():
            begun = time.perf_counter()
            run()
            if i >= 2:
                times[step].append(time.perf_counter() - begun)
        progress("repetitions", i + 1, repeat + 2)
    return {step: statistics.median(values) for step, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--preset", default="paper-7b", help="whose parameters are counted")
    parser.add_argument("--seed", type=int, default=0, help="of the benchmark whose pictures are used")
    parser.add_argument("--repeat", type=int, default=50)
    parser.add_argument("--small", action="store_true", help="three repetitions, to see that it runs")
    parser.add_argument("--out", type=Path, default=RESULTS / "table7.json")
    arguments = parser.parse_args()

    repeat = 3 if arguments.small else arguments.repeat
    vlm = personal.load(arguments.model)
    seconds = measured(vlm, arguments.seed, repeat)
    facts = cost(preset(arguments.preset))
    counted = ("preset", "backbone_id", "encoder_id", "aligner_trainable", "encoder", "backbone", "aligner_share")
    found: dict[str, Any] = {
        "n": repeat,
        "full_size": {key: facts[key] for key in counted},
        "mini": {
            "aligner_trainable": parameters(vlm.aligner),
            "encoder": parameters(vlm.encoder.model),
            "backbone": parameters(vlm.backbone.model),
            "seconds": {step: round(value, 6) for step, value in seconds.items()},
            "aligner_over_answer": round(seconds["aligner"] / seconds["answer"], 4),
            "enrolment_over_answer": round(seconds["enrolment"] / seconds["answer"], 4),
        },
        "published": TABLE_7,
    }
    print(f"parameters: {found['full_size']['aligner_trainable']:,} of {found['full_size']['backbone']:,}, "
          f"{100 * found['full_size']['aligner_share']:.1f} %")  # fmt: skip
    print(f"time: the Aligner's is {100 * found['mini']['aligner_over_answer']:.1f} % of an answer's")
    write_result(arguments.out, arguments.seed, found, shown(found))


def shown(found: Mapping[str, Any]) -> Shown:
    """LLaVA and the Aligner, the published figures beside ours."""
    full, mini, quoted = found["full_size"], found["mini"], found["published"]
    ours, whole = quoted["Aligner"], quoted["LLaVA"]
    rows = (
        ("whole model", f"{full['backbone'] / 1e6:.0f} M", f"{whole['parameters'] / 1e6:.0f} M",
         f"{1000 * mini['seconds']['answer']:.1f} ms", f"{1000 * whole['seconds']:.0f} ms"),
        ("Aligner", f"{full['aligner_trainable'] / 1e6:.1f} M", f"{ours['parameters'] / 1e6:.0f} M",
         f"{1000 * mini['seconds']['aligner']:.1f} ms", f"{1000 * ours['seconds']:.0f} ms"),
        ("share", f"{100 * full['aligner_share']:.1f} %", f"{100 * ours['share_of_parameters']:.1f} %",
         f"{100 * mini['aligner_over_answer']:.1f} %", f"{100 * ours['share_of_seconds']:.1f} %"),
    )  # fmt: skip
    note = (
        f"Parameters: the preset {full['preset']}, counted. Times: the mini model on this run's machine, one answer to the "
        "recognition question with its picture; the published ones on a GPU at full size. Compare shares, not seconds."
    )
    header = ("", "parameters", "published: parameters", "time, mini", "published: time")
    return Shown((Table("What the Aligner costs (Table 7)", header, rows, note),), place="Table 7")


if __name__ == "__main__":
    main()
