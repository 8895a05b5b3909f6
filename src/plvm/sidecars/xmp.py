"""Captions as XMP: `party.jpg.xmp` beside `party.jpg`, or `party.xmp` where that is there already.

The caption is dc:description, names are added to dc:subject and to Iptc4xmpExt:PersonInImage (IPTC's "person shown in the image",
which photo apps read). Fields of our own, in the namespace `plvm`, remember what we wrote. Everything else stays as it was: a
description of somebody else's is kept, keywords are only added to, and only what we added is ever taken back.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from plvm.data.files import whole_file
from plvm.sidecars.caption import Caption
from plvm.sidecars.sidecar import foreign, read

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = "http://purl.org/dc/elements/1.1/"
PERSONS = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
OWN = "urn:plvm:sidecar/"
XML = "http://www.w3.org/XML/1998/namespace"
PREFIXES = {RDF: "rdf", DC: "dc", PERSONS: "Iptc4xmpExt", OWN: "plvm"}
EMPTY = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta>'
)
# minidom writes these as they are, and whoever reads them next sees other ones: they pass through in disguise
DISGUISES = {"\t": "\ue009", "\n": "\ue00a", "\r": "\ue00d"}


class XmpSidecar:
    """One XMP document a picture."""

    def mark(self, picture: Path) -> str | None:
        """The mark of the picture that was written about; None where nothing was. Raises RequestError for what is no XMP."""
        path = _place(picture)
        data = read(path)
        return None if data is None else _Document(path, data).text(OWN, "Picture")

    def write(self, picture: Path, mark: str, caption: Caption) -> Path:
        """Add the caption, and return the file's path. Raises PlvmError."""
        path = _place(picture)
        data = read(path)
        document = _Document(path, EMPTY.encode() if data is None else data)
        names = list(dict.fromkeys(seen.name for seen in caption.people))
        document.describe(caption.sentence)
        document.list_(DC, "subject", names, "Keywords")
        document.list_(PERSONS, "PersonInImage", names, "Persons")
        document.put(OWN, "Picture", mark)
        with whole_file(path) as part:
            part.write_bytes(document.bytes())
            if data is not None:
                shutil.copymode(path, part)
        return path


