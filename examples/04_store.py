"""People who stay: kept in a file, called something else, handed on, forgotten.

    python examples/04_store.py
    python examples/04_store.py --store friends.db anna.jpg ben.jpg        # a file's name is the person's name
"""

from __future__ import annotations

import argparse
from pathlib import Path

import drawn

import plvm

parser = argparse.ArgumentParser(description="People who stay: keep, rename, export, import, forget.")
parser.add_argument("references", nargs="*", type=Path, help="a picture of each person, called NAME.jpg")
parser.add_argument("--store", type=Path, default=Path("out/people.db"), help="where they are kept")
options = parser.parse_args()
references = options.references or [drawn.portrait(name) for name in ("billie", "avril")]
options.store.parent.mkdir(parents=True, exist_ok=True)

vlm = plvm.load("mini")
with plvm.ConceptStore.open(options.store) as store:  # made if it is not there, for your eyes only
    for picture in references:
        store.add(vlm.enroll(picture.stem, picture, notes="from the examples"), replace=True)
    print("kept:", ", ".join(store.names()))

    first = references[0].stem
    store.rename(first, f"{first}-b")
    print("renamed:", ", ".join(store.names()))

    # One file to hand on, with the reference pictures in it. Only those named go into it.
    archive = options.store.with_suffix(".plvm")
    store.export(archive, [f"{first}-b"], replace=True)
    store.forget(f"{first}-b")  # tokens and pictures, also in the gaps of the file
    print("forgotten:", ", ".join(store.names()) or "nobody is left")

    store.import_(archive)
    print("imported:", ", ".join(store.names()))

    # Whoever comes out of a store is asked about like whoever was just enrolled. `aligner` refuses concepts that another
    # model made, before they are used.
    known = store.get(f"{first}-b", aligner=vlm.fingerprint)
    question = f"What is the hair color of <{known.name}>?"
    print(question, vlm.ask(None, question, [known]).text)

    for name in store.names():
        if name in {f"{first}-b", *(p.stem for p in references)}:
            store.forget(name)
archive.unlink()
