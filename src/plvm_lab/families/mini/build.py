"""`plvm mini build`: the whole mini family from nothing, stage by stage, resumable.

    tokenizer -> draw -> tower, encoder, language -> vision -> conversation -> align -> export -> evaluate

Each stage writes into the build folder. What has been drawn and trained is not drawn or trained again, and what was
interrupted goes on from its last checkpoint; tokenizer, export and evaluate are short and are repeated. `export` writes the
family as the package ships it: stock `save_pretrained` folders and an Aligner folder.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from plvm.errors import CheckpointError, RequestError
from plvm.model.backbone import Backbone
from plvm.model.checkpoint import load_aligner, save_aligner
from plvm.model.encoder import Encoder
from plvm.personal import load
from plvm.presence.calibration import save_calibration
from plvm.runtime import choose_device
from plvm.train.initialization import Names, write_names
from plvm.train.loop import Report
from plvm.train.trainer import Trainer
from plvm_lab.families.mini import align, conversation, crowd, language, parts, vision, vision_language
from plvm_lab.families.mini.adoption import adopt_family, adopted
from plvm_lab.families.mini.drawing import draw_world
from plvm_lab.families.mini.familiar_pictures import write_familiarity
from plvm_lab.families.mini.pretrain import Pretrainer
from plvm_lab.families.mini.recipe import SCALES, Recipe
from plvm_lab.families.mini.tokenizer import build_tokenizer
from plvm_lab.synth.pipeline import synthesize

STAGES = (
    "tokenizer", "draw", "tower", "encoder", "language", "vision", "conversation", "align", "export", "evaluate",
)  # fmt: skip
TRAINED = ("tower", "encoder", "language", "vision", "conversation", "align")  # where a GPU helps
STANDING = ("tokenizer", "tower", "encoder", "language", "vision")  # stages that an adopted family stands for
SHIPPED_ARM = "anchored"


@dataclass
class Build:
    """One build folder: `weights/` holds the exported family, everything else is intermediate."""

    recipe: Recipe
    folder: Path
    report: Report
    workers: int = 2
    device: str | None = None

    def tokenizer(self) -> Any:
        """The trained tokenizer of this folder."""
        from transformers import AutoTokenizer

        path = self.folder / "tokenizer"
        if not (path / "tokenizer.json").exists():
            raise CheckpointError(f"{path} holds no tokenizer.", "Run the stage `tokenizer` first.")
        return AutoTokenizer.from_pretrained(path)

    def parts_of(self, stage: str) -> dict[str, Any]:
        """The trained parts of a finished stage."""
        path = self.folder / f"{stage}.pt"
        if not path.exists():
            raise CheckpointError(f"{path} is missing.", f"Run the stage `{stage}` first.")
        return torch.load(path, map_location="cpu", weights_only=True)["parts"]

    def vlm(self, *stages: str) -> Any:
        """The VLM with the parts that these stages trained."""
        torch.manual_seed(self.recipe.seed)
        model = parts.build_vlm(self.recipe, self.tokenizer())
        places = {
            "tower": model.model.vision_tower,
            "projector": model.model.multi_modal_projector,
            "language_model": model.model.language_model,
            "lm_head": model.lm_head,
        }
        for stage in stages:
            for key, weights in self.parts_of(stage).items():
                if key in places:
                    places[key].load_state_dict(weights)
        return model

    def backbone(self, *stages: str) -> Backbone:
        """The frozen backbone with the parts that these stages trained."""
        return Backbone(
            self.vlm(*stages), self.tokenizer(), parts.image_processor(self.recipe.image_size), "../backbone"
        )

    def encoder(self, trained: bool = True) -> Encoder:
        """The reference encoder, as its stage left it or before its training."""
        torch.manual_seed(self.recipe.seed + 1)
        model = parts.build_encoder(self.recipe)
        if trained:
            model.load_state_dict(self.parts_of("encoder")["encoder"])
        return Encoder(model, parts.image_processor(self.recipe.reference_size), "../encoder")

    def pretrainer(self, *stages: str) -> Pretrainer:
        """The pretraining of the language model, going on from these stages."""
        pretrainer = Pretrainer(self.recipe, self.backbone(*stages))
        for stage in stages:
            trained = self.parts_of(stage)
            if "names" in trained:
                pretrainer.names.load_state_dict(trained["names"])
            if "helpers" in trained:
                pretrainer.helpers.load_state_dict(trained["helpers"])
        return pretrainer

    def names(self) -> Names:
        """How the trained language model's names are made of codes."""
        return self.parts_of("conversation")["names"]

    def trainer(self, arm: str) -> Trainer:
        """The training of an arm's Aligner between the trained parts."""
        backbone, encoder = self.backbone("tower", "conversation"), self.encoder()
        return align.prepare_arm(arm, self.recipe, backbone, encoder, self.names(), self.folder, self.device)

    # ---- stages
    def run_tokenizer(self) -> None:
        """Train the tokenizer."""
        build_tokenizer(self.recipe.seed).save_pretrained(self.folder / "tokenizer")
        self.report("tokenizer", 1, 1, {})

    def run_draw(self) -> None:
        """Draw the training pictures of the stages that are this build's own, and the people that Aligners are trained on."""
        if not adopted(self.folder):
            draw_world(self.recipe, self.folder, self.workers, lambda what, done, of: self.report(what, done, of, {}))
        synthesize(
            align.spec_of(self.recipe), self.folder / "people", workers=self.workers,
            report=lambda done, of: self.report("draw people", done, of, {}),
        )  # fmt: skip

    def run_tower(self) -> None:
        """Train the vision tower and the projector."""
        vision.train_tower(self.recipe, self.vlm(), self.folder, self.report)

    def run_encoder(self) -> None:
        """Train the reference encoder."""
        vision.train_encoder(self.recipe, self.encoder(trained=False).model, self.folder, self.report)

    def run_language(self) -> None:
        """Train the language model on pictures in words."""
        language.train_language(self.recipe, self.pretrainer(), self.folder, self.report)

    def run_vision(self) -> None:
        """Train projector and language model on real pictures."""
        pretrainer = self.pretrainer("tower", "language")
        vision_language.train_vision(self.recipe, pretrainer, self.folder, self.report)

    def run_conversation(self) -> None:
        """Train projector and language model on in everyday English."""
        pretrainer = self.pretrainer("tower", "vision")
        conversation.train_conversation(self.recipe, pretrainer, self.folder, self.report)

    def run_align(self, arms: Sequence[str] = tuple(align.ARMS)) -> None:
        """Train the Aligner of every arm."""
        for arm in arms:
            self._align(arm)

    def _align(self, arm: str) -> None:
        def report(_: str, step: int, steps: int, figures: Mapping[str, float]) -> None:
            self.report(f"aligner-{arm}", step, steps, figures)

        self.trainer(arm).run(report)

    def run_export(self, arm: str = SHIPPED_ARM) -> None:
        """Write the family with the Aligner of one arm to `weights/`, and fit its verdicts."""
        export(self, arm, self.folder / "weights")
        write_familiarity(
            self.folder / "weights" / "aligner", self.recipe, lambda done, of: self.report("familiarity", done, of, {})
        )
        vlm = load(self.folder / "weights" / "aligner", device="cpu")
        people, pictures = crowd.SIZES[self.recipe.name]
        found = crowd.calibrate(
            vlm, people=people, pictures=pictures, report=lambda what, done, of: self.report(what, done, of, {})
        )
        save_calibration(self.folder / "weights" / "aligner", found, vlm.fingerprint)

    def run_evaluate(self) -> None:
        """Run the exported family on the portraits benchmark."""
        from plvm_lab.systems.comparison import evaluate_model

        evaluate_model(
            self.folder / "weights" / "aligner", self.folder / "evaluation", small=self.recipe.name == "smoke"
        )


