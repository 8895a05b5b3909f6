"""Imports without what nobody here uses: a command at the prompt answers in half the time.

For a first answer, torch and transformers would also bring a compiler (torch._dynamo with sympy), tensors that are spread over
machines, and SciPy and scikit-learn where they are installed; none of them computes anything in an answer. This is for the
command line alone, whose process is our own.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

COMPILER, MODELS = "torch._dynamo", "models"
UNUSED = ("scipy", "sklearn", "pandas", "accelerate")  # transformers looks whether they are there, and then imports them


@contextmanager
def resting() -> Iterator[None]:
    """Import in here. What is imported stays, so the collector of what nobody needs any more has nothing to find: it rests."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def quick() -> Iterator[None]:
    """Import torch and transformers in here, and load a model that computes answers in one process.

    Afterwards everything is there for whoever asks for it, the compiler too; transformers alone goes on as it does where
    there is no SciPy, no scikit-learn and no torch.distributed, and its classes have short docstrings. Where transformers was
    imported before, nothing changes.
    """
    if "transformers" in sys.modules:
        yield
        return
    with resting(), ExitStack() as changed:
        for name in UNUSED:
            if name not in sys.modules:
                changed.enter_context(_set(sys.modules, name, None))
        import torch

        if COMPILER not in sys.modules:
            sys.modules[COMPILER] = Compiler(COMPILER)
        changed.enter_context(_set(vars(torch.distributed), "is_available", lambda: False))
        from transformers import utils
        from transformers.utils import import_utils as found

        changed.enter_context(_set(vars(utils), "auto_docstring", _as_written))
        changed.enter_context(_set(vars(found), "define_import_structure", _once(found.define_import_structure)))
        yield


class Later(ModuleType):
    """Stands for a module until somebody uses it; then that is imported, and found in its place."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        return getattr(self._real(), name)

    @property
    def _there(self) -> bool:
        return sys.modules.get(self.__name__) is not self

    def _real(self) -> ModuleType:
        if not self._there:
            del sys.modules[self.__name__]
        return import_module(self.__name__)


class Compiler(Later):
    """torch's compiler: as long as it is not there, nothing is compiled."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        spec = find_spec(name)
        self.__spec__, self.__path__ = spec, list(spec.submodule_search_locations or ()) if spec is not None else []
        self._marked: list[tuple[str, Callable[..., Any]]] = []

    def allow_in_graph(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """`fn`; the compiler hears of it when it comes."""
        return self._mark("allow_in_graph", fn)

    def assume_constant_result(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """`fn`; the compiler hears of it when it comes."""
        return self._mark("assume_constant_result", fn)

    def disable(self, fn: Callable[..., Any] | None = None, recursive: bool = True, **options: Any) -> Any:
        """`fn` kept from being compiled: as long as the compiler is not there, that is `fn` itself."""
        if fn is None:
            return lambda found: self.disable(found, recursive, **options)

        @wraps(fn)
        def kept(*args: Any, **kwargs: Any) -> Any:
            whole = self._real().disable(fn, recursive, **options) if self._there else fn
            return whole(*args, **kwargs)

        return kept

    def _mark(self, name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
        if self._there:
            marked: Callable[..., Any] = getattr(self._real(), name)(fn)
            return marked
        self._marked.append((name, fn))
        return fn

    def _real(self) -> ModuleType:
        real = super()._real()
        while self._marked:
            name, fn = self._marked.pop()
            getattr(real, name)(fn)
        return real


@contextmanager
def _set(values: dict[str, Any], name: str, value: Any) -> Iterator[None]:
    before = {key: values[key] for key in (name,) if key in values}
    values[name] = value
    try:
        yield
    finally:
        values.pop(name, None)
        values |= before


def _as_written(thing: Any = None, **_: Any) -> Any:
    """Instead of transformers' decorator that writes docstrings."""
    return thing if thing is not None else lambda found: found


def _once(define: Callable[..., Any]) -> Callable[..., Any]:
    """transformers reads all its files to know what they define, and again when `transformers.models` is imported: here what it
    read first, without the prefix."""

    def known(path: Any, prefix: str | None = None) -> Any:
        folder = Path(path).parent
        if prefix is not None or folder.name != MODELS or folder.parent.name != "transformers":
            return define(path, prefix)
        read = define(folder, prefix=MODELS)
        start = f"{MODELS}."
        return {
            needs: {name.removeprefix(start): what for name, what in files.items() if name.startswith(start)}
            for needs, files in read.items()
        }

    return known
