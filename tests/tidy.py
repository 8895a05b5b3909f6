"""Text files end with exactly one line end, and no line of them ends in blanks: `python tests/tidy.py FILE...` mends them."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def tidy(data: bytes) -> bytes:
    """The text of a file as it should be. Only "\\n" ends a line here; two blanks at a line's end break it in Markdown, but
    nothing in this repository does it that way."""
    text = re.sub(rb"[ \t]+(?=\n|\Z)", b"", data.replace(b"\r\n", b"\n"))
    return text.rstrip(b"\n") + b"\n" if text.strip() else b""


def main(names: list[str]) -> int:
    """Mend the files; 1 where any was changed, so that a commit can be looked at again."""
    changed = []
    for name in names:
        path = Path(name)
        before = path.read_bytes()
        if (after := tidy(before)) != before:
            path.write_bytes(after)
            changed.append(name)
    for name in changed:
        print(f"mended {name}")
    return bool(changed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
