"""Enrolling, against the encoder's own pass and against one picture at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from PIL import Image

from plvm_lab.measure.asking import Bench, Row
from plvm_lab.measure.in_turn import in_turn, ratios
from plvm_lab.measure.subjects import pictures


def bench_enroll(bench: Bench, together: Sequence[int] = (1, 64)) -> Iterator[Row]:
    """Concept tokens of so many people from a picture each; a unit is a picture. `prepared` is the encoder's pass with its image
    processor, for as many at a time; `over_encoder` is ours over it. The naive way calls processor, encoder and Aligner on one
    picture after the other."""
    vlm, device = bench.vlm, str(bench.vlm.encoder.device)
    weight = next(vlm.aligner.parameters())

    for count in together:
        some = pictures(count, 448, bench.seed)
        few = some[:4]

        @torch.inference_mode()
        def plainly(few: Sequence[Image.Image] = few) -> None:
            for one in few:
                z_ref = vlm.encoder.features(vlm.encoder.pixels([one]))
                vlm.aligner.tokens_from_features(z_ref[None].to(weight))

        ways = {
            "ours": (lambda s=some: vlm.tokens_of([[p] for p in s], batch=len(s)), count),
            "prepared": (lambda s=some: vlm.encoder.features(vlm.encoder.pixels(s)), count),
            "naive": (plainly, len(few)),
        }
        times = in_turn(ways, bench.rounds, device)
        yield {
            "together": count, "unit": "picture", "times": times, **ratios(times),
            "over_encoder": ratios(times, "prepared", "ours"), "tokens": {"ours": 0, "naive": 0},
            "bytes": {"concept": sum(t.nbytes for t in vars(vlm.tokens_of([some[:1]])[0]).values())},
        }  # fmt: skip
