"""A new form of the Aligner is one file: a toy one, with a start, references and words of its own, is trained, saved, loaded and
asked; and nothing but a form's file knows which form it is."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

pytest.importorskip("pyarrow")
pytest.importorskip("accelerate")

import plvm
from family import write_family
from plvm.data.dataset import Dataset
from plvm.errors import CheckpointError
from plvm.model import forms
from plvm.model.aligner import AlignerConfig, known_forms
from plvm.model.checkpoint import load_aligner
from plvm.train.prepare import prepare
from plvm.types import SamplingParams
from toys import K, picture
from trained import data as data
from trained import quiet
from trainer_worker import small

SOURCE = Path(plvm.__file__).parents[1]
TOY = '''"""The form "toy": a linear map of the global token, measured from the middle of the references."""

import torch
from torch import nn
from torch.nn import functional as F

from plvm.model.aligner import Aligner, Rows


class ToyAligner(Aligner):
    word_supervision = True
    reads_references = True

    def __init__(self, config):
        super().__init__(config)
        self.word = nn.Linear(config.encoder_width, config.width)
        self.head = nn.Linear(config.encoder_width, config.width)
        self.context = nn.Linear(config.encoder_width, config.context_tokens * config.width)
        self.register_buffer("middle", torch.zeros(config.encoder_width))
        self.register_buffer("rows", torch.zeros(1, config.width), persistent=False)

    def use_words(self, word_rows):
        self.rows = word_rows.detach().float()

    @torch.no_grad()
    def start(self, frozen):
        for part, mean in zip((self.word, self.head), frozen.means, strict=True):
            part.weight.zero_()
            part.bias.copy_(mean)

    @torch.no_grad()
    def see_references(self, z):
        self.middle.copy_(z.mean(0))

    def extra_loss(self, z_ref, words):
        said = self(z_ref[:, 0], z_ref[:, 1:]).context @ self.rows.T
        count = min(said.shape[1], words.shape[1])
        said, words = said[:, :count].flatten(0, 1), words[:, :count].flatten()
        return F.cross_entropy(said, words), (said.argmax(-1) == words).float().mean()

    def forward(self, z, patches):
        z = z - self.middle
        context = self.context(z).view(len(z), self.config.context_tokens, -1)
        return Rows(self.word(z), self.head(z), context)


FORM = ToyAligner
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The form's one file, in a folder where forms are looked for."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy.py").write_text(TOY)
    monkeypatch.setattr(forms, "__path__", [*forms.__path__, str(tmp_path / "more")])
    yield
    sys.modules.pop(f"{forms.__name__}.toy", None)
    vars(forms).pop("toy", None)


def test_without_its_file_there_is_no_such_form() -> None:
    assert "toy" not in known_forms()
    with pytest.raises(CheckpointError, match="no Aligner architecture 'toy'"):
        AlignerConfig("toy")


def test_a_form_of_one_file_is_trained_saved_loaded_and_asked(toy: None, data: Path, tmp_path: Path) -> None:
    own = {"aligner.architecture": "toy", "aligner.K": K, "train.anchor": 2.0, "train.optimizer": "adamw"}
    settings, model = small(own), write_family(tmp_path / "family")
    trainer = prepare(data, tmp_path / "out", settings, model=str(model), device="cpu")
    aligner, backbone, encoder = trainer.aligner, trainer.backbone, trainer.encoder
    torch.testing.assert_close(aligner.word.bias, backbone.model.get_input_embeddings().weight.mean(0))
    torch.testing.assert_close(aligner.head.bias, backbone.model.get_output_embeddings().weight.mean(0))
    album = Dataset(data)
    references = [album.image(f"{person}-reference") for person in album.split("train").people]
    seen = [encoder.features(encoder.pixels([picture]))[0, 0] for picture in references]
    torch.testing.assert_close(aligner.middle, torch.stack(seen).mean(0), rtol=1e-4, atol=1e-5)

    start = {k: v.clone() for k, v in aligner.state_dict().items()}
    record = trainer.run(quiet)
    log = [json.loads(line) for line in (tmp_path / "out" / "run" / "aligner.jsonl").read_text().splitlines()]
    assert len(log) == 6 and all(0 <= row["read"] <= 1 for row in log), "its words are read off it, every step"
    moved = {k for k, v in aligner.state_dict().items() if not torch.equal(v, start[k])}
    assert moved == {f"{part}.{name}" for part in ("word", "head", "context") for name in ("weight", "bias")}

    loaded, _, there = load_aligner(tmp_path / "out")
    assert there == record and type(loaded).__name__ == "ToyAligner" and loaded.config.architecture == "toy"
    vlm = plvm.load(tmp_path / "out", device="cpu")
    billie = vlm.enroll("billie", picture(11))
    z = vlm.encoder.features(vlm.encoder.pixels([picture(11)]))[0, 0]
    word = loaded.word.weight @ (z - loaded.middle) + loaded.word.bias
    torch.testing.assert_close(billie.tokens.word, word, rtol=1e-4, atol=1e-5)
    assert billie.tokens.context.shape == (K, backbone.width)
    assert vlm.ask(picture(1), "Where is <billie>?", [billie], SamplingParams(max_tokens=4)).new_tokens > 0
    assert len(vlm.recognize([picture(1)], [billie])) == 1


# ---- nobody else knows


def form_classes() -> set[str]:
    """The names of the classes in the files of forms."""
    files = (SOURCE / "plvm" / "model" / "forms").glob("*.py")
    return {n.name for f in files for n in ast.walk(ast.parse(f.read_text("utf-8"))) if isinstance(n, ast.ClassDef)}


def asks_for_the_form(source: str, classes: set[str]) -> list[int]:
    """Lines that ask which form an Aligner has: isinstance or issubclass of a form's class, `type(..) is` one, or its
    architecture compared with a name that is written down."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        called = isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass")
        if not called and not isinstance(node, ast.Compare | ast.Match):
            continue
        inside = list(ast.walk(node.subject if isinstance(node, ast.Match) else node))
        named = {n.id if isinstance(n, ast.Name) else n.attr for n in inside if isinstance(n, ast.Name | ast.Attribute)}
        spelt = isinstance(node, ast.Match) or any(isinstance(n, ast.Constant) and isinstance(n.value, str) for n in inside)
        if named & classes or (not called and "architecture" in named and spelt):
            lines.append(node.lineno)
    return lines


def test_no_file_but_its_own_asks_which_form_an_aligner_has() -> None:
    classes = form_classes()
    assert {"PaperAligner", "AnchoredAligner", "ReleasedAligner"} <= classes
    files = [f for package in ("plvm", "plvm_lab") for f in (SOURCE / package).rglob("*.py") if f.parent.name != "forms"]
    wrong = [f"{f.relative_to(SOURCE)}:{n}" for f in files for n in asks_for_the_form(f.read_text("utf-8"), classes)]
    assert len(files) > 150 and not wrong


@pytest.mark.parametrize(
    "line",
    ["isinstance(x, forms.paper.PaperAligner)", "issubclass(x, (A, PaperAligner))", "type(x) is PaperAligner",
     "c.architecture == 'paper'", "c.architecture in ('paper', 'bounded')", "'paper' != architecture",
     "match c.architecture:\n  case 'paper': pass"],
)  # fmt: skip
def test_such_a_question_would_be_found(line: str) -> None:
    assert asks_for_the_form(line, {"PaperAligner"}) and not asks_for_the_form("x.architecture in known", {"PaperAligner"})
