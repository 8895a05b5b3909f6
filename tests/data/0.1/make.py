"""Write what plvm 0.1 leaves on disk, and what it says: run by the code of 0.1 alone, see README.md beside it."""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from plvm.demo.story import person, reference
from plvm.model.official import TEMPLATE
from plvm.portraits.draw import draw
from plvm.portraits.scene import draw_scene
from safetensors.torch import save_file

import plvm
from plvm.config import keys_of
from plvm.model.aligner import AlignerConfig, build_aligner
from plvm.model.checkpoint import fingerprint, load_aligner, save_aligner
from plvm.prompt import Template
from plvm.train.settings import Settings

HERE = Path(__file__).parent
CREATED = "2026-01-02T03:04:05+00:00"
SCENE, QUESTIONS = "compatibility/0", ("Where is <billie>?", "What is <zoë> doing?", "Where was this photo taken?")
TINY: dict[str, Any] = {
    "encoder_width": 8, "width": 12, "context_tokens": 4, "mlp_hidden": 8, "resampler_width": 8, "blocks": 2, "heads": 2,
    "free_tokens": 1, "code_width": 6, "backbone": "../backbone", "encoder": "../encoder",
}  # fmt: skip
FORMS: dict[str, tuple[dict[str, Any], Template]] = {
    "paper": ({"architecture": "paper"}, Template()),
    "paper-bounded": ({"architecture": "paper", "bounded": True, "row_rms": 0.5}, Template()),
    "anchored": ({"architecture": "anchored", "row_rms": 0.5}, Template(user="ASK:", first_gap="")),
    "released": ({"architecture": "released"}, TEMPLATE),
}
PARTS = ("word", "head", "context", "key")


def palette(picture: Image.Image) -> Image.Image:
    """The picture in 64 colours, so that its file is small."""
    return picture.quantize(64).convert("RGB")


def digest(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:16]


def rounded(tensor: torch.Tensor) -> Any:
    return [round(x, 6) for x in tensor.flatten().tolist()]


def write_concepts(vlm: plvm.Personal, scene: Image.Image) -> dict[str, Any]:
    """concepts.db and all.plvm: two concepts of the shipped model; what is in them, and what it says."""
    pictures = [palette(draw(reference(name), 160)) for name in ("billie", "avril")]
    concepts = [
        replace(vlm.enroll(name, picture, notes=notes), created=CREATED)
        for name, picture, notes in zip(("billie", "zoë"), pictures, ("my sister", ""), strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        with plvm.ConceptStore.open(Path(folder, "concepts.db")) as store:
            store.add_all(concepts)
            store.export(HERE / "all.plvm", replace=True)
        (HERE / "concepts.db").write_bytes(Path(folder, "concepts.db").read_bytes())
    answers = [vlm.ask(scene, question, concepts) for question in QUESTIONS]
    return {
        "mini": vlm.fingerprint,
        "concepts": [
            {
                "name": c.name, "notes": c.notes, "created": c.created, "aligner": c.aligner,
                "references": [hashlib.sha256(r).hexdigest()[:16] for r in c.references],
                "tokens": {part: digest(getattr(c.tokens, part)) for part in PARTS},
                "numbers": {part: rounded(getattr(c.tokens, part).flatten()[:8]) for part in PARTS},
            }
            for c in concepts
        ],
        "answers": [[question, answer.text] for question, answer in zip(QUESTIONS, answers, strict=True)],
        "present": [round(p, 4) for p in vlm.recognize([scene], concepts)[0]],
    }  # fmt: skip


def write_aligners() -> dict[str, Any]:
    """A folder for every form, with random weights, and what each makes of `features` in inputs.safetensors."""
    generator = torch.Generator().manual_seed(5)
    features, words = torch.randn(2, 10, 8, generator=generator), torch.randn(20, 12, generator=generator)
    save_file({"features": features, "words": words}, HERE / "inputs.safetensors")
    found = {}
    for name, (changes, template) in FORMS.items():
        aligner = build_aligner(AlignerConfig(**TINY, **changes))
        with torch.no_grad():
            for parameter in aligner.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
        save_aligner(HERE / name, aligner, template, {"steps": 0, "data": "none"})
        aligner, template, _ = load_aligner(HERE / name)
        aligner.use_words(words)
        with torch.inference_mode():
            rows = aligner.tokens_from_features(features)
        found[name] = {
            "fingerprint": fingerprint(aligner, template),
            "rows": {part: rounded(own[0]) for part, own in zip(PARTS, rows, strict=False)},
        }
    return found


def main() -> None:
    torch.manual_seed(0)
    vlm = plvm.load("mini", device="cpu", dtype="float32")
    people = [person("billie"), person("avril")]
    scene = palette(draw(draw_scene(people, random.Random(SCENE)), 224))
    scene.save(HERE / "scene.png", optimize=True)
    recorded = {"version": plvm.__version__, "names": plvm.__all__, **write_concepts(vlm, scene)}
    recorded["aligners"] = write_aligners()
    recorded["settings"] = keys_of(Settings())
    (HERE / "recorded.json").write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
