"""Stages "features" and "align": encoder features of all references, then an Aligner trained on the frozen family.

Arms, so that every claim has its counterpart:

    paper      the paper's form and tasks: one recognition question or one attribute question (no picture), 1:1, w = 20
    bounded    the same tasks; rows start at the mean name and keep the size of the frozen rows
    anchored   ours: word-anchored context tokens, coded names, and grounded questions about one to three concepts
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from plvm.mini.pretrain import NameRows
from plvm.mini.recipe import Recipe
from plvm.mini.vision import list_index, to_pixels
from plvm.mini.world import reference_people, scene_of
from plvm.model.aligner import Aligner, AlignerConfig, AnchoredAligner, PaperAligner, build_aligner
from plvm.model.backbone import Backbone
from plvm.model.encoder import Encoder
from plvm.portraits.dialogues import DialogueMix, Named, draw_dialogue
from plvm.portraits.person import PHRASES, SLOTS, Person
from plvm.portraits.scene import Scene
from plvm.prompt import Prompt, Tokens
from plvm.train.aligner import Packed, image_prefix, rows_of, suffix_logits
from plvm.train.data import pad_rows, write_dialogue
from plvm.train.loop import Report, run_stage
from plvm.train.loss import answer_loss
from plvm.vocabulary import ConceptVocabulary


@dataclass(frozen=True)
class Tasks:
    """What an Aligner is trained on. `positive` is the share p of recognition positives, `text_only` the share of steps without
    a picture, `concepts` the numbers of concepts in a prompt, `w` the weight of Yes/No (Eq. 2)."""

    mix: DialogueMix
    text_mix: DialogueMix
    text_only: float = 0.5
    positive: float = 0.5
    concepts: tuple[int, ...] = (1,)
    w: float = 20.0


ONE_QUESTION = DialogueMix(turns=1, late=0.0, kinds=(("recognize", 1.0),))
ONE_TRAIT = DialogueMix(turns=1, late=0.0, kinds=(("trait", 1.0),))
PAPER_TASKS = Tasks(ONE_QUESTION, ONE_TRAIT)
GROUNDED_TASKS = Tasks(
    DialogueMix(turns=3, kinds=(*DialogueMix().kinds, ("look", 3.0), ("who_named", 2.5))),
    DialogueMix(turns=3, kinds=(("trait", 4.0), ("has", 1.0), ("who_has", 1.0))),
    text_only=0.15, positive=0.55, concepts=(1, 2, 3), w=4.0,
)  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """One trained form: its architecture, its tasks, and how much of the training the anchors' targets help."""

    architecture: str
    tasks: Tasks
    bounded: bool = False
    anchor_share: float = 0.0
    blocks: int = 4


ARMS: dict[str, Arm] = {
    "paper": Arm("paper", PAPER_TASKS),
    "bounded": Arm("paper", PAPER_TASKS, bounded=True),
    "anchored": Arm("anchored", GROUNDED_TASKS, anchor_share=0.5, blocks=2),
}


