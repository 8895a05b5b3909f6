"""Token ids -> the text of an answer while it is being written.

What leaves is settled: never half a character (byte-level tokens), half a name, or the beginning of a string that might
turn out to be a stop string. A concept's id becomes `<name>`, with one blank before it unless the answer begins with
it.
"""

from __future__ import annotations

from collections.abc import Sequence

from plvm.prompt.image_first import Prompt

_HALF = "\ufffd"  # what a tokenizer writes for bytes that are not (yet) a character


class AnswerText:
    """The text of one answer. `push` ids one by one, then `close`; the chunks they return concatenate to `text`."""

    def __init__(self, prompt: Prompt, names: Sequence[str], base: int, stop: Sequence[str] = ()) -> None:
        self._behind = prompt.behind
        self._cue = prompt.control(prompt.template.assistant)
        self._anchor = self._cue  # what stands before the open ids: decoded first, a word may lose its blank
        self._open: tuple[int, ...] = ()  # ids that are not whole characters yet
        self._base = base
        self._names = [f"<{name}>" for name in names]
        self._stop = tuple(stop)
        self._written = ""  # all settled characters, leading blanks stripped
        self._spans: list[tuple[int, int]] = []  # where names stand in it
        self._ends: list[int] = []  # per id, where its characters end
        self._sent = 0
        self.stopped = False

    @property
    def text(self) -> str:
        """What has been sent so far."""
        return self._written[: self._sent]

    @property
    def kept(self) -> int:
        """How many of the pushed ids belong to the text that has been sent."""
        return sum(end <= self._sent for end in self._ends)

    def push(self, token: int) -> str:
        """Take the next id; returns the text that is settled by it, maybe none. After a stop string, `stopped` is
        set."""
        if token >= self._base:
            self._settle(self._open_text())
            self._put_name(self._names[token - self._base])
            self._settled()
        else:
            self._open += (token,)
            piece = self._open_text()
            if piece.endswith(_HALF):
                self._ends.append(-1)
                return ""
            self._settle(piece)
            self._settled()
        return self._send(self._safe())

    def close(self) -> str:
        """The answer has ended: the rest of its text."""
        if self.stopped:
            return ""
        self._settle(self._open_text())
        self._ends = [len(self._written) if e < 0 else e for e in self._ends]
        self._find_stop()
        return self._send(len(self._written))

    def _open_text(self) -> str:
        """The characters of the open ids."""
        return self._behind(self._anchor, self._open) if self._open else ""

    def _settle(self, piece: str) -> None:
        self._anchor = self._open if self._open else self._anchor
        self._open = ()
        self._written += piece if self._written else piece.lstrip()

    def _put_name(self, name: str) -> None:
        if self._written and not self._written[-1].isspace():
            self._written += " "
        self._spans.append((len(self._written), len(self._written) + len(name)))
        self._written += name
        self._anchor = self._cue

    def _settled(self) -> None:
        """One more id is settled, and with it those that waited for it."""
        if self._ends and self._ends[-1] < 0:
            self._ends = [len(self._written) if e < 0 else e for e in self._ends]
        self._ends.append(len(self._written))
        if self._stop:
            self._find_stop()

    def _find_stop(self) -> None:
        found = [at for at in (self._written.find(s, self._sent) for s in self._stop) if at >= 0]
        if found:
            self.stopped = True
            self._written = self._written[: self._before_name(min(found))]

    def _before_name(self, at: int) -> int:
        """`at`, or where the name begins that it would cut."""
        return next((start for start, end in self._spans if start < at < end), at)

    def _safe(self) -> int:
        """How many characters can be sent whatever comes next."""
        text = self._written
        if self.stopped:
            return len(text)
        safe = len(text)
        for whole in (*self._stop, *self._names):
            at = text.find(whole[0], max(0, len(text) + 1 - len(whole)))
            while at >= 0 and not whole.startswith(text[at:]):
                at = text.find(whole[0], at + 1)
            safe = safe if at < 0 else min(safe, at)
        return safe if safe == len(text) else max(self._sent, self._before_name(safe))

    def _send(self, upto: int) -> str:
        before, self._sent = self._sent, max(self._sent, upto)
        return self._written[before:upto]
