"""Which verbs there are, and where: a verb's file is read when the verb is called, all of them for the help."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from importlib import import_module
from typing import Any

import typer

from plvm.cli.interrupts import orderly
from plvm.cli.verbs import Verbs

HOMES = {  # a file of plvm.cli: its verbs, as the help lists them
    "add": ("add",),
    "concepts": ("list", "show", "rename", "forget"),
    "transfer": ("export", "import"),
    "store": ("store",),
    "ask": ("ask",),
    "chat": ("chat",),
    "recognize": ("recognize",),
    "who": ("who",),
    "caption": ("caption",),
    "watch": ("watch",),
    "train": ("train",),
    "calibrate": ("calibrate",),
    "import_official": ("import-official",),
    "push": ("push",),
    "parts": ("parts",),
    "serve": ("serve", "keys"),
}
OTHERS = "plvm.verbs"  # the entry points of other packages: what each names adds its verbs to an app
_HOME_OF = {verb: home for home, verbs in HOMES.items() for verb in verbs}

Commands = MutableMapping[str, Any]


class AllVerbs(Verbs):
    """The group of all verbs, ours first."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb `cmd_name`; None where there is none."""
        home = _HOME_OF.get(cmd_name)
        return self._verbs_in(home)[cmd_name] if home is not None else self.commands.get(cmd_name)

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the verb that the command line names; Ctrl-C ends it with code 130."""
        with orderly():
            return super().main(*args, **options)

    @property
    def commands(self) -> Commands:
        """Every verb by its name, in the order of the help."""
        found: dict[str, Any] = {}
        for home in (*HOMES, OTHERS):
            found |= self._verbs_in(home)
        return found

    @commands.setter
    def commands(self, _: Commands) -> None:
        self._read: dict[str, Commands] = {}

    def _verbs_in(self, home: str) -> Commands:
        if home not in self._read:
            self._read[home] = _commands(_add_others if home == OTHERS else import_module(f"plvm.cli.{home}").register)
        return self._read[home]


def _add_others(app: typer.Typer) -> None:
    from importlib.metadata import entry_points

    for found in entry_points(group=OTHERS):
        found.load()(app)


def _commands(register: Callable[[typer.Typer], None]) -> Commands:
    """The verbs that `register` adds."""
    app = typer.Typer(cls=Verbs, rich_markup_mode=None, pretty_exceptions_enable=False)
    register(app)
    commands: Commands = typer.main.get_group(app).commands
    return commands
