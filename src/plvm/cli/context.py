"""What a verb works with: the store that the options name, the model, and the concepts that belong into a prompt."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plvm.cli.console import say, waiting
from plvm.errors import ConceptNameError, PlvmError, RequestError
from plvm.runtime import STORE_FILE, home_folder
from plvm.types import SamplingParams, check_name

if TYPE_CHECKING:
    from PIL import Image

    from plvm.personal import Personal
    from plvm.store import ConceptStore
    from plvm.types import Concept

CROWD = 4  # so many concepts go into a prompt when nobody says which


def open_store(store: str | None, namespace: str) -> ConceptStore:
    """The store that --store and --namespace name."""
    from plvm.store import ConceptStore

    place: str | Path = home_folder(os.environ).value / STORE_FILE if store is None else store
    if store is not None and "://" not in store:
        place = Path(store).expanduser()
    return ConceptStore.open(place, namespace=namespace)


def load_model(model: str, device: str | None, dtype: str | None = None, bits: int | None = None) -> Personal:
    """The model that --model, --device, --dtype and --bits ask for."""
    with waiting(f"Loading {model}"):
        from plvm.personal import load

        place = Path(model).expanduser() if model.startswith("~") else model
        vlm = load(place, device=device, dtype=dtype, bits=bits)
    for note in vlm.notes:
        say(note)
    return vlm


def make_folder(folder: Path) -> None:
    """The folder of --out, made where it is not there. Raises RequestError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{folder} cannot be made: {error.strerror}.", "Name another folder with --out.") from None


def sampling(
    temperature: float, top_p: float, top_k: int, max_tokens: int, stop: Sequence[str] | None, seed: int | None
) -> SamplingParams:
    """The sampling options as one value."""
    return SamplingParams(temperature, top_p, top_k, max_tokens, tuple(stop or ()), seed)


def names_in(question: str) -> list[str]:
    """Every `<name>` of a question that can be a concept's, in order; `<image>` and `</s>` are plain text."""
    from plvm.prompt.names import mentioned

    return [name for name in mentioned(question) if _can_be(name)]


def _can_be(name: str) -> bool:
    try:
        check_name(name)
    except ConceptNameError:
        return False
    return True


def require_known(store: ConceptStore, names: Sequence[str]) -> None:
    """Raise UnknownConceptError for a name that the store does not have: cheap, before a model is loaded."""
    known = set(store.names())
    for name in names:
        if check_name(name) not in known:
            store.get(name)  # refuses, and says what is near


def pick(vlm: Personal, store: ConceptStore, names: Sequence[str], image: Image.Image | None) -> list[Concept]:
    """The concepts of a prompt: those called `names`; without any all that are stored, and of more than four those
    that are likeliest in the picture."""
    if names:
        wanted = dict.fromkeys(check_name(name) for name in names)
        return [store.get(name, aligner=vlm.fingerprint) for name in wanted]
    stored = store.list(aligner=vlm.fingerprint)
    if len(stored) <= CROWD:
        return stored
    if image is None:
        raise RequestError(
            f"The question names nobody, and {len(stored)} concepts are stored.",
            f"Name someone as <{stored[0].name}>, or choose with --with {stored[0].name}.",
        )
    chances = vlm.recognize([image], stored, namespace=store.namespace)[0]
    best = sorted(range(len(stored)), key=lambda i: -chances[i])[:CROWD]
    chosen = [stored[i] for i in sorted(best)]
    say(f"With the {CROWD} of {len(stored)} that are likeliest here: {', '.join(f'<{c.name}>' for c in chosen)}.")
    return chosen


def reason(error: PlvmError) -> str:
    """An error on one line, for lists of what was left out."""
    return f"{error.message} {error.hint}".strip()
