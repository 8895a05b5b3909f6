"""The messages of a request -> the picture in question, what was said about it, the question, and the people who come along.

A message may introduce people: a picture and a sentence about it ("This is James, the father:" before it, or "This is James."
after it). Home Assistant's LLM Vision sends its memory so. The picture in question is the last one; whatever was said before it
was about other pictures and is not read again, as in `Chat.look_at`. A text that ends with a colon right before a picture is
that picture's label ("Image 1:").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from plvm.errors import ConceptNameError
from plvm.naming.display import word_and_display
from plvm.server.refusals import Refusal

_NAME = r"<[^<>\n]{1,60}>|\"[^\"\n]{1,60}\"|[^\W\d_a-z][\w'’-]*(?: [^\W\d_a-z][\w'’-]*){0,3}"
_KIN = r"(?:(?:my|our|the|a)\s+(?:[a-z]+[ -]){1,3})?"
_SUBJECT = r"(?:this|that|here|he|she|it|(?:his|her|its|the) name|(?:the|this|that) (?:[a-z]+ ){0,4}?[a-z]+)"
_INTRODUCTIONS = (
    re.compile(rf"(?i:{_SUBJECT})(?i:\s+is|['’]s|\s+shows)\s+(?i:called |named )?(?i:{_KIN})(?i:called |named )?({_NAME})"),
    re.compile(rf"(?i:\b(?:picture|photo|photograph|image|face|portrait) of)\s+(?i:{_KIN})({_NAME})"),
    re.compile(rf"^({_NAME})(?:\s+is\b|,|:|\s*\()"),
)
_ALONE = re.compile(rf"^({_NAME}|[\w'’-]{{2,40}})[:.]?$")
_NUMBERED = re.compile(r"(?i)^(?:image|picture|photo|frame|camera|snapshot)\b")


@dataclass(frozen=True, eq=False)
class Part:
    """A piece of a message: text, or where a picture is to be had (`picture`); `where` is its place in the request."""

    text: str = ""
    picture: str | None = None
    where: str = ""


@dataclass(frozen=True, eq=False)
class Message:
    """What one side said."""

    role: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Guest:
    """Somebody who comes with a request: a name, and where their pictures are to be had."""

    name: str
    pictures: tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Dialogue:
    """The `question` about `picture` (None: about no picture), what was `said` about it, (question, answer)s, and the `guests`
    whom the messages introduce."""

    question: str
    picture: Part | None = None
    said: tuple[tuple[str, str], ...] = ()
    guests: tuple[Guest, ...] = ()


@dataclass
class _Turn:
    texts: list[str] = field(default_factory=list)
    answer: str | None = None


def dialogue_of(messages: Sequence[Message]) -> Dialogue:
    """The dialogue in the messages of users and assistants, in order. Raises Refusal where there is no question, or more than
    one picture in question."""
    messages = [m for m in messages if m.role in ("user", "assistant")]
    if not messages or messages[-1].role != "user":
        raise Refusal(400, "invalid_request", "The last message is not the user's.", "End with a question.", param="messages")
    guests: dict[str, list[Part]] = {}
    picture: Part | None = None
    turns: list[_Turn] = [_Turn()]
    for number, message in enumerate(messages):
        last = number == len(messages) - 1
        text = "\n".join(part.text.strip() for part in message.parts if part.text.strip())
        if message.role == "assistant":
            if turns[-1].answer is not None or not turns[-1].texts:
                continue  # two answers to one question, or an answer to none: there is nothing it belongs to
            turns[-1].answer = text
            continue
        introduced, seen, rest = _read(message, last=last)
        for name, part in introduced:
            guests.setdefault(name, []).append(part)
        if len(seen) > 1:
            raise Refusal(
                400, "several_pictures", f"{len(seen)} pictures are in question at once; the model looks at one.",
                'Ask about one picture a time, or say who is on the others: "This is James." before each.', param=seen[1].where,
            )  # fmt: skip
        if turns[-1].answer is not None:
            turns.append(_Turn())
        if seen:
            picture, turns = seen[0], [_Turn()]
        if introduced and not seen and not last:
            continue  # what else it says is about the pictures that it introduces
        turns[-1].texts += rest
    question = "\n".join(turns[-1].texts) if turns[-1].answer is None else ""
    if not question.strip():
        raise Refusal(400, "no_question", "There is no question.", "Put a text part into the last message.", param="messages")
    said = tuple(("\n".join(t.texts), t.answer) for t in turns[:-1] if t.answer is not None)
    return Dialogue(question, picture, said, tuple(Guest(name, tuple(own)) for name, own in guests.items()))


def _read(message: Message, *, last: bool) -> tuple[list[tuple[str, Part]], list[Part], list[str]]:
    """Of a user's message: those whom it introduces, each with a picture; the pictures in question; and its other texts. The last
    picture of the last message is always in question."""
    parts = list(message.parts)
    pictures = [i for i, part in enumerate(parts) if part.picture is not None]
    used: set[int] = set()
    introduced: list[tuple[str, Part]] = []
    seen: list[Part] = []
    for i in pictures:
        asked = last and i == pictures[-1]
        found = None
        for near in (i - 1, i + 1):
            if found is None and 0 <= near < len(parts) and parts[near].picture is None and near not in used:
                found = _introduced(parts[near].text, alone=not asked and not last)
                if found is not None and not (asked and not _is_only_that(parts[near].text)):
                    used.add(near)
        label = i > 0 and parts[i - 1].picture is None and parts[i - 1].text.strip().endswith(":")
        if label:
            used.add(i - 1)
        if found is not None:
            introduced.append((found, parts[i]))
        if asked or found is None:
            seen.append(parts[i])
    rest = [part.text.strip() for i, part in enumerate(parts) if part.text.strip() and i not in used]
    return introduced, seen, rest


def _introduced(text: str, *, alone: bool) -> str | None:
    """Whom a sentence beside a picture introduces; with `alone`, a name and nothing else does, too."""
    text = " ".join(text.split())
    if not text or text.endswith("?") or _NUMBERED.match(text) and not re.match(r"(?i)^\w+ of ", text):
        return None
    patterns = (*_INTRODUCTIONS, *((_ALONE,) if alone else ()))
    for match in (pattern.search(text) for pattern in patterns):
        if match is not None:
            name = match[1].strip("<>\"'’ ")
            name = re.sub(r"['’]s$", "", name)
            try:
                word_and_display(name)
            except ConceptNameError:
                continue
            return name
    return None


def _is_only_that(text: str) -> bool:
    """Whether a text is one sentence, so that nothing of it is a question."""
    return "?" not in text and len(re.findall(r"[.!:](?:\s|$)", text.strip())) <= 1


def merged(guests: Sequence[Guest], more: Sequence[Guest]) -> tuple[Guest, ...]:
    """Both, and who is in both with all their pictures."""
    found = {guest.name: guest for guest in guests}
    for guest in more:
        known = found.get(guest.name)
        found[guest.name] = guest if known is None else replace(known, pictures=(*known.pictures, *guest.pictures))
    return tuple(found.values())
