"""Suites that live in a folder, by name: one loader each, and what its folder looks like.

    folder     anyone's own: <concept>/reference.*, other pictures beside it, questions.json
    plvm       the PLVM authors' evaluation folder
    yollava    Yo'LLaVA's dataset
    rap        RAP-MLLM's evaluation files
    myvlm      MyVLM's dataset
    mc-llava   MC-LLaVA's dataset

A loader is imported when its suite is opened. It never fails on a flaw of the data that leaves something to ask: flaws
are collected in `PhotoBenchmark.defects`.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from pathlib import Path

from plvm.errors import RequestError
from plvm.types import nearest_names
from plvm_lab.evaluate.photo_benchmark import PhotoBenchmark

SUITES = {
    "folder": "plvm_lab.evaluate.suites.folder",
    "plvm": "plvm_lab.evaluate.suites.authors",
    "yollava": "plvm_lab.evaluate.suites.yollava_dataset",
    "rap": "plvm_lab.evaluate.suites.rap",
    "myvlm": "plvm_lab.evaluate.suites.myvlm_dataset",
    "mc-llava": "plvm_lab.evaluate.suites.mc_llava",
}


def open_suite(name: str, root: Path, only: Collection[str] = ()) -> PhotoBenchmark:
    """The suite called `name` from the folder `root`; `only` keeps these concepts (Table 8: the persons).

    Raises RequestError for an unknown suite, and for a folder in which nothing can be asked.
    """
    if name not in SUITES:
        near = nearest_names(name, SUITES, 1)
        raise RequestError(
            f'There is no suite "{name[:40]}".' + (f' Perhaps "{near[0]}"?' if near else ""),
            f"The suites are: portraits, {', '.join(SUITES)}.",
        )
    if not root.is_dir():
        raise RequestError(f"{root} is not a folder.", f"Give the folder of the {name} suite with --root.")
    return import_module(SUITES[name]).load(root, only)
