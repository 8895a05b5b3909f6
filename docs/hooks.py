"""What the site does with the pages beyond mkdocs itself: links to result files, the changelog, and figures that
stay in one line.

Pages link to `../research/results/...json`, which is right for whoever reads them in the repository. The site has no such
folder: the files that are linked to are put into it, at `results/`, and the links are turned to them. A link to a file that is
not there stays as it is, so that the strict build fails.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = re.compile(r"\]\(\.\./research/results/([\w./-]+)\)")
AT_ROOT = re.compile(r"\]\(docs/([\w./#-]+)\)")  # in the changelog, which lies at the root

TOGETHER = re.compile(r"(?<=\d) (?=%)|(?<=[\d-]) (?=\[-?\d)|(?<=\d,) (?=-?[\d.]+\] \|)")  # a figure stays with its interval


def on_files(files: Files, config: Any) -> Files:
    """Put every result file that a page links to into the site."""
    named: set[str] = set()
    for page in files.documentation_pages():
        named |= set(OUTSIDE.findall(page.content_string))
    for name in sorted(named):
        place = ROOT / "research" / "results" / name
        if place.is_file():
            files.append(File.generated(config, f"results/{name}", abs_src_path=str(place)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn the links to result files, and put the changelog in."""
    if page.file.src_uri == "changelog.md":
        text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        return AT_ROOT.sub(r"](\1)", text)

    def turn(link: re.Match[str]) -> str:
        return f"](results/{link[1]})" if files.get_file_from_path(f"results/{link[1]}") else link[0]

    return TOGETHER.sub("\u00a0", OUTSIDE.sub(turn, markdown))