def export(build: Build, arm: str, out: Path) -> None:
    """Write the family as float16 safetensors: `backbone/`, `encoder/`, `aligner/`."""
    aligner, template, record = load_aligner(build.folder / f"aligner-{arm}")
    vlm = build.vlm("tower", "conversation").half()
    vlm.save_pretrained(out / "backbone")
    build.tokenizer().save_pretrained(out / "backbone")
    parts.image_processor(build.recipe.image_size).save_pretrained(out / "backbone")
    write_names(build.names(), out / "backbone")
    encoder = build.encoder()
    encoder.model.half().save_pretrained(out / "encoder")
    parts.image_processor(build.recipe.reference_size).save_pretrained(out / "encoder")
    figures = {stage: last_figures(build.folder / f"{stage}.jsonl") for stage in ("tower", "encoder", "vision", "conversation")}
    about = {"recipe": build.recipe.to_dict(), "arm": arm, "figures": figures, "training": record}
    if before := adopted(build.folder):
        about["adopted"] = before
    save_aligner(out / "aligner", aligner.half(), template, about)
    build.report("export", 1, 1, {})


def last_figures(path: Path) -> dict[str, float]:
    """The last line of a log."""
    return json.loads(path.read_text().splitlines()[-1]) if path.exists() else {}


def stages_of(text: str) -> list[str]:
    """ "all" or a comma list of stage names, in the order of the build."""
    if text == "all":
        return list(STAGES)
    chosen = [s.strip() for s in text.split(",") if s.strip()]
    if unknown := [s for s in chosen if s not in STAGES]:
        raise RequestError(f"There is no stage {unknown[0]!r}.", f"Stages: {', '.join(STAGES)} - or all.")
    return [s for s in STAGES if s in chosen]


def build_mini(
    folder: Path, scale: str = "full", stages: str = "all", *, report: Report, workers: int = 2, threads: int = 2,
    device: str | None = None, family: str | Path | None = None, changes: Callable[[Recipe], Recipe] = lambda r: r,
) -> Path:  # fmt: skip
    """Run the chosen stages in `folder`; returns the folder of the exported family. Trains on `device`, a GPU where one is
    here, and draws with `workers` processes; on a CPU with `threads` threads. With `family` the frozen parts of an exported one
    stand for the stages before "conversation".

    A folder holds one recipe: another scale or seed in the same folder is refused (RequestError).
    """
    if scale not in SCALES:
        raise RequestError(f"There is no scale {scale!r}.", f"Scales: {', '.join(SCALES)}.")
    recipe = changes(SCALES[scale])
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "recipe.json"
    if stamp.exists() and json.loads(stamp.read_text()) != recipe.to_dict():
        raise RequestError(f"{folder} holds a build of another recipe.", "Choose another --out, or remove that folder.")
    stamp.write_text(json.dumps(recipe.to_dict(), indent=1))
    if family is not None:
        adopt_family(family, folder)
    torch.set_num_threads(threads)
    build = Build(recipe, folder, report, workers, device)
    for stage in stages_of(stages):
        if adopted(folder) and stage in STANDING:
            continue
        started = time.monotonic()
        with torch.device(choose_device(device).value if stage in TRAINED else "cpu"):
            getattr(build, f"run_{stage}")()
        report(stage, 1, 1, {"seconds": round(time.monotonic() - started, 1)})
    return folder / "weights"