class References:
    """The people with a reference picture: their encoder features [N, L, E] on disk and their traits."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe = recipe
        self.features = np.load(folder / "features.npy", mmap_mode="r")
        self.where = reference_people(recipe)
        self.row = {pair: i for i, pair in enumerate(self.where)}
        self.scenes = 1 + self.where[-1][0] if self.where else 0

    def person(self, row: int) -> Person:
        scene, figure = self.where[row]
        return scene_of(scene, self.recipe.seed).figures[figure].person

    @cached_property
    def traits(self) -> np.ndarray:
        """int8[N, slots]."""
        return np.array([[list_index(s, self.person(i)[s]) for s in SLOTS] for i in range(len(self.where))], np.int8)

    def similar(self, person: Person, rng: random.Random) -> int:
        """The most similar of 64 random people who is not this very person."""
        rows = np.array([rng.randrange(len(self.where)) for _ in range(64)])
        own = np.array([list_index(s, person[s]) for s in SLOTS], np.int8)
        differing = (self.traits[rows] != own).sum(1)
        return int(rows[np.where(differing == 0, 99, differing).argmin()])


class Packs:
    """Draws packed batches for one arm."""

    def __init__(self, recipe: Recipe, folder: Path, prompt: Prompt, base: int, width: int, tasks: Tasks) -> None:
        self.recipe, self.prompt, self.tasks = recipe, prompt, tasks
        self.base, self.width = base, width
        self.references = References(recipe, folder)
        self.pixels = np.load(folder / "scenes.npy", mmap_mode="r")

    def _people(self, scene_index: int | None, count: int, rng: random.Random) -> list[tuple[Named, int]]:
        """`count` named people with their reference rows: present, similar to somebody present, or strangers."""
        refs, out, taken = self.references, list[tuple[Named, int]](), set[int]()
        scene = scene_of(scene_index, self.recipe.seed) if scene_index is not None else None
        while len(out) < count:
            row = rng.randrange(len(refs.where))
            if scene is not None and scene_index is not None:
                j = rng.randrange(len(scene.figures))
                if rng.random() < self.tasks.positive:
                    row = refs.row.get((scene_index, j), row)
                elif rng.random() < 0.5:
                    row = refs.similar(scene.figures[j].person, rng)
            person = refs.person(row)
            if row not in taken:
                taken.add(row)
                out.append((Named(person, scene.find(person) if scene else None), row))
        return out

    def batch(self, rng: random.Random) -> Packed:
        recipe, tasks = self.recipe, self.tasks
        concepts = rng.choice(tasks.concepts)
        with_image = rng.random() >= tasks.text_only
        mix = tasks.mix if with_image else tasks.text_mix
        shown: list[int | None] = [
            rng.randrange(self.references.scenes) if with_image else None for _ in range(recipe.images)
        ]
        blank = torch.zeros(1, concepts, self.width)
        vocabulary = ConceptVocabulary(
            self.base, blank, blank, torch.zeros(1, concepts, 16, self.width), torch.ones(1, concepts, dtype=torch.bool)
        )
        rows: list[Tokens] = []
        people: list[list[tuple[Named, int]]] = []
        for index in shown:
            scene: Scene | None = scene_of(index, recipe.seed) if index is not None else None
            for _ in range(recipe.packs):
                named = self._people(index, concepts, rng)
                dialogue = draw_dialogue(scene, concepts, mix, rng, [n for n, _ in named])
                rows.append(write_dialogue(self.prompt, dialogue, vocabulary))
                people.append(named)
        picked = np.array([[row for _, row in named] for named in people])
        anchors = [[self._anchors(n.person) for n, _ in named] for named in people]
        return Packed(
            to_pixels(self.pixels[shown]) if with_image else None,
            recipe.packs,
            pad_rows([r.ids for r in rows], self.prompt.end_id),
            pad_rows([r.supervise for r in rows], 0),
            torch.as_tensor(self.references.features[picked.ravel()].astype(np.float32)).unflatten(0, picked.shape),
            torch.tensor(anchors),
        )

    def _anchors(self, person: Person) -> list[int]:
        return [self.prompt.text(" " + PHRASES[s][person[s]])[0] for s in SLOTS]


def write_features(recipe: Recipe, encoder: Encoder, folder: Path, report: Report) -> None:
    """Encoder features of all reference pictures into features.npy, float16 [N, L, E]; resumable by chunk."""
    pictures = np.load(folder / "references.npy", mmap_mode="r")
    path, marker = folder / "features.npy", folder / "features.done"
    tokens = (recipe.reference_size // recipe.reference_patch) ** 2 + 1
    done = int(marker.read_text()) if marker.exists() and path.exists() else 0
    shape = (len(pictures), tokens, encoder.width)
    out = np.lib.format.open_memmap(path, "r+" if done else "w+", np.float16, shape)
    for start in range(done, len(pictures), 250):
        rows = slice(start, min(start + 250, len(pictures)))
        out[rows] = encoder.features(to_pixels(pictures[rows])).cpu().numpy()
        out.flush()
        marker.write_text(str(rows.stop))
        report("features", rows.stop, len(pictures), {})


def start_aligner(arm: Arm, recipe: Recipe, backbone: Backbone, names: NameRows, features: np.ndarray) -> Aligner:
    """The arm's Aligner before training. `names` are the name rows of pretraining: word and head start from them."""
    rms = float(backbone.word_rows.square().mean().sqrt())
    config = AlignerConfig(
        architecture=arm.architecture, encoder_width=features.shape[-1], width=backbone.width, context_tokens=16,
        mlp_hidden=2 * backbone.width, resampler_width=max(64, 2 * backbone.width // 3), blocks=arm.blocks,
        heads=4, bounded=arm.bounded, row_rms=rms, free_tokens=16 - len(SLOTS), code_width=recipe.code,
        backbone="../backbone", encoder="../encoder",
    )  # fmt: skip
    aligner = build_aligner(config)
    aligner.use_words(backbone.word_rows)
    if isinstance(aligner, PaperAligner) and arm.bounded:
        with torch.no_grad():
            aligner.scales[:2] = torch.stack([names.word.scale, names.head.scale])
        aligner.start_from(names.word.linear.bias, names.head.linear.bias)
    if isinstance(aligner, AnchoredAligner):
        aligner.word.load_state_dict(names.word.state_dict())
        aligner.head.load_state_dict(names.head.state_dict())
        whiten(aligner.code, torch.as_tensor(features[:4000, 0].astype(np.float32)))
    return aligner


@torch.no_grad()
def whiten(linear: nn.Linear, z: Tensor) -> None:
    """Set `linear` so that global tokens like z [N, E] give codes with independent coordinates of variance 1."""
    mean = z.mean(0)
    _, scale, basis = torch.linalg.svd(z - mean, full_matrices=False)
    rows = basis[: linear.out_features] / scale[: linear.out_features, None].clamp(min=1e-6) * len(z) ** 0.5
    linear.weight[: len(rows)] = rows
    linear.bias[: len(rows)] = -rows @ mean


def train_arm(
    name: str, arm: Arm, recipe: Recipe, backbone: Backbone, aligner: Aligner, folder: Path, report: Report
) -> None:
    """Train one arm's Aligner; nothing else changes. Checkpoints as `aligner-<name>.pt`."""
    prompt = Prompt(backbone.tokenizer)
    packs = Packs(recipe, folder, prompt, backbone.vocabulary_size, backbone.width, arm.tasks)
    backbone.model.requires_grad_(False).eval()

    def losses(step: int, rng: random.Random) -> Mapping[str, Tensor]:
        packed = packs.batch(rng)
        past = image_prefix(backbone, prompt, packed.pixels)
        rows = rows_of(aligner, packed)
        logits = suffix_logits(backbone, past, packed, rows)
        loss = answer_loss(logits, packed.ids, packed.supervise, arm.tasks.w)
        out = {"answer": loss, "total": loss}
        help_share = 1 - step / max(1.0, arm.anchor_share * recipe.aligner_steps)
        if isinstance(aligner, AnchoredAligner) and packed.anchors is not None and help_share > 0:
            guess, _ = aligner.word_logits(packed.z_ref.flatten(0, 1)[:, 1:])
            target = packed.anchors.flatten(0, 1)
            anchor = nn.functional.cross_entropy(guess.flatten(0, 1), target.flatten())
            out |= {
                "anchor": anchor,
                "read": (guess.argmax(-1) == target).float().mean(),
                "total": loss + help_share * anchor,
            }
        kind = packed.supervise[:, 1:]
        right = (logits[:, :-1].argmax(-1) == packed.ids[:, 1:]).float()
        return out | {"yes_no": right[kind == 2].mean(), "tokens": right[kind > 0].mean()}

    run_stage(
        f"aligner-{name}", {"aligner": aligner}, losses, folder=folder, steps=recipe.aligner_steps,
        lr=recipe.learning_rate, seed=recipe.seed, report=report, warmup=50,
    )  # fmt: skip


def names_from(folder: Path, recipe: Recipe) -> NameRows:
    """The name rows of the "vision" stage."""
    rows = NameRows(recipe)
    rows.load_state_dict(torch.load(folder / "vision.pt", map_location="cpu", weights_only=True)["parts"]["names"])
    return rows
