"""The options that several verbs share, each written once, and what a verb makes of them: a store, a model, parameters."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from plvm.cli.console import say, waiting
from plvm.cli.quick import quick, resting
from plvm.errors import RequestError
from plvm.runtime import STORE_FILE, home_folder
from plvm.types import SamplingParams, with_display_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plvm.personal import Personal
    from plvm.store import ConceptStore
    from plvm.types import Concept
    from plvm.vllm.wire import Vllm

Model = Annotated[
    str,
    Option("--model", metavar="NAME|FOLDER", help='"mini", "photo", the folder of a trained Aligner, its Hub id, or a preset.'),
]
Device = Annotated[
    str | None,
    Option("--device", metavar="DEVICE", help="Where to compute, as torch says it: cpu, cuda, mps.",
           show_default="the best one here"),
]  # fmt: skip
Dtype = Annotated[
    str | None,
    Option("--dtype", metavar="FORMAT", help="The model's numbers: float32, bfloat16 or float16.",
           show_default="what the device computes best"),
]  # fmt: skip
Bits = Annotated[
    int | None, Option("--bits", metavar="N", help="Load the backbone in 4 or 8 bits, on a GPU.", show_default=False)
]
Json = Annotated[bool, Option("--json", help="Write JSON.")]
With = Annotated[
    list[str] | None,
    Option("--with", metavar="NAME", help="A concept to put into the prompt, also when the question does not name it; "
           "may be repeated."),
]  # fmt: skip
Replace = Annotated[bool, Option("--replace", help="Replace what is there under the same name.")]
Out = Annotated[Path, Option("--out", metavar="FOLDER", help="Where the results go.")]


@dataclass(frozen=True)
class StoreOptions:
    """Whose concepts, and where they are kept."""

    store: Annotated[
        str | None,
        Option("--store", metavar="PATH|URL", help="Where concepts are kept: an SQLite file or a database URL.",
               show_default="concepts.db in your data folder"),
    ] = None  # fmt: skip
    namespace: Annotated[
        str,
        Option("--namespace", metavar="NAME", help="Whose concepts: nothing crosses from one namespace to another."),
    ] = "default"
    store_key: Annotated[
        Path | None,
        Option("--store-key", metavar="FILE", help="The key of an encrypted store, as `plvm store new-key` writes it.",
               show_default="PLVM_STORE_KEY, if it is set"),
    ] = None  # fmt: skip

    def secret(self) -> bytes | None:
        """What the store is encrypted with; None: it is not. Raises RequestError."""
        from plvm.store.cipher import secret_in

        if self.store_key is not None:
            try:
                return secret_in(self.store_key.expanduser().read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise RequestError(f"The key {self.store_key} cannot be read: {error}.", "Name its file.") from None
        text = os.environ.get("PLVM_STORE_KEY", "")
        return secret_in(text) if text else None

    def place(self) -> str | Path:
        """Where the store is: the path of an SQLite file, or the URL of another database."""
        if self.store is None:
            return home_folder(os.environ).value / STORE_FILE
        if self.store.startswith("sqlite:///") and "?" not in self.store:
            return Path(self.store.removeprefix("sqlite:///"))
        return self.store if "://" in self.store else Path(self.store).expanduser()

    def open(self, *, quiet: bool = False) -> ConceptStore:
        """The store, made if it is not there; damaged concepts that are left out are told on stderr unless `quiet`. Raises
        StoreError, RequestError."""
        with resting():
            from plvm.store import ConceptStore

        warn = None if quiet else say
        return ConceptStore.open(self.place(), namespace=self.namespace, warn=warn, secret=self.secret())


@dataclass(frozen=True)
class ModelOptions:
    """Which model, and how it computes."""

    model: Model = "mini"
    device: Device = None
    dtype: Dtype = None
    bits: Bits = None

    def load(self, vllm: Vllm | None = None) -> Personal:
        """The model, its backbone run by `vllm` where that is given; what its user has to know about it goes to stderr. Raises
        CheckpointError, RequestError, EngineError."""
        with waiting(f"Loading {self.model}"), quick():
            from plvm.personal import load

            place = Path(self.model).expanduser() if self.model.startswith("~") else self.model
            vlm = load(place, device=self.device, dtype=self.dtype, bits=self.bits, vllm=vllm)
        for note in vlm.notes:
            say(note)
        return vlm


@dataclass(frozen=True)
class SamplingOptions:
    """How an answer is chosen."""

    temperature: Annotated[
        float, Option("--temperature", metavar="X", help="0 always takes the likeliest token; higher is more random.")
    ] = 0.0
    top_p: Annotated[
        float, Option("--top-p", metavar="P", help="Draw from the likeliest tokens that share P of it all.")
    ] = 1.0
    top_k: Annotated[int, Option("--top-k", metavar="K", help="Draw from the K likeliest tokens; 0: from all.")] = 0
    max_tokens: Annotated[int, Option("--max-tokens", metavar="N", help="The longest answer.")] = 64
    stop: Annotated[
        list[str] | None, Option("--stop", metavar="TEXT", help="End the answer at TEXT; may be repeated.")
    ] = None
    seed: Annotated[
        int | None, Option("--seed", metavar="N", help="Repeats a random answer.", show_default=False)
    ] = None

    def params(self) -> SamplingParams:
        """All of them as one value. Raises RequestError."""
        stop = tuple(self.stop or ())
        return SamplingParams(self.temperature, self.top_p, self.top_k, self.max_tokens, stop, self.seed)


@dataclass(frozen=True)
class NameOptions:
    """How people are named in questions and answers."""

    exact_names: Annotated[
        bool, Option("--exact-names", help="In a question a name counts only between < and >.")
    ] = False  # fmt: skip
    as_words: Annotated[
        bool, Option("--words", help="Write people in answers as the model does: <anna-maria>, not Anna Maria.")
    ] = False

    def names_in(self, question: str, store: ConceptStore) -> list[str]:
        """The words of those of `store` whom the question names. Raises UnknownConceptError for who is not there."""
        from plvm.choosing import names_in
        from plvm.engine.checks import checked_question
        from plvm.naming.mentions import marked

        people = store.people()
        words = store.check_known(*names_in(marked(question, people, exact=self.exact_names)))
        checked_question(question, people, exact_names=self.exact_names)
        return words

    def shown(self, text: str, concepts: Iterable[Concept]) -> str:
        """Of an answer about `concepts`, what is written: their display names, or their words."""
        return text if self.as_words else with_display_names(text, concepts)


def make_folder(folder: Path) -> None:
    """The folder of --out, made where it is not there. Raises RequestError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{folder} cannot be made: {error.strerror}.", "Name another folder with --out.") from None
