"""Systems under test, by name. Each is a `plvm_lab.evaluate.system.System` whose class takes the personal model it uses.

    plvm                concept tokens made by the Aligner
    llava               the same frozen backbone, told nothing
    llava-prompt        the backbone's own description of the reference, 16 tokens; -plain: names as ordinary text; -long:
                        64 tokens; -true: the truth in words, on drawn portraits; -true-16: its first 16 tokens
    in-context          the reference picture itself in the prompt; -plain: names as ordinary text
    embedding           cosine of encoder features with a threshold: recognition alone, no language model
    face-codes          cosine of the codes of faces with a threshold: on a family that looks for faces, no language model
    thing-codes         cosine of the codes of windows with a threshold: pets and things on such a family, no language model
    myvlm               MyVLM with the face head; -linear: with the linear head
    yollava             Yo'LLaVA, tuned on one picture; -5: on five
    openai              any vision model behind an OpenAI-compatible endpoint

A class is imported when its system is built.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from plvm.errors import RequestError
from plvm.types import nearest_names

if TYPE_CHECKING:
    from plvm.personal import Personal
    from plvm_lab.evaluate.system import System

SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {  # name -> its class, and what makes it that system
    "plvm": ("plvm_lab.systems.plvm:Plvm", {}),
    "llava": ("plvm_lab.systems.llava:Llava", {}),
    "llava-prompt": ("plvm_lab.systems.llava:LlavaPrompt", {}),
    "llava-prompt-plain": ("plvm_lab.systems.llava:LlavaPrompt", {"names": "plain"}),
    "llava-prompt-long": ("plvm_lab.systems.llava:LlavaPrompt", {"tokens": 64}),
    "llava-prompt-true": ("plvm_lab.systems.llava:LlavaPromptTrue", {}),
    "llava-prompt-true-16": ("plvm_lab.systems.llava:LlavaPromptTrue", {"tokens": 16}),
    "in-context": ("plvm_lab.systems.in_context:InContext", {}),
    "in-context-plain": ("plvm_lab.systems.in_context:InContext", {"names": "plain"}),
    "embedding": ("plvm_lab.systems.embedding:Embedding", {}),
    "face-codes": ("plvm_lab.systems.face_codes:FaceCodes", {}),
    "thing-codes": ("plvm_lab.systems.thing_codes:ThingCodes", {}),
    "myvlm": ("plvm_lab.systems.myvlm:MyVlm", {"head": "face"}),
    "myvlm-linear": ("plvm_lab.systems.myvlm:MyVlm", {"head": "linear"}),
    "yollava": ("plvm_lab.systems.yollava:YoLlava", {"references": 1}),
    "yollava-5": ("plvm_lab.systems.yollava:YoLlava", {"references": 5}),
    "openai": ("plvm_lab.systems.openai_api:OpenAI", {}),
}
DRAWN_ONLY = frozenset({"llava-prompt-true", "llava-prompt-true-16"})  # have to know who was drawn in the portraits benchmark
SUITE_ONLY = {"face-codes": "lfw", "thing-codes": "things"}  # the only suite that a system is for
NO_MODEL = frozenset({"openai"})  # systems that need no model of ours
PARTS = ("vlm", "self", "strangers", "truth", "keep", "key", "writer")  # arguments nobody sets by name


def check_systems(names: list[str]) -> None:
    """Raise RequestError for a name that no system has."""
    for name in names:
        if name not in SYSTEMS:
            near = nearest_names(name, SYSTEMS, 1)
            raise RequestError(
                f'There is no system "{name[:40]}".' + (f' Perhaps "{near[0]}"?' if near else ""),
                f"The systems are: {', '.join(SYSTEMS)}.",
            )


def class_of(name: str) -> Any:
    """The class of the system called `name`, whose arguments are its own. Raises RequestError for an unknown name."""
    check_systems([name])
    module, _, kind = SYSTEMS[name][0].partition(":")
    return getattr(import_module(module), kind)


def groups_of(kind: Any) -> dict[str, Any]:
    """The arguments of a system's class that are settings in groups -> the dataclass of each, whose fields can be set."""
    found = {}
    for name, hint in get_type_hints(kind.__init__).items():
        groups = [h for h in (hint, *get_args(hint)) if is_dataclass(h)]
        if groups and name not in PARTS:
            found[name] = groups[0]
    return found


def settings_of(name: str) -> dict[str, Any]:
    """What can be set of a system -> its default: its class's arguments, and the fields of those that are groups."""
    kind, found = class_of(name), dict[str, Any]()
    groups = groups_of(kind)
    for p in inspect.signature(kind).parameters.values():
        if p.name in groups:
            found |= {f.name: f.default for f in fields(groups[p.name])}
        elif p.name not in PARTS and p.kind is not p.VAR_KEYWORD:
            found[p.name] = p.default
    return found | {k: v for k, v in SYSTEMS[name][1].items() if k in found}


def grouped(kind: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as arguments of a system's class: fields of a group are put into it. Where the class chooses a group by itself
    (its default is None), they stay by themselves, as changes of what it chooses."""
    own, parameters = dict(settings), inspect.signature(kind).parameters
    for name, group in groups_of(kind).items():
        fitting = {f.name: own.pop(f.name) for f in fields(group) if f.name in own}
        whole = own.get(name, parameters[name].default)
        own |= fitting if whole is None else {name: replace(whole, **fitting)}
    return own


def build_system(name: str, vlm: Personal | None, **options: Any) -> System:
    """The system called `name` around `vlm` (openai needs none); `options` are its class's own, or of how it learns.

    Raises RequestError for an unknown name or option.
    """
    kind = class_of(name)
    known = set(inspect.signature(kind).parameters) | set(settings_of(name))
    for option in options:
        if option not in known:
            near = nearest_names(option, settings_of(name), 1)
            raise RequestError(
                f'{name} has no setting "{option[:40]}".' + (f' Perhaps "{near[0]}"?' if near else ""),
                f"Its settings are: {', '.join(settings_of(name)) or 'none'}.",
            )
    whole = grouped(kind, SYSTEMS[name][1] | options)
    system = kind(**whole) if name in NO_MODEL else kind(vlm, **whole)
    system.name = name
    return system


def settings_for(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `settings` that the system called `name` has."""
    own = settings_of(name)
    return {k: v for k, v in settings.items() if k in own}


def keeps(name: str) -> bool:
    """Whether a system keeps what it learned or was told in a folder (`keep`), so that nothing is done twice."""
    return "keep" in inspect.signature(class_of(name)).parameters
