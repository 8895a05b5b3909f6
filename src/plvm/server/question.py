"""A question of the API on its way to the model: whom it is about, what was said before, and what is kept of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from plvm.choosing import CROWD
from plvm.engine.checks import checked_question
from plvm.engine.decoding import Completion
from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request
from plvm.engine.window import window_of
from plvm.naming.mentions import marked
from plvm.personal import Personal
from plvm.prompt.vocabulary import ids_of
from plvm.server.sessions import Key, Sessions, key_of
from plvm.server.visitors import Visitor, Visitors
from plvm.types import Answer, Concept, SamplingParams, with_display_names

Said = tuple[tuple[str, str], ...]


@dataclass(eq=False)
class Question:
    """`text` about `picture`, after what was `said` about it. `stored` are the concepts that may be in the prompt, `named` the
    words of those that must be. Where it names nobody, everybody is in it, of more than four the likeliest and whoever was named
    earlier. `visitors` come with the question.

    `look` and `prepare` run in the model thread; then `concepts` are those in the prompt."""

    namespace: str
    text: str
    picture: Image.Image | ImagePrefix | None
    params: SamplingParams
    said: Said = ()
    stored: Sequence[Concept] = ()
    named: Sequence[str] = ()
    visitors: Sequence[Visitor] = ()
    strict_names: bool = True
    words: bool = False
    concepts: tuple[Concept, ...] = ()
    key: Key | None = field(default=None, repr=False)
    forgotten: int = 0
    start: ImagePrefix | None = None

    @staticmethod
    def look(vlm: Personal, visitors: Visitors, questions: Sequence[Question]) -> None:
        """Look at the pictures of many questions, and enrol the visitors of all, side by side. Raises PlvmError where one of them
        cannot be: then every question does it by itself, and fails for itself."""
        visitors.meet(vlm, [visitor for question in questions for visitor in question.visitors])
        starts = vlm.engine.look([q.picture for q in questions], namespace=[q.namespace for q in questions])
        for question, start in zip(questions, starts, strict=True):
            question.start = start

    def prepare(self, vlm: Personal, visitors: Visitors, sessions: Sessions) -> Request:
        """The request that asks it. Raises RequestError, AlignerMismatchError, UnknownConceptError, ConceptNameError."""
        self.forgotten = sessions.forgotten(self.namespace)
        guests = visitors.enrolled(vlm, self.visitors)
        theirs = {guest.name for guest in guests}
        everybody = [*guests, *(c for c in self.stored if c.name not in theirs)]
        vlm.engine.check(everybody)
        start = self.start or vlm.engine.look([self.picture], namespace=self.namespace)[0]
        self.concepts = tuple(self._chosen(vlm, start, everybody))
        people = {c.name: c.display for c in self.concepts}
        text = checked_question(self.text, people, strict_names=self.strict_names)
        said = tuple((marked(question, people), marked(answer, people)) for question, answer in self.said)
        said = self._windowed(vlm, said)
        self.key = key_of(self.namespace, start.digest, self.concepts, said)
        known = sessions.get(self.key) if said else None
        if known is not None and self._fits(vlm, request := Request(known, text)):
            return request
        while said and not self._fits(vlm, Request(start, text, self.concepts, history=said)):
            said = said[1:]
        self.key = key_of(self.namespace, start.digest, self.concepts, said)
        return Request(start, text, self.concepts, history=said)

    def kept(self, vlm: Personal, request: Request, done: Completion, sessions: Sessions) -> None:
        """Keep the state after the answer, where it is the one that would be computed from what was said."""
        if self.key is None or done.answer.finish != "end" or not done.session.past:
            return
        people = {c.name: c.display for c in self.concepts}
        ids = ids_of(self.concepts, vlm.backbone.vocabulary_size)
        again = vlm.prompt.spoken(done.answer.text, list(people), ids)
        shown = marked(self.shown(done.answer.text), people)
        if tuple(again) == done.ids and shown == done.answer.text:
            namespace, digest, tokens, said = self.key
            after = (*said, (str(request.question), done.answer.text))
            sessions.put((namespace, digest, tokens, after), done.session, self.forgotten)

    def shown(self, text: str) -> str:
        """A piece of an answer as whoever asks reads it."""
        return text if self.words else with_display_names(text, self.concepts)

    def _chosen(self, vlm: Personal, start: ImagePrefix, everybody: Sequence[Concept]) -> Sequence[Concept]:
        """Those who are in the prompt: whoever is named, now or earlier; where nobody is now, the likeliest, too."""
        now, earlier = set(self.named) | _named(self.text, everybody), set[str]()
        for text in (text for turn in self.said for text in turn):
            earlier |= _named(text, everybody)
        if not now and len(everybody) <= CROWD:
            return everybody
        if not now and self.picture is not None:
            chances = vlm.recognize([start.settled], everybody, namespace=self.namespace)[0]
            best = sorted(range(len(everybody)), key=lambda i: -chances[i])[:CROWD]
            earlier |= {everybody[i].name for i in best}
        return [c for c in everybody if c.name in now | earlier]

    def _windowed(self, vlm: Personal, said: Said) -> Said:
        """The turns that are read: all, or where there are more than the template reads, as many as are left when it moves on by
        half, as in a `Chat`."""
        turns = vlm.prompt.template.turns
        if not turns or len(said) < turns:
            return said
        kept = turns // 2
        return said[len(said) - kept - (len(said) - turns) % max(1, turns - kept) :] if kept else ()

    def _fits(self, vlm: Personal, request: Request) -> bool:
        window = window_of(vlm.backbone, vlm.prompt, self.params.max_tokens)
        return window.holds(vlm.backbone, vlm.prompt, request)


def _named(text: str, everybody: Sequence[Concept]) -> set[str]:
    people = {c.name: c.display for c in everybody}
    text = marked(text, people)
    return {name for name in people if f"<{name}>" in text}


def first_words(vlm: Personal, question: Question, done: Completion, most: int) -> list[tuple[str, float]]:
    """The `most` likeliest first tokens of an answer with their log-probabilities, the one that was chosen before all others."""
    assert done.first is not None  # who asks for chances where there are none was refused
    chances = done.first.double().log_softmax(-1)
    base = vlm.backbone.vocabulary_size
    chosen = done.ids[0] if done.ids else vlm.prompt.end_id
    likeliest = chances.topk(min(most, len(chances))).indices.tolist()

    def spelled(token: int) -> str:
        if token >= base:
            return f"<{question.concepts[token - base].name}>" if token - base < len(question.concepts) else ""
        return vlm.prompt.tokenizer.decode([token])

    return [(spelled(t), max(float(chances[t]), -9999.0)) for t in (chosen, *likeliest)]


def usage_of(answer: Answer) -> tuple[int, int, int]:
    """(tokens of the prompt, of them those that were there already, tokens of the answer)."""
    return answer.prompt_tokens, answer.prompt_tokens - answer.computed_tokens, answer.new_tokens
