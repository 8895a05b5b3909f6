"""`plvm chat`: a dialogue about pictures, with people joining whenever they are named or added."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Typer

from plvm.cli import options as o
from plvm.cli.add import tell_same
from plvm.cli.ask import tell
from plvm.cli.console import count, out, say, table
from plvm.cli.dialogue import Loop, words_in
from plvm.cli.remote import ServerOptions, fields_of
from plvm.cli.unlike import warn
from plvm.cli.verbs import add_verb
from plvm.cli.who import told
from plvm.errors import DuplicateConceptError, RequestError
from plvm.naming.display import bare, label, resolve, typed, unused
from plvm.types import SamplingParams

if TYPE_CHECKING:
    from PIL import Image

    from plvm.chat import Chat
    from plvm.personal import Personal
    from plvm.store import ConceptStore
    from plvm.types import Concept

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
    server: ServerOptions,
) -> None:
    """Talk about a picture; people may join at any turn.

    Everyone named with --with is in from the start; without it all who are enrolled (of more than four, the likeliest
    in the picture). Whoever a question names joins: <billie> or Billie. /help lists the commands: /add, /image, /who,
    /list, /quit.
    """
    from plvm.images import open_image

    params = sampling.params()
    if (client := server.client(store, model)) is not None:
        from plvm.cli.remote_chat import RemoteDialogue

        with client:
            RemoteDialogue(client, fields_of(sampling, naming), image, with_ or []).run()
        return
    picture = None if image is None else open_image(image)
    with store.open() as opened:
        opened.check_known(*(with_ or ()))
        dialogue = Dialogue(model.load(), opened, params, picture, naming)
        dialogue.begin(with_ or [])
        if image is not None:
            dialogue.warn({image: dialogue.chat.unlike})
        dialogue.run()


@dataclass
class Dialogue(Loop):
    """A dialogue with a model of this process."""

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

    def answer(self, question: str) -> None:
        """Stream the answer; whoever the question names joins first."""
        here = {concept.name for concept in self.chat.concepts}
        for name in self.naming.names_in(question, self.store):
            if name not in here:
                self.join(name)
        for chunk in self.chat.stream(question, self.params):
            out(self.naming.shown(chunk, self.chat.concepts), end="")
        out()

    def add(self, rest: str) -> None:
        """`/add NAME [FILE...]`: enrol somebody from pictures, or let somebody from the store join."""
        words = words_in(rest)
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

    def look_at(self, file: str) -> None:
        """`/image FILE`: talk about another picture."""
        from plvm.images import open_image

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
