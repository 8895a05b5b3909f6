"""An Aligner trained on a dataset of `plvm synth` between the frozen parts of any model.

    out/                 the best Aligner so far by its loss on validation identities: a folder that `plvm.load` reads; at the end
                         also how unlike the training a picture is, fitted on the dataset's pictures
    out/run/             run.json (what is trained on what), aligner.pt (the checkpoint), aligner.jsonl (the log), trackers

Every step is a function of the seed and its number, and every process draws all of it and computes its share: the run is
the same however often it is interrupted, and up to rounding the same for any number of processes.
"""

from __future__ import annotations

import dataclasses
import json
import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from plvm.data.files import whole_file
from plvm.data.manifest import versions
from plvm.errors import RequestError
from plvm.model.aligner import Aligner
from plvm.model.checkpoint import FAMILIARITY, save_aligner, save_familiarity
from plvm.prompt.image_first import Prompt
from plvm.prompt.turns import VERDICT
from plvm.runtime import choose_dtype
from plvm.train.batch import pack, pieces
from plvm.train.familiar import fit_on_dataset
from plvm.train.features import Features
from plvm.train.loop import Callback, Report, StageSettings, run_stage
from plvm.train.loss import answer_loss
from plvm.train.memory import peak_bytes
from plvm.train.processes import Team
from plvm.train.settings import Settings
from plvm.train.step import image_prefix, rows_of, suffix_logits
from plvm.train.tasks import Group, check_split, tasks_of, words_of

