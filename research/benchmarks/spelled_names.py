"""What it costs to spell names instead of saying them with head rows, as a model behind vLLM has to. Run by hand.

    python research/benchmarks/spelled_names.py                    # research/results/spelled_names.json

The same weights and questions about validation people that no benchmark has, asked in several ways:

    head rows    a name is one word of the model, with a head row of its own
    introduced   no head rows; everyone is introduced in these words (`Template.introduce`); spelled names are read as names
    not told     no head rows, and nobody says how anyone is called
    in place     no word rows either: the name is spelled wherever it stands

What is measured are questions in a chat. The server's verdicts need no names to be said: `recognize` asks without an introduction,
so its P(Yes) is the same with vLLM and without.

Claim: mini, whose language was never taught to spell, says no name that it has no head row for; what it says of those it knows
by their rows stays.
One core, 2 minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from plvm import personal
from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request, Session
from plvm.personal import Personal
from plvm.prompt.template import Template
from plvm.vllm.spelled import SpelledText, spelled
from plvm_lab.evaluate.harness import Harness
from plvm_lab.evaluate.metrics import accuracy
from plvm_lab.evaluate.parsing import NOBODY
from plvm_lab.evaluate.portraits_benchmark import SMALL, Benchmark, Size, portraits
from plvm_lab.evaluate.protocols import ask_captions, ask_triples, ask_visual_qa, ask_who
from plvm_lab.evaluate.result_table import Table
from plvm_lab.evaluate.system import Ask
from plvm_lab.systems.plain_names import PlainNames, unmarked, with_prompt
from plvm_lab.systems.plvm import Learned, Plvm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result

SEED = 502  # of people and pictures
SIZE = Size(identities=10, pictures=50, text=1, visual=60, triples=90, who=(22, 4, 8), dialogues=1)
WORDINGS = (Template().introduce, "{called} is {name}.")
QUESTIONS = {"recognition": ask_triples, "visual_qa": ask_visual_qa, "who": ask_who, "captions": ask_captions}


class Spelled(Plvm):
    """PLVM without head rows, everyone introduced with the words `introduce`."""

    def __init__(self, vlm: Personal, introduce: str) -> None:
        super().__init__(vlm)
        self.introduce = introduce

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        return [read(said, ask) for ask, said in zip(asks, super().answer(asks), strict=True)]

    def choose(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        spelt = [tuple(unmarked(o, [k.concept.name for k in ask.concepts]) for o in ask.options) for ask in asks]
        return super().choose([replace(ask, options=options) for ask, options in zip(asks, spelt, strict=True)])

    def _request(self, state: ImagePrefix | Session, question: str, known: Sequence[Learned]) -> Request:
        return spelled(super()._request(state, question, known), self.introduce)


def read(said: str, ask: Ask) -> str:
    """An answer in which spelled names are names again."""
    text = SpelledText([known.concept for known in ask.concepts])
    text.push(said)
    text.close()
    return text.text


def systems(vlm: Personal) -> dict[str, Plvm]:
    """The ways of asking, by what the table calls them."""
    introduced = {f'introduced: "{words}"': Spelled(vlm, words) for words in WORDINGS}
    in_place = Spelled(with_prompt(vlm, PlainNames), "")
    return {"head rows": Plvm(vlm), **introduced, "not told": Spelled(vlm, ""), "in place": in_place}


def measured(system: Plvm, bench: Benchmark) -> dict[str, Any]:
    """The share right of each kind of question, and of the WHO questions about somebody who is known, how many say a name."""
    harness, found = Harness(system, bench, bench.album()), {}
    for kind, ask in QUESTIONS.items():
        records = list(ask(harness))
        found[kind] = accuracy([r["right"] for r in records], [r["about"] for r in records])
        if kind == "who":
            known = [r for r in records if r["truth"] != NOBODY]
            found["named"] = accuracy([r["answer"] in r["names"] for r in known], [r["about"] for r in known])
    return found


def shown(figures: Mapping[str, Any]) -> Shown:
    """A row for each way of asking."""
    columns = {"recognition": "recognition", "visual_qa": "visual QA", "who": "WHO", "named": "says a name", "captions": "captions"}
    rows = tuple((way, *(own[key] for key in columns)) for way, own in figures["ways"].items())
    note = (
        "Percent right in a chat, validation people; three concepts in the prompt for recognition. Says a name: of the WHO "
        "questions about somebody who is known, how many answers name anybody."
    )
    return Shown((Table("Names spelled, instead of head rows", ("", *columns.values()), rows, note),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--small", action="store_true", help="a small benchmark, to see that it runs")
    parser.add_argument("--out", type=Path, default=RESULTS / "spelled_names.json")
    arguments = parser.parse_args()

    bench = portraits("val", SEED, SMALL if arguments.small else SIZE)
    ways: dict[str, Any] = {}
    asked = systems(personal.load(arguments.model))
    for way, system in asked.items():
        ways[way] = measured(system, bench)
        progress("ways of asking", len(ways), len(asked))
    figures = {"benchmark": bench.key, "n": ways["head rows"]["who"]["n"], "ways": ways}
    write_result(arguments.out, SEED, figures, shown(figures))


if __name__ == "__main__":
    main()
