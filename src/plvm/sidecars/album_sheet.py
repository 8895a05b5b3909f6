"""A contact sheet: one HTML file with a thumbnail of every picture, its caption, and who was found where.

Nothing is fetched and no script runs: the thumbnails are inside, and whose pictures are shown is chosen by style rules alone.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path

from plvm.data.files import whole_file
from plvm.errors import PlvmError
from plvm.images import open_image
from plvm.sidecars.caption import Caption, Seen
from plvm.sidecars.json_sidecar import JsonSidecar
from plvm.sidecars.watch import Shot

SIDE, QUALITY = 320, 70  # of a thumbnail
_STYLE = """
:root { color-scheme: light dark; --back: #f6f6f4; --card: #fff; --ink: #1c1c1a; --quiet: #6a6a65 }
:root { --line: #ddddd8; --mark: #2f5d8a }
@media (prefers-color-scheme: dark) {
  :root { --back: #161615; --card: #232322; --ink: #ecece8; --quiet: #a3a39c; --line: #3a3a37; --mark: #8ab8e6 }
}
body { margin: 0; padding: 1rem; background: var(--back); color: var(--ink); font: 1rem/1.4 system-ui, sans-serif }
h1 { margin: 0; font-size: 1.3rem; overflow-wrap: anywhere }
header p { margin: .2rem 0 1rem; color: var(--quiet) }
input { position: absolute; opacity: 0 }
nav { display: flex; flex-wrap: wrap; gap: .4rem; margin-bottom: 1rem }
label { padding: .3rem .8rem; border: 1px solid var(--line); border-radius: 1rem; background: var(--card); cursor: pointer }
main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(16rem, 100%), 1fr)) }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: .6rem; overflow: hidden }
img { display: block; width: 100%; height: 14rem; object-fit: contain; background: var(--back) }
figcaption { padding: .7rem .8rem }
figcaption p { margin: 0 0 .4rem; overflow-wrap: anywhere }
ul { margin: 0 0 .4rem; padding: 0; list-style: none }
.unsure, small { color: var(--quiet) }
small { overflow-wrap: anywhere }
"""


def write_contact_sheet(file: Path, shots: Sequence[Shot], folder: Path, report: Callable[[int, int], object]) -> int:
    """Write the sheet of those of `shots`, pictures of `folder`, that have their JSON; returns how many those are. `report` hears
    of (pictures done, in all). Raises PlvmError where the file cannot be written."""
    told = [(shot.path, caption) for shot in shots if (caption := _caption(shot.path)) is not None]
    people = Counter(seen.name for _, caption in told for seen in caption.people)
    numbers = {name: f"p{i}" for i, (name, _) in enumerate(people.most_common())}
    with whole_file(file) as part, open(part, "w", encoding="utf-8", errors="replace") as page:
        page.writelines(_head(folder.resolve().name, len(told), people, numbers))
        for done, (picture, caption) in enumerate(told):
            page.write(_figure(picture, picture.relative_to(folder), caption, numbers))
            report(done + 1, len(told))
        page.write("</main>\n")
    return len(told)


def _caption(picture: Path) -> Caption | None:
    try:
        return JsonSidecar().caption(picture)
    except PlvmError:
        return None


def _head(title: str, pictures: int, people: Counter[str], numbers: dict[str, str]) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<title>{escape(title)}</title>\n<style>{_STYLE}'
    for number in ("all", *numbers.values()):
        chosen, label = f"#{number}:checked ~", f"nav label[for={number}]"
        yield f"{chosen} {label} {{ background: var(--mark); border-color: var(--mark); color: var(--back) }}\n"
        yield f"#{number}:focus-visible ~ {label} {{ outline: 2px solid var(--ink) }}\n"
        if number != "all":
            yield f"{chosen} main figure:not(.{number}) {{ display: none }}\n"
    yield f"</style>\n<header><h1>{escape(title)}</h1><p>{_count(pictures, 'picture', 'pictures')}, "
    yield f"{_count(len(people), 'person', 'people')} found.</p></header>\n"
    labels = {"all": f"All {pictures:,}"} | {numbers[name]: f"{name} {people[name]:,}" for name in numbers}
    for number in labels:
        yield f'<input type="radio" name="whose" id="{number}"{" checked" if number == "all" else ""}>'
    yield "\n<nav>"
    yield from (f'<label for="{number}">{escape(text)}</label>' for number, text in labels.items())
    yield "</nav>\n<main>\n"


def _figure(picture: Path, name: Path, caption: Caption, numbers: dict[str, str]) -> str:
    people = "".join(f"<li>{_told(seen)}</li>" for seen in caption.people)
    unsure = "".join(f'<li class="unsure">perhaps {_told(seen)}</li>' for seen in caption.unsure)
    classes = " ".join(dict.fromkeys(numbers[seen.name] for seen in caption.people))
    listed = f"<ul>{people}{unsure}</ul>" if people or unsure else ""
    return (
        f'<figure class="{classes}"><img alt="" src="{_thumbnail(picture)}"><figcaption><p>{escape(caption.text)}</p>{listed}'
        f"<small>{escape(str(name))}</small></figcaption></figure>\n"
    )


def _told(seen: Seen) -> str:
    return f"<b>{escape(seen.name)}</b>" + (f": {escape(seen.place)}" if seen.place else "")


def _thumbnail(picture: Path) -> str:
    """A data URI; an empty one where the picture cannot be read any more."""
    try:
        image = open_image(picture)
    except PlvmError:
        return "data:,"
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
