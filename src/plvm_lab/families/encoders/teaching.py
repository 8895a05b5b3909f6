"""The four encoders from nothing: each an untrained stock model, an objective, a resumable stage and a folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from plvm.data.manifest import versions
from plvm.errors import RequestError
from plvm.runtime import mixed_precision
from plvm.train.loop import Report, StageSettings, run_stage
from plvm_lab.families.encoders.clip import Captions
from plvm_lab.families.encoders.dinov2 import Distillation
from plvm_lab.families.encoders.objective import Objective
from plvm_lab.families.encoders.sam import Regions
from plvm_lab.families.encoders.training_pictures import Pictures
from plvm_lab.families.encoders.vit import Classes
from plvm_lab.families.mini.parts import build_encoder, image_processor, plane_waves
from plvm_lab.families.mini.recipe import Recipe

RECORD, RUN = "training.json", "run"


def build_clip(recipe: Recipe) -> Any:
    """A `CLIPVisionModel` of the recipe's size."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    model = CLIPVisionModel(CLIPVisionConfig(**_sizes(recipe), projection_dim=recipe.encoder_width))
    (position,) = (p for n, p in model.named_parameters() if "position_embedding" in n)
    position.data[1:] = _waves(recipe)
    return model


def build_vit(recipe: Recipe) -> Any:
    """A `ViTModel` of the recipe's size."""
    from transformers import ViTConfig, ViTModel

    model = ViTModel(ViTConfig(**_sizes(recipe)), add_pooling_layer=False)
    model.embeddings.position_embeddings.data[0, 1:] = _waves(recipe)
    return model


def build_sam(recipe: Recipe) -> Any:
    """A `SamVisionModel` of the recipe's size, with attention over the whole picture in every layer."""
    from transformers import SamVisionConfig, SamVisionModel

    sizes, side = _sizes(recipe), recipe.reference_size // recipe.reference_patch
    mlp = sizes.pop("intermediate_size")
    config = SamVisionConfig(
        **sizes, mlp_dim=mlp, output_channels=recipe.encoder_width, window_size=0, initializer_range=0.02,
        global_attn_indexes=list(range(recipe.encoder_layers)),
    )  # fmt: skip
    model = SamVisionModel(config)
    model.vision_encoder.pos_embed.data[0] = _waves(recipe).view(side, side, -1)
    return model


def _sizes(recipe: Recipe) -> dict[str, Any]:
    return {
        "hidden_size": recipe.encoder_width, "intermediate_size": 4 * recipe.encoder_width,
        "num_hidden_layers": recipe.encoder_layers, "num_attention_heads": max(1, recipe.encoder_width // 48),
        "image_size": recipe.reference_size, "patch_size": recipe.reference_patch,
    }  # fmt: skip


def _waves(recipe: Recipe) -> torch.Tensor:
    return plane_waves(recipe.reference_size // recipe.reference_patch, recipe.encoder_width)


KINDS: Mapping[str, tuple[Callable[[Recipe], Any], Callable[..., Objective]]] = {
    "dinov2": (build_encoder, Distillation),
    "clip": (build_clip, Captions),
    "vit": (build_vit, Classes),
    "sam": (build_sam, Regions),
}


def check_kinds(kinds: Sequence[str]) -> None:
    """Raise RequestError for a kind that there is not."""
    if unknown := [k for k in kinds if k not in KINDS]:
        raise RequestError(f"There is no encoder {unknown[0]!r} here.", f"Choose of: {', '.join(KINDS)}.")


def teach(kind: str, pictures: Pictures, out: Path, recipe: Recipe, *, steps: int, report: Report) -> Path:
    """Teach one encoder, going on where it was interrupted, and write `out`/<kind>: the model and its image processor as
    stock transformers write them, and the training record. Returns that folder.

    Raises RequestError where the checkpoint there is that of another training.
    """
    check_kinds([kind])
    build, objective = KINDS[kind]
    folder, run = out / kind, out / RUN
    run.mkdir(parents=True, exist_ok=True)
    own = {
        "kind": kind, "steps": steps, "batch": recipe.encoder_batch, "lr": recipe.learning_rate, "seed": recipe.seed,
        "size": recipe.reference_size, "patch": recipe.reference_patch, "width": recipe.encoder_width,
        "layers": recipe.encoder_layers, "content": pictures.dataset.content, "pictures": len(pictures),
    }  # fmt: skip
    stamp = run / f"{kind}.json"
    if stamp.exists() and json.loads(stamp.read_text(encoding="utf-8")) != own:
        raise RequestError(f"{run} holds another training of {kind}.", "Choose another --out, or remove that folder.")
    stamp.write_text(json.dumps(own, indent=1) + "\n", encoding="utf-8")

    torch.manual_seed(recipe.seed)
    taught = objective(build(recipe), pictures, recipe.encoder_batch, steps)
    for name, part in taught.parts.items():
        part.train(name != "teacher")
    begun, first = time.monotonic(), dict[str, int]()

    def tell(stage: str, step: int, of: int, means: Mapping[str, float]) -> None:
        seconds = (time.monotonic() - begun) / max(1, step - first["step"])
        report(stage, step, of, {**means, "seconds_per_step": round(seconds, 4)})

    @mixed_precision()
    def losses(step: int, rng: Any) -> Mapping[str, torch.Tensor]:
        first.setdefault("step", step)
        return taught.losses(step, rng)

    run_stage(
        kind, taught.parts, losses, StageSettings(steps, recipe.learning_rate, recipe.seed), folder=run, report=tell,
    )  # fmt: skip
    taught.result.eval().save_pretrained(folder)
    image_processor(recipe.reference_size).save_pretrained(folder)
    logged = (run / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()
    record = own | {"figures": json.loads(logged[-1]), "versions": versions()}
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return folder
