"""plvm makes a frozen vision-language model personal: one picture and a name, and it knows `<billie>`.

    import plvm
    vlm = plvm.load("mini")
    billie = vlm.enroll("billie", "billie.jpg")
    print(vlm.ask("party.jpg", "Where is <billie>?", [billie]))

The public names are imported when they are first used, so that `import plvm` itself is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plvm.chat import Chat, Turn
    from plvm.errors import (
        AlignerMismatchError,
        CheckpointError,
        ConceptNameError,
        DuplicateConceptError,
        EngineError,
        ImageError,
        PlvmError,
        RequestError,
        StoreError,
        UnknownConceptError,
    )
    from plvm.personal import Personal, load
    from plvm.store import ConceptStore
    from plvm.types import Answer, Concept, ConceptTokens, SamplingParams

__version__ = "0.2.0"

_HOMES = {
    "plvm.chat": ("Chat", "Turn"),
    "plvm.errors": (
        "AlignerMismatchError",
        "CheckpointError",
        "ConceptNameError",
        "DuplicateConceptError",
        "EngineError",
        "ImageError",
        "PlvmError",
        "RequestError",
        "StoreError",
        "UnknownConceptError",
    ),
    "plvm.personal": ("Personal", "load"),
    "plvm.store": ("ConceptStore",),
    "plvm.types": ("Answer", "Concept", "ConceptTokens", "SamplingParams"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AlignerMismatchError",
    "Answer",
    "Chat",
    "CheckpointError",
    "Concept",
    "ConceptNameError",
    "ConceptStore",
    "ConceptTokens",
    "DuplicateConceptError",
    "EngineError",
    "ImageError",
    "Personal",
    "PlvmError",
    "RequestError",
    "SamplingParams",
    "StoreError",
    "Turn",
    "UnknownConceptError",
    "__version__",
    "load",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'plvm' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
