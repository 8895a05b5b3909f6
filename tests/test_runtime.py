"""Where things run, and why."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from plvm.errors import RequestError
from plvm.runtime import Choice, choose_device, choose_dtype, home_folder, keep_memory


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "NVIDIA H100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))


def test_every_choice_says_why() -> None:
    assert str(Choice("cpu", "no GPU is here")) == "cpu: no GPU is here"
    assert choose_device("cpu").reason == "as requested"


def test_without_a_gpu_the_cpu_is_chosen_and_cuda_is_refused(no_gpu: None) -> None:
    assert choose_device() == Choice("cpu", "no GPU is here")
    with pytest.raises(RequestError) as caught:
        choose_device("cuda")
    assert caught.value.hint == "Use one of: cpu."


def test_a_gpu_is_chosen_by_itself_and_by_number(two_gpus: None) -> None:
    assert choose_device().value == "cuda" and "H100" in choose_device().reason
    assert choose_device("cuda:1").value == "cuda:1" and choose_device("cpu").value == "cpu"
    with pytest.raises(RequestError, match="cuda:2"):
        choose_device("cuda:2")


def test_the_number_format_follows_the_device(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_dtype(device="cpu").value is torch.float32
    assert choose_dtype(device="cuda").value is torch.bfloat16
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert choose_dtype(device="cuda").value is torch.float16
    assert choose_dtype("float32", device="cuda") == Choice(torch.float32, "as requested")
    with pytest.raises(RequestError, match="int4"):
        choose_dtype("int4")


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"PLVM_HOME": "/p", "XDG_DATA_HOME": "/x", "HOME": "/h"}, "linux", "/p"),
        ({"XDG_DATA_HOME": "/x", "HOME": "/h"}, "linux", "/x/plvm"),
        ({"XDG_DATA_HOME": "relative", "HOME": "/h"}, "linux", "/h/.local/share/plvm"),
        ({"PLVM_HOME": "", "HOME": "/h"}, "linux", "/h/.local/share/plvm"),
        ({"HOME": "/h"}, "darwin", "/h/Library/Application Support/plvm"),
        ({"LOCALAPPDATA": "/l"}, "win32", "/l/plvm"),
    ],
)
def test_the_home_folder_is_the_first_that_is_set(environment: dict[str, str], platform: str, expected: str) -> None:
    assert home_folder(environment, platform=platform).value == Path(expected)
    assert home_folder(environment, "/mine", platform=platform) == Choice(Path("/mine"), "as requested")


def test_without_any_home_the_error_names_the_variable_to_set() -> None:
    with pytest.raises(RequestError) as caught:
        home_folder({})
    assert "PLVM_HOME" in caught.value.hint


def test_the_environment_is_read_only_through_the_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLVM_HOME", "/from/the/process")
    assert home_folder({"HOME": "/h"}, platform="linux").value == Path("/h/.local/share/plvm")


STEPS = """
import resource, torch
from plvm.runtime import keep_memory
print({keep} and keep_memory())
for step in range(40):
    if step == 20:  # by then everything has found its place
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    parts = [torch.ones(size * 2**18) for size in (3, 90)]  # 3 and 90 MiB
    del parts
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts the page faults of Linux")
def test_memory_that_a_step_freed_is_there_for_the_next_one() -> None:
    runs = [[sys.executable, "-c", STEPS.format(keep=keep)] for keep in (False, True)]
    (_, without), (kept, with_it) = (subprocess.run(r, capture_output=True, text=True, check=True).stdout.split() for r in runs)
    if kept != "True":
        pytest.skip("this C library has no mallopt")
    assert int(without) > 20 * 90 / 2, "given back, it comes page by page"
    assert int(with_it) < int(without) / 20


def test_where_the_c_library_cannot_be_told_memory_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in (object(), None):

        def load(_: None, library: object = library) -> object:
            if library is None:
                raise OSError("no C library")
            return library

        monkeypatch.setattr(ctypes, "CDLL", load)
        assert keep_memory() is False
