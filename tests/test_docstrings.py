"""`help()` is enough: every public name of the product has a docstring that can be read without its neighbours'."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import plvm

# A docstring, or a sentence of one, that begins like this means another one that the reader does not see.
LEANING = (
    "The same", "Same as", "Same for", "As `", "As in ", "As above", "As a ", "As an ", "As before", "Like `", "Like the ",
    "Likewise", "Ditto", "See ", "See also", "The inverse of", "Inverse of", "Also ", "Again", "The other", "The opposite",
    "That of", "Those of", "Its counterpart",
)  # fmt: skip
ANOTHER = r"`[a-z_]+` for (many|one|several|all|a )"  # "`add` for many at once"
OWN = (property, functools.cached_property, classmethod, staticmethod)
REGISTER = "register"  # what every file of verbs has for cli.main: it adds its verbs to the app


def modules() -> Iterator[ModuleType]:
    """Every module of the product."""
    yield plvm
    for found in pkgutil.walk_packages(plvm.__path__, "plvm."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def members(kind: type, where: str) -> Iterator[tuple[str, str | None]]:
    """(name, docstring) of a class's own public methods and properties; what overrides may leave theirs to the product's base."""
    for name, value in vars(kind).items():
        if name.startswith("_") or not (inspect.isfunction(value) or isinstance(value, OWN)):
            continue
        bases = [base for base in kind.__mro__ if base.__module__.startswith("plvm")]
        yield f"{where}.{name}", next((d for base in bases if (d := own_doc(vars(base).get(name)))), None)


def own_doc(value: Any) -> str | None:
    """The docstring of a function, property, or what stands behind a decorator."""
    inner = getattr(value, "__func__", None) or getattr(value, "fget", None) or getattr(value, "func", None) or value
    doc = getattr(inner, "__doc__", None) if value is not None else None
    return inspect.cleandoc(doc) if doc else None


def documented() -> dict[str, str | None]:
    """Every public module, class, function, method and property of the product -> its docstring."""
    found: dict[str, str | None] = {}
    for module in modules():
        found[module.__name__] = module.__doc__
        for name, value in vars(module).items():
            own = getattr(value, "__module__", None) == module.__name__ and getattr(value, "__name__", "") == name
            if name.startswith("_") or name == REGISTER or not own or not (inspect.isfunction(value) or inspect.isclass(value)):
                continue
            where = f"{module.__name__}.{name}"
            found[where] = vars(value).get("__doc__") if inspect.isclass(value) else own_doc(value)
            if inspect.isclass(value):
                found |= members(value, where)
    return found


DOCUMENTED = documented()


def leans(doc: str) -> str | None:
    """The sentence that leans on another docstring, None where none does. Later sentences may point to more, but not say
    nothing else."""
    first, *others = re.split(r"(?<=[.;])\s+", " ".join(doc.split()))
    if first.startswith(LEANING) or re.match(ANOTHER, first):
        return first
    return next((s for s in others if re.match(r"The same (in|for|as|with|but)\b|See (also )?`\w|As `\w|Likewise", s)), None)


def made_by_dataclass(name: str, doc: str) -> bool:
    """Whether a docstring is only the signature that `dataclass` and `NamedTuple` write where there is none."""
    return doc.startswith(f"{name.rpartition('.')[2]}(")


def test_everything_public_is_looked_at() -> None:
    for name in ("plvm.personal.Personal.enroll", "plvm.store.store.ConceptStore.forget", "plvm.types.Concept"):
        assert name in DOCUMENTED
    assert len(DOCUMENTED) > 300


def test_every_public_name_has_a_docstring_of_its_own() -> None:
    bare = [name for name, doc in DOCUMENTED.items() if not doc or made_by_dataclass(name, doc)]
    assert not bare, "\n".join(sorted(bare))


def test_docstrings_stand_alone() -> None:
    found = {name: sentence for name, doc in DOCUMENTED.items() if doc and (sentence := leans(doc))}
    assert not found, "\n".join(f"{name}: {sentence}" for name, sentence in found.items())



def test_what_plvm_offers_is_documented_where_it_is_defined() -> None:
    for name in set(plvm.__all__) - {"__version__"}:
        value = getattr(plvm, name)
        assert f"{value.__module__}.{value.__qualname__}" in DOCUMENTED


@pytest.mark.parametrize(
    ("doc", "does"),
    [
        ("The same in chunks.", True),
        ("`add` for many at once: all are kept, or none.", True),
        ("See `Tasks`.", True),
        ("Rows of a table. The same for many.", True),
        ("`text` with its control characters shown, not obeyed.", False),
        ("All concepts. The same rows give the same bytes.", False),
    ],
)
def test_a_docstring_that_leans_is_found(doc: str, does: bool) -> None:
    assert (leans(doc) is not None) == does
