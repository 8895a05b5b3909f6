"""People who come with a request: enrolled once, found again by their pictures, kept in memory alone."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock

from PIL import Image

from plvm.naming.display import word_and_display, words_for
from plvm.personal import Personal
from plvm.server.pictures import opened
from plvm.types import Concept

Key = tuple[str, str, tuple[str, ...]]  # namespace, name, digests of the files


@dataclass(frozen=True, eq=False)
class Visitor:
    """Somebody's namespace, name and pictures' files, and the fields of the request that they came in."""

    namespace: str
    name: str
    files: tuple[bytes, ...]
    fields: tuple[str, ...]

    @cached_property
    def key(self) -> Key:
        """What they are found by."""
        return self.namespace, self.name, tuple(hashlib.sha256(file).hexdigest() for file in self.files)

    @cached_property
    def pictures(self) -> tuple[Image.Image, ...]:
        """The pictures, decoded. Raises Refusal for what is none."""
        return tuple(map(opened, self.files, self.fields))


class Visitors:
    """The most recently seen visitors of all namespaces, at most `most`; each is found by its own namespace only."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._known: OrderedDict[Key, Concept] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._known)

    def check(self, visitor: Visitor) -> None:
        """Raise Refusal where somebody's pictures are none; those who are known are not looked at again."""
        if visitor.key not in self._known:
            _ = visitor.pictures

    def enrolled(self, vlm: Personal, visitors: Sequence[Visitor]) -> list[Concept]:
        """The visitors of one request as concepts, with words that differ. Raises ConceptNameError, Refusal."""
        words = words_for([word_and_display(visitor.name) for visitor in visitors], {})
        return [replace(concept, name=word) for concept, word in zip(self.meet(vlm, visitors), words, strict=True)]

    def meet(self, vlm: Personal, visitors: Sequence[Visitor]) -> list[Concept]:
        """The visitors of any requests, enrolled side by side where they are not known yet. Raises ConceptNameError, Refusal."""
        with self._lock:
            known = {v.key: self._known[v.key] for v in visitors if v.key in self._known}
        new = list({v.key: v for v in visitors if v.key not in known}.values())
        called = [word_and_display(v.name) for v in new]
        made = vlm.enroll_many({f"v{i}": v.pictures for i, v in enumerate(new)})
        for v, concept, (word, display) in zip(new, made, called, strict=True):
            known[v.key] = replace(concept, name=word, display=display, references=())
        with self._lock:
            for visitor in visitors:
                self._known[visitor.key] = known[visitor.key]
                self._known.move_to_end(visitor.key)
            while len(self._known) > self.most:
                self._known.popitem(last=False)
        return [known[visitor.key] for visitor in visitors]

    def forget(self, namespace: str) -> None:
        """Forget the visitors of a namespace."""
        with self._lock:
            for key in [key for key in self._known if key[0] == namespace]:
                del self._known[key]
