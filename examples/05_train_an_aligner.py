"""An Aligner of your own: a small dataset of drawn people, a short training on it, and the result in use.

    python examples/05_train_an_aligner.py                                        # seconds: to see the way, not to learn much
    python examples/05_train_an_aligner.py --identities 600 --steps 600           # minutes

The folder that comes out is an Aligner like any other: `plvm.load(folder)`, or `--model FOLDER` on the command line.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import drawn

import plvm
from plvm.config import changed
from plvm.data.spec import Spec
from plvm.train.prepare import prepare
from plvm.train.settings import Settings
from plvm_lab.synth.pipeline import synthesize

parser = argparse.ArgumentParser(description="A small dataset, a short training, and the result in use.")
parser.add_argument("--identities", type=int, default=24, help="how many people are drawn")
parser.add_argument("--steps", type=int, default=8, help="how long is trained")
parser.add_argument("--out", type=Path, default=Path("out/training"), help="where everything goes")
parser.add_argument("--reference", type=Path, help="a picture of <billie> alone (default: one is drawn)")
parser.add_argument("pictures", nargs="*", type=Path, help="where to look for <billie> (default: one with her, one without)")
options = parser.parse_args()

# 1. Data: a reference and two other pictures of everyone, with questions and answers (`plvm synth`).
spec = Spec(identities=options.identities, per_identity=2, size=96, shares=(0.7, 0.2, 0.1), filters=False)
data = options.out / f"data-{options.identities}"
manifest = synthesize(spec, data)
print(f"{manifest.counts['train']['pictures']} pictures of {manifest.counts['train']['identities']} people to train on")

# 2. Training: the Aligner alone learns, between the frozen parts of mini (`plvm train`). Every setting has the paper's
#    value unless it stands here. Interrupted, the same call goes on where it stopped.
settings = changed(
    Settings(),
    {
        "aligner.architecture": "anchored",
        "aligner.blocks": 2,
        "train.steps": options.steps,
        "train.validate": options.steps,
        "train.anchor": 0.5,  # drawn people come with words that describe them; these help at the start
        "train.optimizer": "muon",
        "train.lr": 1e-3,
        "train.warmup": max(1, options.steps // 12),
        "train.trackers": "",
        "data.validation": 64,
    },
)


def report(stage: str, step: int, steps: int, figures: Mapping[str, float]) -> None:
    """Print what the training says of itself."""
    if figures:
        print(f"{stage} {step}/{steps}:", ", ".join(f"{name} {value:.3f}" for name, value in figures.items()))


aligner = options.out / f"aligner-{options.identities}-{options.steps}"
prepare(data, aligner, settings, model="mini").run(report)

# 3. Use. After a few steps this is a guess: what matters here is that the folder works.
vlm = plvm.load(aligner)
billie = vlm.enroll("billie", options.reference if options.reference is not None else drawn.portrait("billie"))
pictures = options.pictures or [drawn.scene("library"), drawn.scene("strangers")]
for picture, (p,) in zip(pictures, vlm.recognize(pictures, [billie]), strict=True):
    print(f"P(<billie> is in {picture.name}) = {p:.2f}")
print(f"The Aligner is in {aligner}")
