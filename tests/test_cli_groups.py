"""A group of options is one parameter of a verb and many for the parser."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import Annotated

import pytest
from typer import Argument, Option, Typer
from typer.testing import CliRunner

from plvm.cli.groups import flattened
from plvm.cli.verbs import add_verb


@dataclass(frozen=True)
class Frame:
    width: Annotated[int, Option("--width", metavar="N", help="Pixels.")]
    colour: Annotated[str, Option("--colour")] = "red"
    dots: Annotated[list[int] | None, Option("--dot")] = None

    def told(self) -> str:
        return f"{self.width} {self.colour} {self.dots}"


@dataclass(frozen=True)
class Colour:
    colour: Annotated[str, Option("--paint")] = "blue"


def hang(name: Annotated[str, Argument(metavar="NAME")], frame: Frame, loud: bool = False) -> None:
    """Hang a picture."""
    print(name.upper() if loud else name, frame.told())


def run(*words: str) -> tuple[int, str]:
    app = Typer(rich_markup_mode=None)
    add_verb(app, "hang", hang, usage="NAME")
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.stdout


def test_the_parser_sees_the_fields_and_the_verb_gets_them_together() -> None:
    assert run("cat", "--width", "3", "--dot", "1", "--dot", "2", "--loud") == (0, "CAT 3 red [1, 2]\n")
    assert run("cat", "--colour", "green", "--width", "3") == (0, "cat 3 green None\n")


def test_a_field_without_default_is_a_required_option_and_the_help_shows_all() -> None:
    assert run("cat")[0] == 2
    told = run("--help")[1]
    assert "Hang a picture." in told and all(part in told for part in ("--width N", "Pixels.", "--colour", "--dot"))


def test_the_order_is_that_of_the_parameters() -> None:
    assert list(signature(flattened(hang)).parameters) == ["name", "width", "colour", "dots", "loud"]


def test_two_options_of_one_name_are_refused() -> None:
    def paint(frame: Frame, colour: Colour) -> None: ...

    with pytest.raises(ValueError, match="colour"):
        flattened(paint)
