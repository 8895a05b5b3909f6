"""Options that belong together: one parameter of a verb, whose type is a frozen dataclass, stands for all of them.

    @dataclass(frozen=True)
    class StoreOptions:
        store: Annotated[str | None, Option("--store")] = None
        namespace: Annotated[str, Option("--namespace")] = "default"

    def show(name: ..., store: StoreOptions) -> None: ...

The parser sees `show(name, store, namespace)`; `show` gets a StoreOptions, with the behaviour that belongs to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def flattened(verb: Callable[..., None]) -> Callable[..., None]:
    """`verb` as the parser takes it: a parameter whose type is a dataclass becomes one parameter for each of its fields.

    When it is called, the dataclasses are put together again. Raises ValueError where two options have one name.
    """
    hints = get_type_hints(verb, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if isinstance(kind, type) and is_dataclass(kind)}

    @wraps(verb)
    def call(**values: Any) -> None:
        grouped = {name: kind(**{f.name: values.pop(f.name) for f in fields(kind)}) for name, kind in groups.items()}
        verb(**values, **grouped)

    parameters: list[Parameter] = []
    for own in signature(verb).parameters.values():
        if own.name in groups:
            parameters += _options(groups[own.name])
        else:
            parameters.append(own.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[own.name]))
    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    return call


def _options(kind: type[Any]) -> Iterator[Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        default = Parameter.empty if field.default is MISSING else field.default
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name])
