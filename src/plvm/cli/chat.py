"""`plvm chat`: a dialogue about pictures, with people joining whenever they are named or added."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Typer

from plvm.cli import options as o
from plvm.cli.add import tell_same
from plvm.cli.ask import tell
from plvm.cli.console import complain, count, out, say, table
from plvm.cli.interrupts import INTERRUPTS
from plvm.cli.unlike import warn
from plvm.cli.verbs import add_verb
from plvm.cli.who import told
from plvm.errors import DuplicateConceptError, PlvmError, RequestError
from plvm.naming.display import bare, label, resolve, typed, unused
from plvm.types import SamplingParams, nearest_names

if TYPE_CHECKING:
    from PIL import Image

    from plvm.chat import Chat
    from plvm.personal import Personal
    from plvm.store import ConceptStore
    from plvm.types import Concept

HELP = (
    ("/add NAME FILE...", 'enrol someone, keep the concept, and let it join; "Anna Maria" between quotation marks'),
    ("/add NAME", "let someone join who is enrolled"),
    ("/image FILE", "talk about another picture"),
    ("/who", "those enrolled who are in the picture, and where"),
    ("/list", "who is in the dialogue, and who is enrolled"),
    ("/help", "this"),
    ("/quit", "end the dialogue; so do Ctrl-D and Ctrl-C"),
)


def register(app: Typer) -> None:
    add_verb(app, "chat", chat, "Pictures", "[IMAGE]")


def chat(
    image: Annotated[str | None, Argument(metavar="IMAGE", help="The picture to talk about.")] = None,
    with_: o.With = None,
    *,
    naming: o.NameOptions,
    sampling: o.SamplingOptions,
    store: o.StoreOptions,
    model: o.ModelOptions,
) -> None:
    """Talk about a picture; people may join at any turn.

    Everyone named with --with is in from the start; without it all who are enrolled (of more than four, the likeliest
    in the picture). Whoever a question names joins: <billie> or Billie. /help lists the commands: /add, /image, /who,
    /list, /quit.
    """
    from plvm.images import open_image

    params = sampling.params()
    picture = None if image is None else open_image(image)
    with store.open() as opened:
        opened.check_known(*(with_ or ()))
        dialogue = Dialogue(model.load(), opened, params, picture, naming)
        dialogue.begin(with_ or [])
        if image is not None:
            dialogue.warn({image: dialogue.chat.unlike})
        dialogue.run()


@dataclass
class Dialogue:
    """The loop: reads lines, answers questions, obeys commands. An error is told, and the dialogue goes on."""

    vlm: Personal
    store: ConceptStore
    params: SamplingParams
    picture: Image.Image | None
    naming: o.NameOptions
    chat: Chat = field(init=False)
    warned: set[str] = field(default_factory=set)  # pictures that were said to be unlike the training

    def begin(self, names: list[str]) -> None:
        """Open the dialogue with these people, or with those that `choose` finds."""
        from plvm.choosing import choose

        choice = choose(self.vlm, self.store, names, self.picture, need_somebody=False)
        tell(choice)
        people = choice.concepts
        self.chat = self.vlm.chat(
            self.picture, people, exact_names=self.naming.exact_names, namespace=self.store.namespace
        )
        who = ", ".join(label(c.name, c.display) for c in people) if people else "nobody yet"
        say(f"In the dialogue: {who}. /help lists the commands, /quit ends it.")

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

    def answer(self, question: str) -> None:
        """Stream the answer; whoever the question names joins first."""
        here = {concept.name for concept in self.chat.concepts}
        for name in self.naming.names_in(question, self.store):
            if name not in here:
                self.join(name)
        for chunk in self.chat.stream(question, self.params):
            out(self.naming.shown(chunk, self.chat.concepts), end="")
        out()

    def obey(self, text: str) -> None:
        """Do what a line that begins with "/" says."""
        verb, _, rest = text.partition(" ")
        commands: dict[str, Callable[[str], None]] = {
            "/add": self.add,
            "/image": self.look_at,
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

    def add(self, rest: str) -> None:
        """`/add NAME [FILE...]`: enrol somebody from pictures, or let somebody from the store join."""
        words = _words(rest)
        if not words:
            raise RequestError("Whom?", "Say /add NAME FILE.")
        if len(words) == 1 or resolve(rest, self.store.people()) is not None:  # a name with blanks needs no quotation marks
            self.join(rest if len(words) > 1 else words[0])
            return
        from plvm.images import open_image

        name, pictures = words[0], [open_image(file) for file in words[1:]]
        try:
            self.store.check_free(name)
        except DuplicateConceptError as error:
            hint = f"Choose another name, or say /add {typed(bare(name))} to let it join."
            raise DuplicateConceptError(error.message, hint) from None
        made = self.vlm.enroll(name, *pictures)
        self.warn(dict(zip(words[1:], made.unlike, strict=False)))
        concept = self.store.add(self._unlike_those_here(made))
        self.chat.add(concept)
        same = [other for other in self.store.same_pictures(concept.references) if other != concept.name]
        tell_same(concept.name, same)
        called = label(concept.name, concept.display)
        say(f"Enrolled {called} from {count(len(pictures), 'picture')}; <{concept.name}> joins.")

    def _unlike_those_here(self, concept: Concept) -> Concept:
        """The concept with a word that nobody in the dialogue has, who may have left the store meanwhile. Raises
        DuplicateConceptError."""
        here = {c.name: c.display for c in self.chat.concepts}
        if resolve(concept.shown, here) is not None:
            raise DuplicateConceptError(f"<{concept.name}> is in the dialogue already.", "Choose another name.")
        return replace(concept, name=unused(concept.name, {*here, *self.store.names()}))

    def warn(self, scores: dict[str, float | None]) -> None:
        """Say which pictures, {file: score}, are unlike the training, of each once."""
        warn(self.vlm, {file: score for file, score in scores.items() if file not in self.warned})
        self.warned |= scores.keys()

    def join(self, name: str) -> None:
        """Let someone from the store join."""
        concept = self.store.get(name, aligner=self.vlm.fingerprint)
        self.chat.add(concept)
        say(f"{label(concept.name, concept.display)} joins.")

    def look_at(self, rest: str) -> None:
        """`/image FILE`: talk about another picture."""
        from plvm.images import open_image

        words = _words(rest)
        if not words:
            raise RequestError("Which picture?", "Say /image FILE.")
        file = words[0] if len(words) == 1 else rest  # a path with blanks needs no quotation marks
        picture = open_image(file)
        self.chat.look_at(picture)
        self.picture = picture
        say("Looking at it; everyone stays in the dialogue.")
        self.warn({file: self.chat.unlike})

    def who(self, _: str) -> None:
        """`/who`: those who are enrolled and in the picture, with places."""
        if self.picture is None:
            raise RequestError("There is no picture.", "Show one with /image FILE.")
        people = self.store.list(aligner=self.vlm.fingerprint)
        if not people:
            raise RequestError("Nobody is enrolled yet.", "Say /add NAME FILE.")
        if self.vlm.calibration.note:
            say(self.vlm.calibration.note)
        out(told(self.vlm.who(self.picture, people, namespace=self.store.namespace), people))

    def list(self, _: str) -> None:
        """`/list`: who is in the store."""
        here = [concept.name for concept in self.chat.concepts]
        rows = [
            (label(name, display), "in the dialogue" if name in here else "enrolled")
            for name, display in self.store.people().items()
        ]
        out(table(rows) if rows else "Nobody is enrolled yet.")


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


def _words(rest: str) -> list[str]:
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
