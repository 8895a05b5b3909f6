"""What decides a training, as frozen dataclasses: `data`, `aligner` and `train`. The defaults are the paper's (section 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib.metadata import entry_points

from plvm.errors import RequestError
from plvm.model.aligner import form_of, known_forms
from plvm.presets import PRESETS
from plvm.prompt.orders import ORDERS

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
OPTIMIZERS = ("adamw", "muon")
SINGLE = "single"  # the published tasks


@dataclass(frozen=True)
class Data:
    """Which questions are drawn. tasks: "single", the published single questions ("paper" means the same), or "grounded",
    whole dialogues about one to three people, which need a drawn dataset (ours); p: share of recognition questions whose
    person is in the picture; recognition, attribute: how often each is asked, relative to each other; distractors: share of
    steps whose prompts define one to three further people; augment: references are mirrored, cut and lit at random;
    validation: samples of the validation identities."""

    tasks: str = SINGLE
    p: float = 0.5
    recognition: float = 1.0
    attribute: float = 1.0
    distractors: float = 0.0
    augment: bool = False
    validation: int = 256

    def __post_init__(self) -> None:
        if self.tasks == "paper":  # what it was called in 0.1
            object.__setattr__(self, "tasks", SINGLE)
        known = known_tasks()
        _require(self.tasks in known, "data.tasks", self.tasks, f"one of {', '.join(known)}")
        for name in ("p", "distractors"):
            _require(0 <= getattr(self, name) <= 1, f"data.{name}", getattr(self, name), "a share from 0 to 1")
        for name in ("recognition", "attribute"):
            _require(0 <= getattr(self, name) < math.inf, f"data.{name}", getattr(self, name), "0 or more")
        _require(
            self.recognition + self.attribute > 0, "data.attribute", self.attribute, "more than 0 without recognition"
        )
        if self.tasks == "grounded":
            _require(
                self.distractors == 0, "data.distractors", self.distractors, "0 with grounded tasks: they have some"
            )
        _require(self.validation >= 1, "data.validation", self.validation, "1 or more")


@dataclass(frozen=True)
class Shape:
    """The Aligner to be trained; widths are those of the named model's own. encoder: a folder or Hub id ("": the model's
    own); bounded: rows keep the size of the backbone's; form: "image-first", where questions share a picture, or
    "definitions-first", the released order, where each goes through the model with its own."""

    architecture: str = "paper"
    K: int = 16
    blocks: int = 4
    bounded: bool = False
    encoder: str = ""
    form: str = "image-first"

    def __post_init__(self) -> None:
        forms = known_forms()
        _require(self.architecture in forms, "aligner.architecture", self.architecture, f"one of {', '.join(forms)}")
        _require(self.form in ORDERS, "aligner.form", self.form, f"one of {', '.join(ORDERS)}")
        _require(1 <= self.K <= 256, "aligner.K", self.K, "1 to 256")
        _require(1 <= self.blocks <= 64, "aligner.blocks", self.blocks, "1 to 64")


@dataclass(frozen=True)
class Steps:
    """How it is trained. A step draws `pictures` (the paper's batch) with `packs` questions each, in `accumulate` pieces;
    lr falls from its peak, reached after `warmup` steps, to `floor` times it along a cosine; w weighs Yes/No (Eq. 2);
    anchor: anchored tokens are told the words of a drawn person (ours), with a weight that falls from 1 to 0 in this share
    of the training (above 1 it ends above 0; 0: they are not told); clip is the longest gradient. Every `validate` steps
    the validation loss is measured; after `patience` times without a better one training ends (0: never). shard: spread
    the backbone's layers over the processes (FSDP). save: seconds between checkpoints; cache: GB of frozen features kept
    on disk (0: none)."""

    steps: int = 10_000
    pictures: int = 2
    packs: int = 4
    accumulate: int = 1
    w: float = 20.0
    anchor: float = 0.0
    optimizer: str = "adamw"
    lr: float = 1e-4
    warmup: int = 100
    floor: float = 0.02
    clip: float = 1.0
    precision: str = "auto"
    shard: bool = False
    seed: int = 0
    validate: int = 500
    patience: int = 0
    report: int = 50
    save: float = 300.0
    cache: float = 20.0
    trackers: str = "tensorboard"

    def __post_init__(self) -> None:
        for name in ("steps", "pictures", "packs", "accumulate", "validate", "report"):
            _require(getattr(self, name) >= 1, f"train.{name}", getattr(self, name), "1 or more")
        for name in ("lr", "clip", "w"):
            _require(0 < getattr(self, name) < math.inf, f"train.{name}", getattr(self, name), "more than 0")
        for name in ("anchor", "warmup", "floor", "seed", "patience", "save", "cache"):
            _require(0 <= getattr(self, name) < math.inf, f"train.{name}", getattr(self, name), "0 or more")
        for name, known in (("precision", PRECISIONS), ("optimizer", OPTIMIZERS)):
            _require(getattr(self, name) in known, f"train.{name}", getattr(self, name), f"one of {', '.join(known)}")


@dataclass(frozen=True)
class Settings:
    """All settings of one training, by section. Raises RequestError for sections that do not go together."""

    data: Data = field(default_factory=Data)
    aligner: Shape = field(default_factory=Shape)
    train: Steps = field(default_factory=Steps)

    def __post_init__(self) -> None:
        if self.train.anchor > 0:
            able = [name for name in known_forms() if form_of(name).word_supervision]
            wanted = f"0 unless aligner.architecture is {' or '.join(able)}"
            _require(self.aligner.architecture in able, "train.anchor", self.train.anchor, wanted)


def settings_for(model: str) -> Settings:
    """The settings before anybody changes one: the paper's; of a preset's Aligner the form is the preset's."""
    return Settings(aligner=Shape(architecture=PRESETS[model].architecture)) if model in PRESETS else Settings()


def known_tasks() -> tuple[str, ...]:
    """The tasks that `data.tasks` can name: the published ones, and those of the entry-point group `plvm.tasks`."""
    return (SINGLE, *sorted(found.name for found in entry_points(group="plvm.tasks")))


def _require(holds: bool, key: str, value: object, wanted: str) -> None:
    if not holds:
        raise RequestError(f"{key} cannot be {value!r}.", f"It is {wanted}.")
