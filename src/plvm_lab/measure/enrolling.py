"""Enrolling, against the encoder's pass, by transformers and ours, and against one picture at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from PIL import Image
from torch import Tensor

from plvm.products import by_torch
from plvm_lab.measure.asking import Bench, Row
from plvm_lab.measure.in_turn import in_turn, ratios
from plvm_lab.measure.naive import stock
from plvm_lab.measure.subjects import pictures


def bench_enroll(bench: Bench, together: Sequence[int] = (1, 64)) -> Iterator[Row]:
    """Concept tokens of so many people from a picture each; a unit is a picture. `encoder` is the encoder's pass as transformers
    and torch compute it, with its image processor, for as many at a time, and `prepared` the same with what makes ours
    quicker; `over_encoder` and `over_prepared` are ours over them. The naive way calls processor, encoder and Aligner, as they
    compute them, on one picture after the other."""
    vlm, device = bench.vlm, str(bench.vlm.encoder.device)
    weight, encoder = next(vlm.aligner.parameters()), stock(vlm.encoder.model)

    for count in together:
        some = pictures(count, 448, bench.seed)
        few = some[:4]

        @torch.inference_mode()
        def encoded(some: Sequence[Image.Image] = some) -> Tensor:
            with by_torch():
                pixels = vlm.encoder.image_processor(images=list(some), return_tensors="pt")["pixel_values"]
                z_ref: Tensor = encoder(pixel_values=pixels.to(device, weight.dtype)).last_hidden_state
            return z_ref

        @torch.inference_mode()
        def plainly(few: Sequence[Image.Image] = few) -> None:
            for one in few:
                z_ref = encoded([one])
                with by_torch():
                    vlm.aligner.tokens_from_features(z_ref[None].to(weight))

        ways = {
            "ours": (lambda s=some: vlm.tokens_of([[p] for p in s], batch=len(s)), count),
            "encoder": (encoded, count),
            "prepared": (lambda s=some: vlm.encoder.features(vlm.encoder.pixels(s)), count),
            "naive": (plainly, len(few)),
        }
        times = in_turn(ways, bench.rounds, device)
        yield {
            "together": count, "unit": "picture", "times": times, **ratios(times),
            "over_encoder": ratios(times, "encoder", "ours"), "over_prepared": ratios(times, "prepared", "ours"),
            "tokens": {"ours": 0, "naive": 0},
            "bytes": {"concept": sum(t.nbytes for t in vars(vlm.tokens_of([some[:1]])[0]).values())},
        }  # fmt: skip
