"""A household that a home assistant remembers: four people who come with every question, and a stranger at the door.

    python research/benchmarks/household.py                                            # research/results/household.json
    python research/benchmarks/household.py --households 2 --out /tmp/household.json     # a short run

Memory is sent as Home Assistant's LLM Vision sends it: one message with a picture of everybody behind a sentence that says who it
is, then the question with the picture it is about. It goes through the API, in this process. People are identities of "val" that
nothing else draws; every household is asked about seven pictures: of one to four of its people, and of one to three with a
stranger. About each, who is in it, and for a description. Nothing of it may be stored: that is checked at the end.

Found: of those who are there, the share that is named. Wrong: pictures whose answer names somebody of the household who is not
there; beside a stranger that is the stranger taken for one of them. Exact: pictures whose answer names those who are there and
nobody else.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image

from plvm import personal
from plvm.personal import Personal
from plvm.server.api import build_api
from plvm.server.service import Service
from plvm.store.database import Database
from plvm_lab.evaluate.metrics import accuracy
from plvm_lab.evaluate.result_table import Table
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.render import draw
from plvm_lab.portraits.scene import draw_portrait, draw_scene

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result

MEMBERS = {"James": "the husband and father", "Mary": "the mother", "Leo": "our son", "Nina": "the neighbour who has a key"}
PICTURES = ((1, False), (2, False), (3, False), (4, False), (1, True), (2, True), (3, True))  # of the household, with a stranger
QUESTIONS = ("Who is in the picture?", "Describe the picture.")
SEED, SIZE = 907, 480
BEFORE = "These pictures are for reference only. The question is about the pictures that follow."


@dataclass(frozen=True)
class Visit:
    """A picture in question, who of the household is in it, whether a stranger is, and the messages that ask `question`."""

    household: str
    question: str
    there: frozenset[str]
    stranger: bool
    messages: list[Any]


def visits(households: int, seed: int) -> Iterator[Visit]:
    """The pictures of all households."""
    for number in range(households):
        rng = random.Random(f"plvm-household/{seed}/{number}")
        people = {name: person_of("val-household", 5 * number + i, seed) for i, name in enumerate(MEMBERS)}
        stranger = person_of("val-household", 5 * number + 4, seed)
        memory: list[Any] = [{"type": "text", "text": BEFORE}]
        for name, role in MEMBERS.items():
            memory += [{"type": "text", "text": f"This is {name}, {role}:"}, part(draw(draw_portrait(people[name], rng), SIZE))]
        for count, with_stranger in PICTURES:
            there = rng.sample(list(MEMBERS), count)
            shown = draw(draw_scene([*(people[n] for n in there), *([stranger] if with_stranger else [])], rng), SIZE)
            for question in QUESTIONS:
                last = [{"type": "text", "text": "Image 1:"}, part(shown), {"type": "text", "text": question}]
                messages = [{"role": "user", "content": memory}, {"role": "user", "content": last}]
                yield Visit(str(number), question, frozenset(there), with_stranger, messages)


def part(picture: Image.Image) -> dict[str, Any]:
    """A picture as a message has it."""
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"}}


async def answered(vlm: Personal, many: list[Visit], folder: Path) -> list[dict[str, Any]]:
    """What the API answers about every picture. Nothing may be stored in `folder` by it."""
    service = Service(vlm, Database.open(folder / "concepts.db"))
    api = build_api(service)
    transport = httpx2.ASGITransport(app=api)
    async with api.router.lifespan_context(api), httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        found = []
        for visit in many:
            answer = await http.post("/v1/chat/completions", json={"model": service.name, "messages": visit.messages})
            told = answer.raise_for_status().json()
            assert set(told["plvm"]["concepts"]) == set(MEMBERS), "everybody is known, and nobody else"
            found.append({
                "household": visit.household, "question": visit.question, "there": sorted(visit.there),
                "stranger": visit.stranger,
                "named": sorted(told["plvm"]["names"]), "answer": told["choices"][0]["message"]["content"],
            })  # fmt: skip
            progress("pictures", len(found), len(many))
        assert (await http.get("/v1/concepts")).json()["total"] == 0 and not (await http.get("/v1/files")).json()["data"]
    stored = b"".join(file.read_bytes() for file in folder.iterdir())
    assert stored and not any(name.encode() in stored for name in MEMBERS), "nothing of the household is stored"
    return found


def figures_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The shares of some pictures, with intervals over households."""
    groups = [r["household"] for r in rows]
    each = [(name in r["named"], r["household"]) for r in rows for name in r["there"]]
    return {
        "found": accuracy([right for right, _ in each], [group for _, group in each]),
        "wrong": accuracy([bool(set(r["named"]) - set(r["there"])) for r in rows], groups),
        "exact": accuracy([r["named"] == r["there"] for r in rows], groups),
        "n": len(rows),
    }


def by_kind(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all pictures, and of those with so many of the household, without and with a stranger."""
    kinds = {
        "all": rows,
        **{f"{n} of the household": [r for r in rows if len(r["there"]) == n and not r["stranger"]] for n in (1, 2, 3, 4)},
        **{f"{n} and a stranger": [r for r in rows if len(r["there"]) == n and r["stranger"]] for n in (1, 2, 3)},
    }
    return {kind: figures_of(own) for kind, own in kinds.items()}


def shown(content: Mapping[str, Any]) -> Shown:
    """A row for each question and kind of picture."""
    header = ("asked", "pictures", "n", "found", "wrong name", "exactly those who are there")
    rows = tuple(
        (question, kind, str(f["n"]), f["found"], f["wrong"], f["exact"])
        for question, kinds in content["figures"].items()
        for kind, f in kinds.items()
    )
    note = (
        f"Percent, {content['households']} households of four who come with the request; intervals over households. A wrong name "
        "beside a stranger is the stranger taken for somebody of the household."
    )
    return Shown((Table("A household and a stranger", header, rows, note),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--households", type=int, default=15)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=RESULTS / "household.json")
    chosen = parser.parse_args()
    vlm, many = personal.load(chosen.model), list(visits(chosen.households, chosen.seed))
    with tempfile.TemporaryDirectory(prefix="plvm-") as folder:
        rows = asyncio.run(answered(vlm, many, Path(folder)))
    figures = {question: by_kind([r for r in rows if r["question"] == question]) for question in QUESTIONS}
    content = {"figures": figures, "households": chosen.households, "answers": rows}
    write_result(chosen.out, chosen.seed, content, shown(content))
    for question, kinds in figures.items():
        for kind, own in kinds.items():
            print(question, kind, {key: round(f["value"], 3) if isinstance(f, dict) else f for key, f in own.items()})


if __name__ == "__main__":
    main()
