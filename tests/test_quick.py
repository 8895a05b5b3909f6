"""What a command at the prompt imports, and that what it leaves for later comes when it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pictures import encoded, scene
from shell import Shell
from shell import friends as friends
from shell import load_once as load_once
from shell import shell as shell

pytest_plugins = ["family"]

ROOT = Path(__file__).parents[1]
HEAVY = (
    "sklearn", "scipy", "pandas", "sympy", "accelerate", "torchvision", "matplotlib", "torch._dynamo.symbolic_convert",
    "torch._inductor", "torch.fx.experimental.symbolic_shapes", "torch.distributed.tensor", "torch.distributed.fsdp",
)  # fmt: skip


def python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported_by(*words: str, of: tuple[str, ...]) -> tuple[str, list[str]]:
    """What the command said, and which of the modules `of` were there when it was done."""
    said = python(
        "import sys; from plvm.cli.main import app\n"
        f"try: app({list(words)})\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        f"print('imported:', *(name for name in {of} if sys.modules.get(name)))"
    )
    answer, _, names = said.rpartition("imported:")
    return answer, names.split()


def test_a_list_imports_no_model(friends: Shell) -> None:
    answer, heavy = imported_by("list", "--store", str(friends.store), of=("torch", "transformers", "numpy", "rich"))
    assert "billie" in answer and heavy == []


def test_an_answer_imports_nothing_that_computes_none_of_it(shell: Shell, tmp_path: Path) -> None:
    picture = tmp_path / "scene.png"
    picture.write_bytes(encoded(scene()))
    asked = ("ask", str(picture), "Who is here?", "--model", "mini", "--store", str(tmp_path / "none.db"))
    answer, heavy = imported_by(*asked, of=HEAVY)
    assert answer.strip() and heavy == []


def test_a_model_that_was_loaded_quickly_has_the_same_weights_and_gives_the_same_answers() -> None:
    code = (
        "import hashlib, contextlib, torch\n"
        "from plvm.cli.quick import quick\n"
        "with {} as _:\n"
        "    from plvm.personal import load\n"
        "    vlm = load('mini')\n"
        "digest = hashlib.sha256()\n"
        "for model in (vlm.backbone.model, vlm.encoder.model, vlm.aligner):\n"
        "    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:\n"
        "        digest.update(name.encode() + tensor.detach().numpy().tobytes())\n"
        "from PIL import Image\n"
        "print(digest.hexdigest(), vlm.fingerprint, vlm.ask(Image.new('RGB', (64, 48), 'red'), 'Who is there?').text)"
    )
    assert python(code.format("quick()")) == python(code.format("contextlib.nullcontext()"))


def test_what_was_left_for_later_comes_when_it_is_asked_for() -> None:
    said = python(
        "import sys\n"
        "from plvm.cli.quick import quick\n"
        "with quick():\n"
        "    import transformers.models.llava.modeling_llava\n"
        "import torch\n"
        "assert 'sympy' not in sys.modules and 'torch._dynamo.symbolic_convert' not in sys.modules\n"
        "weight = torch.nn.Parameter(torch.ones(3))\n"
        "step = torch.optim.SGD([weight], lr=0.5)\n"
        "weight.sum().backward(); step.step()\n"
        "doubled = torch.compile(lambda x: 2 * x, backend='eager')(weight.detach())\n"
        "import scipy.optimize, torch.distributed.tensor\n"
        "print(doubled.tolist(), torch.distributed.is_available(), torch._dynamo.__file__ is not None,\n"
        "      sorted(vars(transformers.models)['_class_to_module'])[:1] != [], sys.modules['scipy'] is scipy)"
    )
    assert said == "[1.0, 1.0, 1.0] True True True True\n"
