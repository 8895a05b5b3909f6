"""People who come with a request: enrolled once, found again by their pictures, kept in memory alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock

from PIL import Image

from plvm.engine.prefix import digest_of
from plvm.naming.display import word_and_display, words_for
from plvm.personal import Personal
from plvm.types import Concept


@dataclass(frozen=True, eq=False)
class Visitor:
    """Somebody's name and pictures."""

    name: str
    pictures: tuple[Image.Image, ...]


class Visitors:
    """The most recently seen visitors of all namespaces, at most `most`; each is found by its own namespace only."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._known: OrderedDict[tuple[str, str, tuple[str, ...]], Concept] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._known)

    def enrolled(self, vlm: Personal, namespace: str, visitors: Sequence[Visitor]) -> list[Concept]:
        """The visitors as concepts, with words that differ. Raises ConceptNameError."""
        called = [word_and_display(visitor.name) for visitor in visitors]
        keys = [(namespace, v.name, tuple(map(digest_of, v.pictures))) for v in visitors]
        concepts = []
        for key, visitor in zip(keys, visitors, strict=True):
            with self._lock:
                concept = self._known.get(key)
            if concept is None:
                concept = replace(vlm.enroll(visitor.name, *visitor.pictures), references=())
            with self._lock:
                self._known[key] = concept
                self._known.move_to_end(key)
                while len(self._known) > self.most:
                    self._known.popitem(last=False)
            concepts.append(concept)
        words = words_for(called, {})
        return [replace(concept, name=word) for concept, word in zip(concepts, words, strict=True)]

    def forget(self, namespace: str) -> None:
        """Forget the visitors of a namespace."""
        with self._lock:
            for key in [key for key in self._known if key[0] == namespace]:
                del self._known[key]