NAME, RUN = "aligner", "run"
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a run will take: bytes of the frozen parts, of the Aligner with gradients and AdamW's moments, and of one step at
    its peak; seconds of one step and of all that are left."""

    frozen: int
    aligner: int
    step: int
    seconds_per_step: float
    seconds: float


class Trainer:
    """One training between the frozen parts of `features`, ready to run. Raises RequestError where the dataset or the folder does
    not fit."""

    def __init__(
        self, features: Features, out: Path, settings: Settings, *, prompt: Prompt, aligner: Aligner, team: Team, model: str
    ) -> None:  # fmt: skip
        self.features, self.out, self.settings, self.team, self.model = features, out, settings, team, model
        self.dataset, self.backbone, self.encoder = features.dataset, features.backbone, features.encoder
        self.prompt, self.aligner = prompt, aligner.to(features.backbone.device).train()
        self.splits = {name: self.dataset.split(name) for name in ("train", "val")}
        for split in self.splits.values():
            check_split(split, settings.data)
        tasks = tasks_of(settings.data.tasks)
        self.tasks = {name: tasks(self.dataset, split, settings.data) for name, split in self.splits.items()}
        self.words = words_of(self.dataset, "train") if settings.train.anchor > 0 else {}
        self.dtype = precision_of(settings, team.device)
        steps = -(-settings.data.validation // (settings.train.pictures * settings.train.packs))
        self.validation = [self.groups(random.Random(f"validation/{i}"), "val") for i in range(steps)]
        self._claim()

    # ---- one step
    def groups(self, rng: random.Random, split: str = "train") -> list[Group]:
        """All that one step asks, of all processes."""
        train = self.settings.train
        return self.tasks[split].groups(rng, train.pictures, train.packs)

    def losses(self, step: int, rng: random.Random) -> Iterator[Mapping[str, Tensor]]:
        """This process's pieces of a step; `total` and `yes_no` (share of right Yes/No words) add up to the step's, and so does
        `read` (the figure of the form's own loss) while words are told."""
        train, groups = self.settings.train, self.groups(rng)
        samples = [s for g in groups for s in g.samples]
        verdicts, drawn = sum(t.here is not None for s in samples for t in s.turns), False
        augment = f"{train.seed}/{step}" if self.settings.data.augment else None
        weight = 1 - step / (train.anchor * train.steps) if step < train.anchor * train.steps else 0.0
        for piece, mine in self._pieces(groups):
            loss, right, _, read = self._measure(piece, augment, weight)
            share, drawn = sum(len(g.samples) for g in piece) * mine / len(samples), True
            figures = {"total": loss * share, "yes_no": right.sum() * mine / (verdicts or math.nan)}
            yield figures | ({"read": read * share} if read is not None else {})
        if not drawn:  # more processes than pictures: nothing to add, but something to add up
            nothing = sum(p.sum() for p in self.aligner.parameters()) * 0.0
            yield {"total": torch.as_tensor(nothing), "yes_no": torch.zeros(())}

    def _pieces(self, groups: Sequence[Group]) -> Iterator[tuple[list[Group], bool]]:
        train = self.settings.train
        return pieces(groups, train.accumulate, self.team.rank, self.team.size, even=train.shard)

    def _measure(
        self, groups: Sequence[Group], augment: str | None = None, weight: float = 0.0
    ) -> tuple[Tensor, Tensor, list[bool], Tensor | None]:
        """The mean loss of some groups, with `weight` times the form's own; for each Yes/No question, whether Yes and
        No are in the right order, and whether the answer is Yes; the share of anchored tokens that point right."""
        anchors = self._anchors if weight else None
        packed = pack(groups, self.features, self.prompt, self.aligner.config.context_tokens, augment, anchors)
        device = self.backbone.device.type
        with torch.autocast(device, self.dtype, enabled=self.dtype != torch.float32):
            prefix = image_prefix(self.backbone, self.prompt, packed.pixels)
            logits = suffix_logits(self.backbone, prefix, packed, rows_of(self.aligner, packed))
            loss, read = answer_loss(logits, packed.ids, packed.supervise, self.settings.train.w), None
            if packed.anchors is not None:
                own, read = self.aligner.extra_loss(packed.z_ref.flatten(0, 1), packed.anchors.flatten(0, 1))
                loss = loss + weight * own
        kinds = packed.supervise[:, 1:]
        said = logits[kinds[kinds > 0] == VERDICT].detach()
        yes = packed.ids[:, 1:][kinds == VERDICT] == self.prompt.yes_id
        right = (said[:, self.prompt.yes_id] > said[:, self.prompt.no_id]) == yes
        return loss, right.float(), yes.tolist(), read

    def _anchors(self, person: str) -> list[int]:
        """The first token of each phrase that describes a person."""
        return [self.prompt.text(" " + phrase)[0] for phrase in self.words[person]]

    # ---- around the steps
    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss on validation identities; for recognition the shares of right Yes and No, and their mean."""
        own = dict.fromkeys(("loss", "samples", "yes", "no", "yes_right", "no_right"), 0.0)
        for piece, mine in (found for groups in self.validation for found in self._pieces(groups)):
            loss, right, here, _ = self._measure(piece)
            if not mine:
                continue
            answers = sum(len(g.samples) for g in piece)
            own["loss"] += float(loss) * answers
            own["samples"] += answers
            for good, yes in zip(right.tolist(), here, strict=True):
                kind = "yes" if yes else "no"
                own[kind] += 1
                own[f"{kind}_right"] += good
        found = self.team.add(own)
        shares = {k: found[f"{k}_right"] / found[k] for k in ("yes", "no") if found[k]}
        mean = {"recognition": sum(shares.values()) / len(shares)} if shares else {}
        return {"loss": found["loss"] / found["samples"], **shares, **mean}

    def estimate(self) -> Estimate:
        """Computes one step, of eight the one with most pictures, twice without taking it: the first warms up and counts
        memory, the second is timed. All processes have to call it."""
        weights = [p for part in (self.backbone, self.encoder) for p in part.model.parameters()]
        here = [p.to_local() if isinstance(p, DTensor) else p for p in weights]
        own = sum(p.numel() for p in self.aligner.parameters())

        def pictures(i: int) -> int:
            return sum(bool(g.picture) for g in self.groups(random.Random(f"estimate/{i}")))

        fullest = max(range(8), key=pictures)

        def step() -> None:
            for piece in self.losses(0, random.Random(f"estimate/{fullest}")):
                piece["total"].backward()
            float(sum(p.grad.sum() for p in self.aligner.parameters() if p.grad is not None))  # waits for a GPU

        peak, begun = peak_bytes(step), time.monotonic()
        step()
        seconds = time.monotonic() - begun
        for p in self.aligner.parameters():
            p.grad = None
        left = self.settings.train.steps - self.step_of_checkpoint()
        return Estimate(sum(p.numel() * p.element_size() for p in here), 16 * own, peak, seconds, left * seconds)

    def run(self, report: Report) -> dict[str, Any]:
        """Train to the end; returns the training record of the best Aligner. Interrupted, it goes on at its checkpoint.

        Raises PlvmError where the loss is no number.
        """
        train, best = self.settings.train, KeepBest(self, report)
        self.team.start(NAME)
        scaler = torch.amp.GradScaler(self.backbone.device.type, enabled=self.dtype == torch.float16)

        def tell(stage: str, step: int, steps: int, figures: Mapping[str, float]) -> None:
            self.team.log(figures, step)
            report("train", step, steps, figures)

        try:
            run_stage(
                NAME, {"aligner": self.aligner}, self.losses,
                StageSettings(
                    train.steps, train.lr, train.seed, train.warmup, train.floor, train.clip, train.optimizer == "muon",
                    train.save, train.report,
                ),
                folder=self.out / RUN, report=tell, scaler=scaler, team=self.team, callback=best,
            )  # fmt: skip
            self._familiarize(report)
        finally:
            self.team.end()
        return best.record

    def _familiarize(self, report: Report) -> None:
        """Fit what says how unlike the training a picture is, where that is not done; one process can, since the vision
        halves are nowhere spread."""
        if self.team.main and not (self.out / FAMILIARITY).exists():
            parts, splits = (self.backbone, self.encoder, self.dataset), self.splits
            save_familiarity(self.out, fit_on_dataset(*parts, splits, lambda done, of: report("familiarity", done, of, {})))

    def step_of_checkpoint(self) -> int:
        """How many steps the checkpoint in the run's folder has behind it; 0 without one."""
        path = self.out / RUN / f"{NAME}.pt"
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)["step"] if path.exists() else 0

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be continued."""
        settings = dataclasses.asdict(self.settings)
        for name in ("save", "report", "cache", "trackers"):
            del settings["train"][name]
        return {
            "model": self.model, "backbone": self.features.backbone_print, "encoder": self.features.encoder_print,
            "content": self.dataset.content, **settings,
        }  # fmt: skip

    def _claim(self) -> None:
        """Make the folder this run's. Raises RequestError where it is another's."""
        path, own = self.out / RUN / "run.json", self.identity()
        if path.exists():
            there = json.loads(path.read_text(encoding="utf-8"))
            if different := _difference(there, own):
                key, was, now = different
                raise RequestError(
                    f"{self.out} holds a run with {key} {was!r}; this one has {now!r}.",
                    "Choose another --out, or start the command that began it.",
                )
        elif self.out.exists() and any(f.name != RUN for f in self.out.iterdir()):
            raise RequestError(f"{self.out} is not empty, and holds no training run.", "Choose another --out.")
        elif self.team.main:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as part:
                part.write_text(json.dumps(own, indent=1) + "\n", encoding="utf-8")


class KeepBest(Callback):
    """Validates, keeps the best Aligner in the run's folder, and says when to stop."""

    def __init__(self, trainer: Trainer, report: Report) -> None:
        self.trainer, self.report = trainer, report
        self.record: dict[str, Any] = {}
        self.worse = 0
        self.done = False

    def after(self, step: int, steps: int) -> None:
        t = self.trainer
        if step % t.settings.train.validate and step != steps:
            return
        figures = t.validate()
        if not self.record or figures["loss"] < self.record["validation"]["loss"]:
            self.worse = 0
            self.record = t.identity() | {
                "dataset": str(t.dataset.folder), "step": step, "samples": step * _per_step(t.settings),
                "validation": {k: round(v, 6) for k, v in figures.items()}, "versions": versions(),
            }  # fmt: skip
            if t.team.main:
                save_aligner(t.out, t.aligner, t.prompt.template, self.record)
        else:
            self.worse += 1
        self.done = 0 < t.settings.train.patience <= self.worse
        t.team.log({f"validation/{k}": v for k, v in figures.items()}, step)
        self.report("validation", step, steps, figures)

    def state(self) -> dict[str, object]:
        return {"record": json.dumps(self.record), "worse": self.worse, "done": self.done}

    def load(self, state: Mapping[str, Any]) -> None:
        self.record, self.worse, self.done = json.loads(state["record"]), state["worse"], state["done"]


def precision_of(settings: Settings, device: str) -> torch.dtype:
    """The number format of products; "auto" is what the device computes best."""
    chosen = settings.train.precision
    return choose_dtype(device=device).value if chosen == "auto" else PRECISIONS[chosen]


def _per_step(settings: Settings) -> int:
    return settings.train.pictures * settings.train.packs


def _difference(there: Mapping[str, Any], own: Mapping[str, Any], at: str = "") -> tuple[str, Any, Any] | None:
    for key in {**there, **own}:
        was, now = there.get(key), own.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            if deeper := _difference(was, now, f"{key}."):
                return deeper
        elif was != now:
            return f"{at}{key}", was, now
    return None