class _Document:
    """An XMP document, changed in place."""

    def __init__(self, path: Path, data: bytes) -> None:
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:  # entities could make a small file enormous
            raise foreign(path, "defines entities")
        try:
            self._dom: Any = minidom.parseString(data)
        except (ExpatError, ValueError, LookupError, RecursionError):
            raise foreign(path, "is not well-formed XML") from None
        found = self._dom.getElementsByTagNameNS(RDF, "RDF")
        if len(found) != 1 or any(c in data.decode("utf-8", "replace") for c in DISGUISES.values()):
            raise foreign(path, "is no XMP that can be added to")
        self._rdf = found[0]
        if not self._descriptions():
            description = self._rdf.appendChild(self._element(RDF, "Description"))
            description.setAttributeNS(RDF, f"{description.prefix}:about", "")

    def text(self, namespace: str, name: str) -> str | None:
        """A property's text, whether an attribute or an element has it; None where there is none."""
        for description in self._descriptions():
            if description.hasAttributeNS(namespace, name):
                return str(description.getAttributeNS(namespace, name))
        element = self._property(namespace, name)
        return None if element is None else _text(element)

    def put(self, namespace: str, name: str, value: str) -> None:
        """A property of ours with a text."""
        for description in self._descriptions():
            if description.hasAttributeNS(namespace, name):
                description.removeAttributeNS(namespace, name)
        element = self._property(namespace, name)
        if element is None:
            element = self._add(namespace, name)
        _empty(element)
        element.appendChild(self._dom.createTextNode(value))

    def describe(self, sentence: str) -> None:
        """Make `sentence` the description, unless somebody else wrote one."""
        own = self.text(OWN, "Caption")
        if any(d.hasAttributeNS(DC, "description") for d in self._descriptions()):
            return
        element = self._property(DC, "description")
        if element is not None and _text(element) not in ("", own):
            return
        if element is None:
            element = self._add(DC, "description")
        _empty(element)
        choices = self._element(RDF, "Alt")
        item = self._element(RDF, "li", sentence)
        item.setAttributeNS(XML, "xml:lang", "x-default")
        choices.appendChild(item)
        element.appendChild(choices)
        self.put(OWN, "Caption", sentence)

    def list_(self, namespace: str, name: str, values: Collection[str], own: str) -> None:
        """Have `values` in a list, beside what others put there; ours of the last time go. `own` remembers which are ours."""
        before = [_text(item) for item in _items(self._property(OWN, own))]
        element = self._property(namespace, name)
        if element is None and any(d.hasAttributeNS(namespace, name) for d in self._descriptions()):
            return
        for item in list(_items(element)):
            if _text(item) in before:
                item.parentNode.removeChild(item)
        there = {_text(item) for item in _items(element)}
        added = [value for value in values if value not in there]
        self._append(namespace, name, added)
        mine = self._property(OWN, own)
        if mine is not None:
            mine.parentNode.removeChild(mine)
        self._append(OWN, own, added)
        if element is not None and not list(_items(element)):
            element.parentNode.removeChild(element)

    def bytes(self) -> bytes:
        """The document, UTF-8."""
        self._disguise(self._dom)
        text = self._dom.toxml(encoding="utf-8").decode("utf-8")
        for c, other in DISGUISES.items():
            text = text.replace(other, f"&#{ord(c)};")
        return text.encode("utf-8")

    def _append(self, namespace: str, name: str, values: Collection[str]) -> None:
        if not values:
            return
        element = self._property(namespace, name)
        if element is None:
            element = self._add(namespace, name)
        bags = [child for child in element.childNodes if child.nodeType == child.ELEMENT_NODE]
        bag = bags[0] if bags else element.appendChild(self._element(RDF, "Bag"))
        for value in values:
            bag.appendChild(self._element(RDF, "li", value))

    def _descriptions(self) -> list[Any]:
        return [child for child in self._rdf.childNodes if _is(child, RDF, "Description")]

    def _property(self, namespace: str, name: str) -> Any:
        for description in self._descriptions():
            for child in description.childNodes:
                if _is(child, namespace, name):
                    return child
        return None

    def _add(self, namespace: str, name: str) -> Any:
        return self._descriptions()[0].appendChild(self._element(namespace, name))

    def _element(self, namespace: str, name: str, text: str = "") -> Any:
        own = namespace == RDF and bool(self._rdf.prefix)  # the document's own prefix is declared above
        prefix = str(self._rdf.prefix) if own else PREFIXES[namespace]
        element = self._dom.createElementNS(namespace, f"{prefix}:{name}")
        if not own:  # perhaps once more than needed: harmless, and right wherever another tool moves it
            element.setAttribute(f"xmlns:{prefix}", namespace)
        if text:
            element.appendChild(self._dom.createTextNode(text))
        return element

    def _disguise(self, node: Any) -> None:
        if node.nodeType == node.ELEMENT_NODE:
            for attribute in list((node.attributes or {}).values()):
                for c, other in DISGUISES.items():
                    attribute.value = attribute.value.replace(c, other)
        elif node.nodeType == node.TEXT_NODE:
            node.data = node.data.replace("\r", DISGUISES["\r"])
        for child in node.childNodes:
            self._disguise(child)


def _place(picture: Path) -> Path:
    """Where the sidecar is or shall be: the name that darktable, digiKam and Immich give it, or Adobe's where that is there."""
    full, short = picture.with_name(picture.name + ".xmp"), picture.with_suffix(".xmp")
    return short if short.exists() and not full.exists() else full


def _is(node: Any, namespace: str, name: str) -> bool:
    return node.nodeType == node.ELEMENT_NODE and (node.namespaceURI, node.localName) == (namespace, name)


def _items(element: Any) -> Iterator[Any]:
    """The entries of a list property."""
    if element is not None:
        yield from element.getElementsByTagNameNS(RDF, "li")


def _text(element: Any) -> str:
    """All text in an element, without the blanks of its layout."""
    if element.nodeType in (element.TEXT_NODE, element.CDATA_SECTION_NODE):
        return str(element.data)
    return "".join(_text(child) for child in element.childNodes if child.nodeType != child.COMMENT_NODE).strip()


def _empty(element: Any) -> None:
    while element.firstChild is not None:
        element.removeChild(element.firstChild)
