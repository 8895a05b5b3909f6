"""Settings as frozen dataclasses, one per section: read from TOML or JSON files, changed by `section.key=value`.

Defaults say the type of every value. What no dataclass knows is refused, and the nearest key is named.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from plvm.errors import RequestError
from plvm.types import nearest_names

T = TypeVar("T")


def keys_of(settings: Any) -> dict[str, Any]:
    """ "section.key" -> value of a dataclass of dataclasses."""
    sections = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    return {f"{name}.{key}": value for name, part in sections.items() for key, value in vars(part).items()}


def read_settings(path: Path) -> dict[str, Any]:
    """The values of a TOML or JSON file by "section.key". Raises RequestError."""
    import tomllib

    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}.", "Name a TOML or JSON file.") from None
    except ValueError as error:  # both decoders' errors are
        raise RequestError(f"{path} is neither TOML nor JSON: {error}.", "Write [section], then key = value.") from None
    sections = data.items() if isinstance(data, dict) else ()
    values = {f"{s}.{k}": v for s, part in sections if isinstance(part, dict) for k, v in part.items()}
    return values | {str(s): v for s, v in sections if not isinstance(v, dict)}


def parse_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """("train.w=5", ..) -> {"train.w": 5, ..}; what is no JSON value is a string. Raises RequestError."""
    values: dict[str, Any] = {}
    for text in texts:
        key, found, value = text.partition("=")
        if not found:
            raise RequestError(f'"{text[:60]}" is no setting.', "Write section.key=value, for example train.w=5.")
        try:
            values[key.strip()] = json.loads(value)
        except ValueError:
            values[key.strip()] = value
    return values


def changed(settings: T, values: Mapping[str, Any]) -> T:
    """A copy of `settings` with `values` by "section.key". Raises RequestError for unknown keys, with the nearest known ones, for
    values of another type, and for whatever the dataclasses refuse."""
    known = keys_of(settings)
    sections: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        if key not in known:
            raise RequestError(f'There is no setting "{key[:60]}".', _meant(key, known))
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = _fitting(key, value, known[key])
    parts = {s: dataclasses.replace(getattr(settings, s), **own) for s, own in sections.items()}
    return dataclasses.replace(settings, **parts)  # type: ignore[type-var]


def _meant(key: str, known: Mapping[str, Any]) -> str:
    last = {k.partition(".")[2]: k for k in known}
    near = nearest_names(key, known, 1) or [last[n] for n in nearest_names(key.rpartition(".")[2], last, 1)]
    return f"Did you mean {near[0]}?" if near else f"The settings are: {', '.join(known)}."


def _fitting(key: str, value: Any, default: Any) -> Any:
    kind = type(default)
    if kind is float and type(value) is int:
        return float(value)
    if kind is str and type(value) in (int, float):
        return str(value)
    if type(value) is not kind:
        wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[kind]
        raise RequestError(f"{key} cannot be {json.dumps(value)[:60]}.", f"It is {wanted}, now {json.dumps(default)}.")
    return value
