"""Where and how things run: device, dtype, quantisation, memory and the home folder. Every choice comes with its reason.

Nothing here reads the environment: whoever owns it (the command line, the server) passes it in.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from plvm.errors import RequestError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
STORE_FILE = "concepts.db"
KEPT = 2**31 - 1  # bytes, the most that can be asked for
_TRIM, _MMAP, _ARENAS = -1, -3, -8  # malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX
_DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Choice(Generic[T]):
    """What was chosen, and why, in words that can follow a colon: "cuda: a GPU is here (NVIDIA H100)"."""

    value: T
    reason: str

    def __str__(self) -> str:
        return f"{self.value}: {self.reason}"


def choose_device(requested: str | None = None) -> Choice[str]:
    """The torch device to run on, as torch writes it ("cpu", "cuda", "cuda:1", "mps").

    Without a request: CUDA where there is one, else Apple's MPS, else the CPU. Raises RequestError where the requested
    device is unknown or not on this machine.
    """
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    if requested is not None:
        _require_device(requested, gpus, mps)
        return Choice(requested, "as requested")
    if gpus:
        return Choice("cuda", f"a GPU is here ({torch.cuda.get_device_name(0)})")
    if mps:
        return Choice("mps", "an Apple GPU is here")
    return Choice("cpu", "no GPU is here")


def _require_device(requested: str, gpus: int, mps: bool) -> None:
    here = ["cpu", *(f"cuda:{i}" for i in range(gpus)), *(["mps"] if mps else [])]
    if requested not in {*here, "cuda" if gpus else "cpu"}:
        raise RequestError(f'The device "{requested[:40]}" is not on this machine.', f"Use one of: {', '.join(here)}.")


def choose_dtype(requested: str | None = None, *, device: str = "cpu") -> Choice[torch.dtype]:
    """The number format of the backbone on `device`. Without a request: bfloat16 on CUDA GPUs that compute in it,
    float16 on older ones, float32 elsewhere. Raises RequestError for anything but float32, bfloat16 and float16."""
    import torch

    if requested is not None:
        if requested not in _DTYPES:
            raise RequestError(f'"{requested[:40]}" is no number format of plvm.', f"Use one of: {', '.join(_DTYPES)}.")
        return Choice(getattr(torch, requested), "as requested")
    if not device.startswith("cuda"):
        quicker = device == "cpu" and _multiplies_bfloat16()
        return Choice(torch.float32, "exact; bfloat16 is quicker on this CPU" if quicker else "exact")
    major, minor = torch.cuda.get_device_capability(device)
    if major >= 8:
        return Choice(torch.bfloat16, f"the GPU (compute capability {major}.{minor}) computes in it")
    return Choice(torch.float16, f"the GPU (compute capability {major}.{minor}) has no bfloat16")


def choose_bits(requested: int | None = None, *, device: str = "cpu") -> Choice[int | None]:
    """Whether the backbone's weights are quantised to 4 or 8 bits. Without a request they are not.

    Raises RequestError where bitsandbytes, which does it, cannot run here.
    """
    if requested is None:
        return Choice(None, "the weights keep their number format")
    if requested not in (4, 8):
        raise RequestError(f"Weights cannot be loaded in {requested} bits.", "Use 4 or 8, or leave it out.")
    if not device.startswith("cuda"):
        raise RequestError(
            f"Weights in {requested} bits need an NVIDIA GPU; the device is {device}.",
            "Leave it out: on this device use dtype float16 or bfloat16, or a smaller model.",
        )
    _require_packages(f"Loading weights in {requested} bits", ("bitsandbytes", "accelerate"), "quantized")
    return Choice(requested, "as requested")


def check_device_map() -> None:
    """Raise RequestError where a model cannot be spread over several devices."""
    _require_packages("Spreading a model over devices", ("accelerate",), "quantized")


def has_package(name: str) -> bool:
    """Whether an optional package is installed."""
    return importlib.util.find_spec(name) is not None


def _require_packages(what: str, packages: tuple[str, ...], extra: str) -> None:
    missing = [p for p in packages if not has_package(p)]
    if missing:
        raise RequestError(f"{what} needs {' and '.join(missing)}.", f'Install them: `pip install "plvm[{extra}]"`.')


def free_memory(device: str = "cpu") -> int | None:
    """How many bytes `device` has free; None where nobody can say."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.mem_get_info(device)[0]
    return _free_main_memory() if device == "cpu" else None


def _free_main_memory(system: Path = Path("/")) -> int | None:
    """Free main memory on Linux: the kernel's estimate, within the limit of this container."""
    try:
        lines = (system / "proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None
    try:
        group = system / "sys/fs/cgroup"
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return min(free, limit - used + int(stat.get("inactive_file", 0)))  # cached files make room
    except (OSError, ValueError):  # no such group, or no limit ("max")
        return free


def keep_memory(most: int = KEPT) -> bool:
    """Let this process keep up to `most` bytes of what it frees for its next step; returns whether its C library can (glibc).

    What goes back to the system comes again page by page, each by a fault: on a CPU up to a third of a step of training. For
    programs that are plvm's own; a library leaves the memory of others alone.
    """
    import ctypes

    try:
        tune = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return all(tune(option, value) for option, value in ((_TRIM, most), (_MMAP, most), (_ARENAS, 1)))


def give_back() -> None:
    """Give back to the system what this process has freed, where its C library can (glibc)."""
    import ctypes

    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library
        return


def mixed_precision() -> torch.autocast:
    """A context in which matrix products on torch's default device run in bfloat16 where its hardware does, else as always.

    For training; on CPUs with AVX512-BF16 a step of the mini family's stages takes about 0.6 of its time in float32.
    """
    import torch

    kind = torch.get_default_device().type
    able = torch.cuda.is_bf16_supported() if kind == "cuda" else kind == "cpu" and _multiplies_bfloat16()
    return torch.autocast(kind, torch.bfloat16, enabled=able)


def _multiplies_bfloat16() -> bool:
    """Whether this machine's CPU has instructions for it."""
    import torch

    return torch.cpu._is_avx512_bf16_supported()


def home_folder(
    environment: Mapping[str, str], requested: str | Path | None = None, *, platform: str = sys.platform
) -> Choice[Path]:
    """The folder of the user's own data (concepts live in its `concepts.db`); it is not created here.

    The first that is set of: `requested`, PLVM_HOME, XDG_DATA_HOME/plvm, the platform's usual place. `environment` is
    the caller's `os.environ`. Raises RequestError where none can be known.
    """
    if requested is not None:
        return Choice(Path(requested), "as requested")
    if environment.get("PLVM_HOME"):
        return Choice(Path(environment["PLVM_HOME"]), "PLVM_HOME is set")
    data_home = environment.get("XDG_DATA_HOME", "")
    if Path(data_home).is_absolute():  # the XDG specification: a relative path is to be ignored
        return Choice(Path(data_home) / "plvm", "XDG_DATA_HOME is set")
    return _usual_home(environment, platform)


def _usual_home(environment: Mapping[str, str], platform: str) -> Choice[Path]:
    if platform == "win32" and environment.get("LOCALAPPDATA"):
        return Choice(Path(environment["LOCALAPPDATA"]) / "plvm", "LOCALAPPDATA is set")
    user = environment.get("USERPROFILE" if platform == "win32" else "HOME")
    if not user:
        raise RequestError("No home folder is known.", "Set PLVM_HOME to the folder that shall keep your concepts.")
    places = {"darwin": "Library/Application Support/plvm", "win32": "AppData/Local/plvm"}
    return Choice(Path(user) / places.get(platform, ".local/share/plvm"), "the usual place for a user's data")
