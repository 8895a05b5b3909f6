"""What is to be made, as a value: the generator and its amounts, and the shards into which the identities fall.

A shard holds whole identities of one split and is a pure function of the spec, so shards can be made anywhere, in any
order, and again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from plvm.errors import RequestError

FORMAT = 2
SPLITS = ("train", "val", "test")
ANSWERS = ("truth", "backbone")


@dataclass(frozen=True)
class Spec:
    """Everything that decides the bytes of a dataset.

    identities: how many (0: all that the generator knows); per_identity: pictures beside the reference; size: pixels a
    side; shard: identities per shard; shares: of train, val and test; filters: whether pictures are judged;
    text_threshold, face_threshold: None for the judge's own; answers: where attribute answers come from; options: what
    else the generator, the judges and the answering model need to know (paths as strings); inputs: digests of what the
    generator takes from elsewhere, written when the work begins.
    """

    generator: str = "portraits"
    identities: int = 2000
    per_identity: int = 5
    seed: int = 0
    size: int = 224
    shard: int = 50
    shares: tuple[float, float, float] = (0.9, 0.05, 0.05)
    filters: bool = True
    text_threshold: float | None = None
    face_threshold: float | None = None
    answers: str = "truth"
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks = (
            (self.identities >= 0, f"{self.identities} identities cannot be made."),
            (1 <= self.per_identity <= 1000, f"{self.per_identity} pictures per identity cannot be made."),
            (32 <= self.size <= 2048, f"Pictures of {self.size} pixels a side cannot be made; 32 to 2048 can."),
            (self.shard >= 1, f"{self.shard} identities are no shard."),
            (self.seed >= 0, f"The seed {self.seed} is negative."),
            (self.answers in ANSWERS, f'There are no answers from "{self.answers[:40]}", only from {ANSWERS}.'),
            (
                len(self.shares) == 3 and min(self.shares) >= 0 and abs(sum(self.shares) - 1) < 1e-6,
                f"The shares of train, val and test, {self.shares}, do not add up to 1.",
            ),
        )
        for good, message in checks:
            if not good:
                raise RequestError(message, "See `plvm synth --help`.")

    def to_json(self) -> str:
        """The text of the file `spec.json` that a dataset begins with."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True, default=str) + "\n"


def read_spec(path: Path) -> Spec:
    """The spec of a dataset folder. Raises RequestError where it is unreadable or of another version."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT or set(values) != {f.name for f in fields(Spec)}:
            raise RequestError(f"{path} is of another version of plvm.", "Make the dataset again in another folder.")
        return Spec(**{**values, "shares": tuple(values["shares"])})
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise RequestError(
            f"{path} cannot be read ({type(error).__name__}).", "Name the folder of a dataset, made by `plvm synth`."
        ) from None


def check_inputs(spec: Spec, found: Mapping[str, str], folder: Path) -> None:
    """Compare the digests in `spec` with those of what is `found` now. Raises RequestError."""
    changed = sorted(name for name in {*spec.inputs, *found} if spec.inputs.get(name) != found.get(name))
    if changed:
        raise RequestError(
            f"The {' and the '.join(changed)} are no longer those that {folder} was begun with.",
            "Restore them, or choose another --out.",
        )


@dataclass(frozen=True)
class Identity:
    """One identity, or the first of a few who are pictured together: `key` names it in the tables, `number` counts within
    its split."""

    key: str
    split: str
    number: int


@dataclass(frozen=True)
class Shard:
    """Some identities of one split; files are named after `name`, for example "train-00003"."""

    name: str
    identities: tuple[Identity, ...]


def draw_splits(keys: Sequence[str], shares: Sequence[float], seed: int) -> dict[str, str]:
    """identity key -> split. The order is drawn by a hash of seed and key, so it does not depend on the order of
    `keys`; every split with a share gets someone where there are enough identities."""
    order = sorted(set(keys), key=lambda k: hashlib.sha256(f"plvm-split/{seed}/{k}".encode()).digest())
    counts = {s: int(len(order) * share + 0.5) for s, share in zip(SPLITS, shares, strict=True)}
    wanted = [s for s, share in zip(SPLITS, shares, strict=True) if share > 0]
    if len(order) >= len(wanted):
        counts |= {s: max(1, counts[s]) for s in wanted}
    largest = max(wanted, key=lambda s: counts[s])
    counts[largest] += len(order) - sum(counts.values())
    names = [s for s in SPLITS for _ in range(max(0, counts[s]))]
    return dict(zip(order, names, strict=True))


def plan(spec: Spec, keys: Sequence[str]) -> list[Shard]:
    """The shards of a dataset, in the order in which they are numbered."""
    splits = draw_splits(keys, spec.shares, spec.seed)
    shards = []
    for split in SPLITS:
        own = [Identity(key, split, i) for i, key in enumerate(sorted(k for k in splits if splits[k] == split))]
        shards += [
            Shard(f"{split}-{i // spec.shard:05}", tuple(own[i : i + spec.shard]))
            for i in range(0, len(own), spec.shard)
        ]
    return shards
