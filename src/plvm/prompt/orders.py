"""The orders of picture and definitions in a prompt, and the writer of each."""

from __future__ import annotations

from typing import Any

from plvm.prompt.definitions_first import DefinitionsFirst
from plvm.prompt.image_first import Prompt
from plvm.prompt.template import Template

ORDERS: dict[str, type[Prompt]] = {"image-first": Prompt, "definitions-first": DefinitionsFirst}


def prompt_of(tokenizer: Any, template: Template) -> Prompt:
    """The writer of the template's form. Raises ValueError where there is no such form, or where the template does not
    fit the tokenizer."""
    if template.form not in ORDERS:
        raise ValueError(f"its form is {template.form!r}, not one of {', '.join(ORDERS)}")
    return ORDERS[template.form](tokenizer, template)
