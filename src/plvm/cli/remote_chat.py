"""`plvm chat` through a running server: every question goes there with all that was said before."""

from __future__ import annotations

from typing import Any

from plvm.cli.console import count, out, say, table
from plvm.cli.dialogue import Loop, words_in
from plvm.cli.remote import enrol, places, stream_out, told_places
from plvm.client import Client, picture_part
from plvm.errors import RequestError
from plvm.naming.display import label


class RemoteDialogue(Loop):
    """A dialogue with a server's model. `fields` say how to answer, `image` is the file of a picture, and `names` are in the
    dialogue from the start. Raises ImageError, UnknownConceptError."""

    def __init__(self, client: Client, fields: dict[str, Any], image: str | None, names: list[str]) -> None:
        self.client, self.fields, self.image = client, fields, image
        self.picture: list[Any] = [] if image is None else [picture_part(image)]
        self.said: list[Any] = []
        self.here = [client.person(name)["name"] for name in names]
        who = ", ".join(f"<{name}>" for name in self.here) or "whoever the server chooses"
        say(f"In the dialogue: {who}. /help lists the commands, /quit ends it.")

    def answer(self, question: str) -> None:
        """Stream the answer; whoever the question names joins."""
        content = [*([] if self.said else self.picture), {"type": "text", "text": question}]
        messages = [*self.said, {"role": "user", "content": content}]
        text, self.here = stream_out(self.client, messages, self.fields | {"concepts": self.here})
        self.said = [*messages, {"role": "assistant", "content": text}]

    def add(self, rest: str) -> None:
        """`/add NAME [FILE...]`: enrol somebody from pictures, or let somebody from the store join."""
        words = words_in(rest)
        if not words:
            raise RequestError("Whom?", "Say /add NAME FILE.")
        name, files = words[0], words[1:]
        person = enrol(self.client, name, files) if files else self.client.person(name)
        self.here = list(dict.fromkeys([*self.here, person["name"]]))
        called = label(person["name"], person["shown"] if person["shown"] != person["name"] else "")
        if files:
            say(f"Enrolled {called} from {count(len(files), 'picture')}; <{person['name']}> joins.")
        else:
            say(f"{called} joins.")

    def look_at(self, file: str) -> None:
        """`/image FILE`: talk about another picture."""
        self.picture, self.image, self.said = [picture_part(file)], file, []
        say("Looking at it; everyone stays in the dialogue.")

    def who(self, _: str) -> None:
        """`/who`: those who are enrolled and in the picture, with places."""
        if self.image is None:
            raise RequestError("There is no picture.", "Show one with /image FILE.")
        people = places(self.client, self.image)
        out(told_places({verdict: [p for p in people if p["verdict"] == verdict] for verdict in ("yes", "unsure")}))

    def list(self, _: str) -> None:
        """`/list`: who is in the dialogue, and who is enrolled."""
        rows = [(p["shown"], "in the dialogue" if p["name"] in self.here else "enrolled") for p in self.client.people()]
        out(table(rows) if rows else "Nobody is enrolled yet.")
