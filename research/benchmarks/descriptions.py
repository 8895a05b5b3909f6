"""How true mini's own descriptions are: what `llava-prompt` puts before a question, phrase by phrase.

    python research/benchmarks/descriptions.py                  # research/results/descriptions.json

The reference picture of each of the 34 test people is described by the frozen model itself, as the systems llava-prompt (cut to
16 tokens) and llava-prompt-long (64 tokens) do it. A phrase is true where the person was drawn with that trait; the control holds
the same phrases against the next person of the list.

Claim: llava-prompt is weak because mini describes weakly, not because words say too little: its phrases are true little more
often than half the time, while the truth cut to the same 16 tokens recognises people well (llava-prompt-true-16 of Table 1).
One core, half a minute.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plvm import personal
from plvm_lab.evaluate.metrics import accuracy
from plvm_lab.evaluate.portraits_benchmark import SMALL, Benchmark, portraits
from plvm_lab.evaluate.result_table import Table
from plvm_lab.portraits.person import PHRASES, Person
from plvm_lab.systems import build_system

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result

SYSTEMS = ("llava-prompt", "llava-prompt-long")
SLOT = {phrase: slot for slot, values in PHRASES.items() for phrase in values.values()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--seed", type=int, default=0, help="of the benchmark")
    parser.add_argument("--small", action="store_true", help="few people, to see that it runs")
    parser.add_argument("--out", type=Path, default=RESULTS / "descriptions.json")
    arguments = parser.parse_args()

    vlm = personal.load(arguments.model)
    bench = portraits("test", arguments.seed, SMALL if arguments.small else None)
    found = {}
    for name in SYSTEMS:
        texts = descriptions(build_system(name, vlm), bench, name)
        found[name] = judged(texts, bench)
        print(f"{name}: {found[name]['true']['value']:.3f} of {found[name]['true']['n']} phrases are true")
    figures = {"benchmark": bench.key, "n": found[SYSTEMS[0]]["true"]["n"], "described": found}
    write_result(arguments.out, arguments.seed, figures, shown(figures))


def descriptions(system: Any, bench: Benchmark, what: str) -> list[str]:
    """What a system says of every reference picture."""
    album, said = bench.album(), []
    for i, name in enumerate(bench.names):
        said.append(system.learn(name, album.reference(name)).description or "")
        progress(what, i + 1, len(bench.names))
    return said


def phrases_of(text: str) -> list[str]:
    """The phrases of a description: "a woman, red hair" has two."""
    return [phrase for phrase in text.rstrip(". ").split(", ") if phrase]


def is_true(phrase: str, person: Person) -> bool:
    """Whether a person was drawn with the trait that a phrase names; what names none is not true."""
    return phrase in SLOT and person.phrase(SLOT[phrase]) == phrase


def judged(texts: Sequence[str], bench: Benchmark) -> dict[str, Any]:
    """How many phrases are true, of whom they are meant and of the next person, and how many of each trait."""
    about = [i for i, text in enumerate(texts) for _ in phrases_of(text)]
    phrases = [phrase for text in texts for phrase in phrases_of(text)]
    names = [bench.names[i] for i in about]
    true = [is_true(phrase, bench.people[i]) for phrase, i in zip(phrases, about, strict=True)]
    others = [is_true(phrase, bench.people[(i + 1) % len(texts)]) for phrase, i in zip(phrases, about, strict=True)]
    traits: dict[str, list[bool]] = defaultdict(list)
    for phrase, right in zip(phrases, true, strict=True):
        traits[SLOT.get(phrase, "none")].append(right)
    return {
        "true": accuracy(true, names), "of_another": accuracy(others, names),
        "phrases_a_person": round(len(phrases) / len(texts), 2),
        "by_trait": {slot: {"true": sum(own), "said": len(own)} for slot, own in sorted(traits.items())},
        "said": dict(zip(bench.names, texts, strict=True)),
    }  # fmt: skip


def shown(figures: Mapping[str, Any]) -> Shown:
    """How true the descriptions are, and which traits they get right."""
    found = figures["described"]
    rows = tuple((name, f"{own['phrases_a_person']:g}", own["true"], own["of_another"]) for name, own in found.items())
    whole = Table(
        "How true mini's own descriptions are", ("system", "phrases a person", "true", "true of another person"), rows,
        "Percent of the phrases in its descriptions of the reference pictures. Of another person: the same phrases held against "
        "the next person of the list.",
    )  # fmt: skip
    traits = sorted({slot for own in found.values() for slot in own["by_trait"]})
    each = tuple((slot.replace("_", " "), *(_count(own["by_trait"].get(slot)) for own in found.values())) for slot in traits)
    return Shown((whole, Table("True phrases by trait", ("trait", *found), each, "True phrases of those that were said.")))


def _count(of: Mapping[str, int] | None) -> str:
    return "-" if of is None else f"{of['true']} of {of['said']}"


if __name__ == "__main__":
    main()
