"""The generators by name. A class is imported when its generator is built: most need packages that others do not."""

from __future__ import annotations

from importlib import import_module

from plvm.data.spec import Spec
from plvm.errors import RequestError
from plvm_lab.synth.generator import Generator

GENERATORS = {
    "portraits": "plvm_lab.synth.portraits_generator:PortraitsGenerator",
    "photos": "plvm_lab.synth.photo_folder:PhotoFolder",
    "ip-adapter": "plvm_lab.synth.ip_adapter:AdapterGenerator",
}


def build_generator(spec: Spec) -> Generator:
    """The generator that a spec names, ready to work. Raises RequestError for an unknown name, missing models or
    missing packages."""
    if spec.generator not in GENERATORS:
        raise RequestError(
            f'There is no generator "{spec.generator[:40]}".', f"The generators are: {', '.join(GENERATORS)}."
        )
    module, _, name = GENERATORS[spec.generator].partition(":")
    return getattr(import_module(module), name)(spec)
