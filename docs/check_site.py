"""Looks through the built site: nothing is fetched from elsewhere, and links that lead elsewhere are well-formed.

`python docs/check_site.py build/site`; links inside the site, with their anchors, are checked by the strict build itself.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

FETCHING = {("link", "href"), ("script", "src"), ("img", "src"), ("image", "href"), ("iframe", "src"), ("source", "src")}
HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
CSS_FETCH = re.compile(r"url\(\s*[\"']?(?:https?:)?//|@import\s+[\"']?https?:")


class Links(HTMLParser):
    """What a page fetches when it is opened, and where it leads."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.leading: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "link" and found.get("rel") in ("canonical", "next", "prev", "alternate"):
            return
        for name, value in found.items():
            if (tag, name) in FETCHING:
                self.fetched.append(value)
            elif (tag, name) == ("a", "href"):
                self.leading.append(value)


def elsewhere(address: str) -> bool:
    """Whether an address is on another machine."""
    return bool(urlsplit(address).netloc)


def well_formed(address: str) -> bool:
    """Whether a link to another machine can be followed: https, a host with a name, no blanks."""
    parts = urlsplit(address)
    return parts.scheme == "https" and HOST.fullmatch(parts.netloc) is not None and not re.search(r"\s", address)


def flaws(site: Path) -> list[str]:
    """Everything that is wrong with a built site."""
    found = []
    for page in sorted(site.rglob("*.html")):
        links = Links()
        links.feed(page.read_text(encoding="utf-8"))
        name = page.relative_to(site).as_posix()
        found += [f"{name} fetches {a}" for a in links.fetched if elsewhere(a)]
        found += [f"{name} leads to {a!r}" for a in links.leading if elsewhere(a) and not well_formed(a)]
    for sheet in sorted(site.rglob("*.css")):
        if CSS_FETCH.search(sheet.read_text(encoding="utf-8")):
            found.append(f"{sheet.relative_to(site).as_posix()} fetches something from elsewhere")
    return found


if __name__ == "__main__":
    wrong = flaws(Path(sys.argv[1]))
    sys.exit("\n".join(wrong) if wrong else 0)
