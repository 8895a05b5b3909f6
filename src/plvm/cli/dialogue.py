"""The loop of `plvm chat`: lines are read, questions answered, commands obeyed, errors told."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable

from plvm.cli.console import complain, out, say, table
from plvm.cli.interrupts import INTERRUPTS
from plvm.errors import PlvmError, RequestError
from plvm.types import nearest_names

HELP = (
    ("/add NAME FILE...", 'enrol someone, keep the concept, and let it join; "Anna Maria" between quotation marks'),
    ("/add NAME", "let someone join who is enrolled"),
    ("/image FILE", "talk about another picture"),
    ("/who", "those enrolled who are in the picture, and where"),
    ("/list", "who is in the dialogue, and who is enrolled"),
    ("/help", "this"),
    ("/quit", "end the dialogue; so do Ctrl-D and Ctrl-C"),
)


class Loop:
    """Reads lines and has them answered or obeyed. An error is told, and the dialogue goes on. What a dialogue does is up to its
    kind: `answer`, `add`, `who`, `list`, each given the rest of the line, and `look_at`, given the file of a picture."""

    answer: Callable[[str], None]
    add: Callable[[str], None]
    look_at: Callable[[str], None]
    who: Callable[[str], None]
    list: Callable[[str], None]

    def run(self) -> None:
        """Until /quit, the end of the input, or Ctrl-C at the prompt, which raises KeyboardInterrupt."""
        while True:
            try:
                text = _read()
            except EOFError:
                say("")
                return
            except KeyboardInterrupt:
                say("")
                raise
            if text in ("/quit", "/exit", "/q"):
                return
            if not text:
                continue
            try:
                if text.startswith("/"):
                    self.obey(text)
                else:
                    self.answer(text)
            except PlvmError as error:
                complain(error.message, error.hint)
            except KeyboardInterrupt:
                INTERRUPTS.handled()
                out()
                say("Stopped; this turn does not count.")

    def obey(self, text: str) -> None:
        """Do what a line that begins with "/" says."""
        verb, _, rest = text.partition(" ")
        commands: dict[str, Callable[[str], None]] = {
            "/add": self.add,
            "/image": lambda rest: self.look_at(_file_in(rest)),
            "/who": self.who,
            "/list": self.list,
            "/help": lambda _: out(table(HELP)),
        }
        if verb not in commands:
            near = nearest_names(verb, commands, 1)
            raise RequestError(
                f"There is no command {verb[:40]}.", f"Did you mean {near[0]}?" if near else "/help lists all."
            )
        commands[verb](rest.strip())


def _read() -> str:
    """The next line, without its end. Raises EOFError."""
    if sys.stdin.isatty():
        import contextlib

        with contextlib.suppress(ImportError):  # line editing and history, where the platform has them
            import readline  # noqa: F401
        return input("> ").strip()
    text = sys.stdin.readline()
    if not text:
        raise EOFError
    return text.strip()


def _file_in(rest: str) -> str:
    words = words_in(rest)
    if not words:
        raise RequestError("Which picture?", "Say /image FILE.")
    return words[0] if len(words) == 1 else rest  # a path with blanks needs no quotation marks


def words_in(rest: str) -> list[str]:
    """The words of a line, as a shell divides them. Raises RequestError."""
    try:
        return shlex.split(rest)
    except ValueError:
        pass
    try:  # "O'Neill": an apostrophe is no quotation mark
        reader = shlex.shlex(rest, posix=True, punctuation_chars=False)
        reader.quotes, reader.whitespace_split, reader.commenters = '"', True, ""
        return list(reader)
    except ValueError:
        raise RequestError("A quotation mark is not closed.", "Close it, or leave it out.") from None
