"""The full-size model on this machine, with random weights: times and memory depend on shapes, not on what was learned.

    python research/benchmarks/full_size.py  # paper-7b in bfloat16 on a GPU, research/results/full_size.json
    python research/benchmarks/full_size.py --tiny --device cpu  # the same steps in miniature, to see that they run

    enrol      one picture to concept tokens: image processor, encoder, Aligner; and many pictures at a time
    prefill    the image prefix of one picture, and the suffix of one question on it
    decode     the engine's tokens at batch 1, against the time in which the memory can deliver the language model's
               weights once (the bandwidth is that of a copy, measured in the same run)
    score      P(present) of every concept in every picture, each picture computed once
    train      the Aligner's steps: every sample its own whole sequence, against many suffixes on a shared picture
    memory     the peak of each of these

Claims at 7B on one H100: encoder and Aligner <= 6 ms (the paper's figure); decode >= 50 % of the bandwidth limit;
34 x 246 pairs <= 40 s; shared >= 4 x naive samples a second. Words are those of the mini family's tokenizer, so that
nothing has to be downloaded; `tokens` says how many that makes.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from plvm.engine.generate import generate
from plvm.engine.request import Request
from plvm.model.backbone_family import Pixels
from plvm.personal import Personal
from plvm.presets import PRESETS, Preset, preset
from plvm.prompt.image_first import Prompt
from plvm.prompt.turns import Tokens
from plvm.runtime import choose_device, choose_dtype
from plvm.train.step import Packed, image_prefix, vocabulary_from
from plvm.types import Concept, SamplingParams
from plvm_lab.evaluate.result_table import Table
from plvm_lab.measure.ceiling import bandwidth
from plvm_lab.measure.subjects import build, pictures
from plvm_lab.measure.timing import milliseconds, require_memory, wait_for
from plvm_lab.measure.training import naive_loss, shared_loss

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, write_result

_KINDS = ("llava", "dinov2")  # pictures of one size
MEASURED = tuple(
    name for name, p in PRESETS.items() if (p.backbone_config["model_type"], p.encoder_config["model_type"]) == _KINDS
)
QUESTION, ANSWER = "Is <sks> in this photo? Answer with Yes or No.", "Yes"


@dataclass(frozen=True)
class Size:
    """How much of everything is measured."""

    pictures: int = 246
    concepts: int = 34
    together: int = 64  # pictures enrolled at a time
    words: int = 64  # length of an answer
    naive: int = 2  # samples of a naive step: the paper's batch
    packs: int = 16  # suffixes on one picture of a shared step
    repeat: int = 10


SMALL = Size(pictures=3, concepts=4, together=5, words=4, packs=3, repeat=2)


def tiny(full: Preset) -> Preset:
    """The same kinds of parts with small numbers."""
    config = full.backbone_config
    language = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    return replace(
        full,
        name=f"{full.name}, in miniature",
        aligner={**full.aligner, "encoder_width": 32, "width": 64, "mlp_hidden": 32, "resampler_width": 32, "heads": 4},
        backbone_config={
            **config,
            "text_config": {**config["text_config"], **language, "num_key_value_heads": 4},
            "vision_config": {**config["vision_config"], **tower, "image_size": 56},
            "image_seq_length": 16,
        },
        encoder_config={**full.encoder_config, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
        reference_size=56,
    )


# ---- the steps


def enrolling(vlm: Personal, size: Size, device: str, seed: int) -> dict[str, Any]:
    some = pictures(size.together, 512, seed)
    pixels = vlm.encoder.pixels(some[:1])
    weight = next(vlm.aligner.parameters())
    with torch.inference_mode():
        z_ref = vlm.encoder.features(pixels).to(weight)
        parts = {
            "picture_to_tokens": lambda: vlm.tokens_of([some[:1]]),
            "encoder": lambda: vlm.encoder.features(pixels),
            "aligner": lambda: vlm.rows(z_ref),
        }
        times = {name: milliseconds(step, device, size.repeat) for name, step in parts.items()}
    many = milliseconds(lambda: vlm.tokens_of([[p] for p in some]), device, max(2, size.repeat // 3), warmup=1)
    return {
        "milliseconds": rounded(times),
        "encoder_and_aligner_ms": round(times["encoder"] + times["aligner"], 3),
        "pictures_per_second": round(1000 * size.together / many, 2),
        "together": size.together,
    }


def prefilling(vlm: Personal, size: Size, device: str, concept: Concept, seed: int) -> dict[str, Any]:
    picture = pictures(1, 512, seed)
    prefix = look(vlm, picture[0])
    pixels = vlm.backbone.pixels(picture)
    one = SamplingParams(max_tokens=1)
    request = Request(prefix, QUESTION, (concept,))
    steps: dict[str, Callable[[], Any]] = {
        "image_prefix": lambda: image_prefix(vlm.backbone, vlm.prompt, pixels),
        "question": lambda: generate(vlm.backbone, vlm.prompt, [request], one),
    }
    answer = generate(vlm.backbone, vlm.prompt, [request], one)[0]
    return {
        "milliseconds": rounded({name: milliseconds(step, device, size.repeat) for name, step in steps.items()}),
        "tokens": {"image_prefix": prefix.length, "question": answer.prompt_tokens - prefix.length},
    }


def decoding(vlm: Personal, size: Size, device: str, concept: Concept, seed: int) -> dict[str, Any]:
    prompt = Prompt(vlm.prompt.tokenizer, vlm.prompt.template)
    prompt.end_id = -1  # random weights would end an answer anywhere
    request = Request(look(vlm, pictures(1, 512, seed)[0]), QUESTION, (concept,))

    def write(words: int) -> None:
        said = generate(vlm.backbone, prompt, [request], SamplingParams(max_tokens=words))[0]
        assert said.new_tokens == words

    long, short = (milliseconds(lambda n=n: write(n), device, max(3, size.repeat // 3)) for n in (size.words + 1, 1))
    model = vlm.backbone.model
    read = sum(p.numel() * p.element_size() for p in model.model.language_model.layers.parameters())
    read += model.lm_head.weight.numel() * model.lm_head.weight.element_size()
    speed = bandwidth(device)
    measured, limit = (long - short) / size.words, 1000 * read / speed
    return {
        "ms_per_token": round(measured, 3),
        "bandwidth_gb_per_second": round(speed / 1e9, 1),
        "bytes_per_token": read,
        "limit_ms_per_token": round(limit, 3),
        "share_of_limit": round(limit / measured, 4),
    }


def scoring(vlm: Personal, size: Size, device: str, seed: int) -> dict[str, Any]:
    references = pictures(size.concepts, 512, seed + 1)
    tokens = vlm.tokens_of([[r] for r in references])
    concepts = [Concept(f"n{i}", t, vlm.fingerprint) for i, t in enumerate(tokens)]
    seen = pictures(size.pictures, 512, seed)
    vlm.recognize(seen[:1], concepts)
    wait_for(device)
    begun = time.perf_counter()
    found = vlm.recognize(seen, concepts)
    seconds = time.perf_counter() - begun
    pairs = sum(map(len, found))
    return {"pairs": pairs, "seconds": round(seconds, 3), "pairs_per_second": round(pairs / seconds, 1)}


def training(vlm: Personal, size: Size, device: str, seed: int) -> dict[str, Any]:
    aligner = vlm.aligner.train().requires_grad_(True)
    optimizer = torch.optim.AdamW(aligner.parameters(), lr=1e-4)
    pixels = vlm.backbone.pixels(pictures(1, 512, seed))
    z_ref = vlm.encoder.features(vlm.encoder.pixels(pictures(1, 512, seed + 1))).clone().to(next(aligner.parameters()))

    def step(losses: Callable[[], Tensor]) -> None:
        optimizer.zero_grad(set_to_none=True)
        losses().backward()
        optimizer.step()

    parts = (vlm.backbone, vlm.prompt, aligner)
    naive, shared = (pack(vlm, pixels, z_ref, n) for n in (size.naive, size.packs))
    forms: dict[str, tuple[int, Callable[[], Tensor]]] = {
        "naive": (size.naive, lambda: naive_loss(*parts, naive)),
        "shared": (size.packs, lambda: shared_loss(*parts, shared)),
    }
    with torch.no_grad():
        losses = {name: round(float(loss()), 4) for name, (_, loss) in forms.items()}
    rates = {
        name: count / milliseconds(lambda loss=loss: step(loss), device, size.repeat) * 1000
        for name, (count, loss) in forms.items()
    }
    aligner.eval()
    return {
        "samples_per_second": rounded(rates),
        "samples_per_step": {name: count for name, (count, _) in forms.items()},
        "tokens": {"suffix": naive.ids.shape[1]},
        "losses": losses,
        "shared_over_naive": round(rates["shared"] / rates["naive"], 3),
    }


def pack(vlm: Personal, pixels: Pixels, z_ref: Tensor, packs: int) -> Packed:
    """`packs` times the same question about one picture, about a concept each."""
    rows = vlm.aligner.tokens_from_features(z_ref)
    tokens = Tokens()
    vocabulary = vocabulary_from(rows, vlm.backbone.vocabulary_size, 1)
    vlm.prompt.turn(tokens, QUESTION, ["sks"], vocabulary, joining=[0], answer=ANSWER, verdict=True)
    ids, supervise = (torch.tensor([x] * packs, device=z_ref.device) for x in (tokens.ids, tokens.supervise))
    return Packed(pixels, packs, ids, supervise, z_ref[None].expand(packs, -1, -1, -1))


# ---- the report


def look(vlm: Personal, picture: Image.Image) -> Any:
    return vlm.look(picture)


def rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in values.items()}


def peak_of(device: str, step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The step's figures with the peak of memory in GiB: of the GPU while it ran, else of the process so far."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    figures = step()
    gpu = device.startswith("cuda")
    peak = torch.cuda.max_memory_allocated(device) if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return figures | {"peak_gib": round(peak / 2**30, 2)}


def claims(found: dict[str, Any]) -> dict[str, Any]:
    """What was claimed at full size, what was measured, and whether it holds."""
    bars = {
        "enrol_ms": (found["enrol"]["encoder_and_aligner_ms"], 6.0, True),
        "decode_share_of_limit": (found["decode"]["share_of_limit"], 0.5, False),
        "score_seconds": (found["score"]["seconds"], 40.0, True),
        "shared_over_naive": (found["train"]["shared_over_naive"], 4.0, False),
    }
    return {
        name: {"value": value, "bar": bar, "holds": value <= bar if less else value >= bar}
        for name, (value, bar, less) in bars.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="paper-7b", choices=MEASURED)
    parser.add_argument("--device", help="default: the best one here")
    parser.add_argument("--dtype", help="default: bfloat16 on a GPU that computes in it, float32 on a CPU")
    parser.add_argument("--tiny", action="store_true", help="small parts and few repetitions, to see that it runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "full_size.json")
    arguments = parser.parse_args()

    device = choose_device(arguments.device).value
    dtype = choose_dtype(arguments.dtype, device=device).value
    chosen, size, seed = preset(arguments.preset), SMALL if arguments.tiny else Size(), arguments.seed
    chosen = tiny(chosen) if arguments.tiny else chosen
    require_memory(chosen, device, dtype)
    vlm = build(chosen, device, dtype, seed)
    concept = Concept("sks", vlm.tokens_of([pictures(1, 512, seed)])[0], vlm.fingerprint)
    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "enrol": lambda: enrolling(vlm, size, device, seed),
        "prefill": lambda: prefilling(vlm, size, device, concept, seed),
        "decode": lambda: decoding(vlm, size, device, concept, seed),
        "score": lambda: scoring(vlm, size, device, seed),
        "train": lambda: training(vlm, size, device, seed),
    }
    found: dict[str, Any] = {}
    for name, step in steps.items():
        found[name] = peak_of(device, step)
        print(f"{name}: {found[name]}")
    figures = {
        "preset": chosen.name,
        "weights": "random",
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "dtype": str(dtype).removeprefix("torch."),
        "n": size.repeat,
        "claims": claims(found),
        **found,
    }
    write_result(arguments.out, seed, figures, shown(figures))



def shown(figures: Mapping[str, Any]) -> Shown:
    """What was claimed, and what came out."""
    names = {"enrol_ms": "encoder and Aligner, ms", "decode_share_of_limit": "decoding, share of the memory's bandwidth",
             "score_seconds": "34 people in 246 pictures, s", "shared_over_naive": "training, shared over naive"}  # fmt: skip
    rows = tuple(
        (names[k], f"{claim['value']:g}", f"{claim['bar']:g}", "yes" if claim["holds"] else "no")
        for k, claim in figures["claims"].items()
    )
    note = f"{figures['preset']} with random weights in {figures['dtype']} on {figures['device']}; medians of {figures['n']}."
    return Shown((Table("Full size on a GPU", ("what", "measured", "aim", "holds"), rows, note),))


if __name__ == "__main__":
    main()
