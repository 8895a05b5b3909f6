"""Table 9 of the paper on mini: what each context token says.

    python research/runs/table9.py                              # research/results/table9.json; `plvm report` shows its tables

Context tokens are asked about one at a time, without a picture, in three ways (all answers are greedy):

    published  "Describe <token_i> in detail.", the token in the question, nobody defined: the published words
    described  "<n0> is <token_i>." as the whole definition, then "Describe <n0> in detail."
    asked      the same definition, then the question about one trait that the model knows ("What is the nose of <n0>
               like?"): which trait a token is asked about is chosen on validation people, see below

No model of the mini family was trained on a token in a question or on these descriptions; definitions of one trait and
questions about traits it knows. An answer is readable where it names a trait of the drawn world, right where all that it
names are true of the person; the control counts the same answers as if they were about the next person of the list.
The trait of an anchored token is that of the word it points at for most of 12 validation people; a free token's is the one
whose answers about these people are right most above that control.

The anchored Aligner says besides, exactly, which word of the frozen vocabulary a token points at: `points_at` is how
often that word is true of the person. Free tokens point at none.

Claim: every anchored token says one trait, mostly truly; nothing is expected of the published wording, which a model of
this size has never seen. 34 test people, 16 tokens: 1,968 short answers, half a minute on one core.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from plvm import personal
from plvm.engine.generate import generate
from plvm.engine.request import Request
from plvm.model.forms.anchored import AnchoredAligner
from plvm.prompt.turns import ContextToken
from plvm.types import Concept, SamplingParams
from plvm_lab.evaluate.metrics import accuracy
from plvm_lab.evaluate.portraits_benchmark import SMALL, VALIDATION, Benchmark, portraits
from plvm_lab.evaluate.result_table import Table, percent
from plvm_lab.portraits.person import PHRASES, SLOTS, Person
from plvm_lab.portraits.sentences import TRAIN
from plvm_lab.report.published import TABLE_9

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result

ME = "n0"  # the name in every definition: one the model has met in training, but for its rows
DESCRIBE = "Describe <n0> in detail."
SHORT = SamplingParams(max_tokens=24)
WAYS = ("published", "described", "asked")
_SLOT = {phrase: slot for slot, values in PHRASES.items() for phrase in values.values()}
_PHRASE = re.compile(r"\b(" + "|".join(sorted(map(re.escape, _SLOT), key=len, reverse=True)) + r")\b")


@dataclass(frozen=True, eq=False)
class Known:
    """Somebody enrolled: who it is, the concept, and per anchored token the word it points at with its share."""

    name: str
    person: Person
    concept: Concept
    words: tuple[tuple[str, float], ...]


def enrol(vlm: personal.Personal, bench: Benchmark) -> list[Known]:
    """Everybody of a benchmark, under one name."""
    album = bench.album()
    pictures = [album.reference(name) for name in bench.names]
    tokens = vlm.tokens_of([[p] for p in pictures])
    words = [words_of(vlm, p) for p in pictures]
    concepts = [Concept(ME, t, vlm.fingerprint) for t in tokens]
    return [Known(*row) for row in zip(bench.names, bench.people, concepts, words, strict=True)]


def words_of(vlm: personal.Personal, picture: Any) -> tuple[tuple[str, float], ...]:
    """What the anchored tokens point at: the likeliest word of the frozen vocabulary and its share of the mixture."""
    if not isinstance(vlm.aligner, AnchoredAligner):
        return ()
    z_ref = vlm.encoder.features(vlm.encoder.pixels([picture]))
    with torch.inference_mode():
        logits, _ = vlm.aligner.word_logits(z_ref[:, 1:].to(next(vlm.aligner.parameters())))
    best = logits[0].softmax(-1).max(-1)
    said = [vlm.prompt.tokenizer.decode([i]).strip() for i in best.indices.tolist()]
    return tuple((word, round(float(share), 4)) for word, share in zip(said, best.values.tolist(), strict=True))


def ask(vlm: personal.Personal, requests: Sequence[tuple[Known, int, str]], what: str) -> list[str]:
    """Answers to (who, token, question); the question "published" is the published one, others follow a one-token definition."""
    nothing = vlm.look(None)
    found: list[str] = []
    for start in range(0, len(requests), 256):
        some = []
        for who, token, question in requests[start : start + 256]:
            if question == "published":
                words = ("Describe ", ContextToken(0, token), " in detail.")
                some.append(Request(nothing, words, (who.concept,), ((),)))
            else:
                some.append(Request(nothing, question, (who.concept,), ((token,),)))
        found += [a.text for a in generate(vlm.backbone, vlm.prompt, some, SHORT, batch=64)]
        progress(what, len(found), len(requests))
    return found


def trait_question(slot: str) -> str:
    """The first of the wordings in which a trait is asked about."""
    return TRAIN[slot][0].format(x=f"<{ME}>")


def named(text: str) -> set[str]:
    """Every trait phrase in a text."""
    return set(_PHRASE.findall(text))


def is_true(text: str, person: Person) -> bool:
    """Whether a text names traits, and none that the person has not."""
    said = named(text)
    return bool(said) and all(person.phrase(_SLOT[phrase]) == phrase for phrase in said)


def traits_of_tokens(vlm: personal.Personal, known: Sequence[Known], count: int) -> list[str]:
    """Per token the trait to ask about, found on these (validation) people: that of the word it points at most often;
    of a token that points at none, the one whose answers are right most above the control."""
    anchored = range(len(known[0].words))
    pointed = [Counter(_SLOT.get(who.words[token][0], SLOTS[0]) for who in known).most_common(1) for token in anchored]
    free = range(len(pointed), count)
    asked = [(who, token, slot) for token in free for slot in SLOTS for who in known]
    said = ask(vlm, [(who, token, trait_question(slot)) for who, token, slot in asked], "traits of tokens")
    gain: Counter[tuple[int, str]] = Counter()
    for (who, token, slot), text in zip(asked, said, strict=True):
        other = known[(known.index(who) + 1) % len(known)]
        gain[token, slot] += is_true(text, who.person) - is_true(text, other.person)
    told = [max(SLOTS, key=lambda slot: gain[token, slot]) for token in free]
    return [*(most[0][0] for most in pointed), *told]


def shares(known: Sequence[Known], said: Sequence[str]) -> dict[str, Any]:
    """Readable, right and the control, of one answer per person, with intervals over people."""
    names = [who.name for who in known] * (len(said) // len(known))
    people = [who.person for who in known] * (len(said) // len(known))
    others = [who.person for who in [*known[1:], known[0]]] * (len(said) // len(known))
    return {
        "readable": accuracy([bool(named(t)) for t in said], names),
        "right": accuracy([is_true(t, p) for t, p in zip(said, people, strict=True)], names),
        "of_another": accuracy([is_true(t, p) for t, p in zip(said, others, strict=True)], names),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--seed", type=int, default=0, help="of the benchmark whose people are asked about")
    parser.add_argument("--people", type=int, default=3, help="how many of them are shown in full")
    parser.add_argument("--small", action="store_true", help="few people, to see that it runs")
    parser.add_argument("--out", type=Path, default=RESULTS / "table9.json")
    arguments = parser.parse_args()

    vlm = personal.load(arguments.model)
    count = vlm.aligner.config.context_tokens
    bench = portraits("test", arguments.seed, SMALL if arguments.small else None)
    validation = enrol(vlm, portraits("val", arguments.seed, SMALL if arguments.small else VALIDATION))
    traits = traits_of_tokens(vlm, validation, count)
    known = enrol(vlm, bench)
    questions = {"published": ["published"] * count, "described": [DESCRIBE] * count, "asked": [*map(trait_question, traits)]}
    said = {
        form: ask(vlm, [(who, token, questions[form][token]) for token in range(count) for who in known], form)
        for form in WAYS
    }
    by_token = [{form: said[form][i * len(known) :][: len(known)] for form in WAYS} for i in range(count)]
    rows = []
    for i, (own, trait) in enumerate(zip(by_token, traits, strict=True)):
        pointed = [who.words[i][0] for who in known] if i < len(known[0].words) else None
        slots = Counter(_SLOT.get(word, "no trait") for word in pointed or ())
        rows.append({
            "token": i + 1, "trait": trait, "points_to_traits": dict(slots),
            "points_at": pointed and accuracy(
                [is_true(word, who.person) for word, who in zip(pointed, known, strict=True)], list(bench.names)
            ),
            **shares(known, own["asked"]), "published": TABLE_9[i] if i < len(TABLE_9) else "",
        })  # fmt: skip
    forms = {form: shares(known, said[form]) for form in WAYS}
    in_full = random.Random(f"plvm-table-9/{arguments.seed}").sample(range(len(known)), arguments.people)
    people = [
        {"name": known[j].name, "traits": dict(zip(SLOTS, map(known[j].person.phrase, SLOTS), strict=True)), "tokens": [
            {"token": i + 1, **({"word": known[j].words[i]} if i < len(known[j].words) else {}),
             **{form: own[form][j] for form in WAYS}, "right": is_true(own["asked"][j], known[j].person)}
            for i, own in enumerate(by_token)
        ]}
        for j in in_full
    ]  # fmt: skip
    anchored = [row["points_at"] for row in rows if row["points_at"]]
    for form in WAYS:
        found = forms[form]
        print(f"{form}: readable {percent(found['readable'])}, right {percent(found['right'])}, "
              f"of another person {percent(found['of_another'])}")  # fmt: skip
    words = [is_true(w, who.person) for who in known for w, _ in who.words]
    whose = [who.name for who in known for _ in who.words]
    figures = {
        "benchmark": bench.key, "n": len(known) * count, "questions": {f: questions[f] for f in WAYS},
        "anchored_tokens": len(anchored), "points_at": accuracy(words, whose), "forms": forms, "tokens": rows,
        "people": people,
    }  # fmt: skip
    print(f"points at a true word: {percent(figures['points_at'])}")
    write_result(arguments.out, arguments.seed, figures, shown(figures))



def shown(figures: Mapping[str, Any]) -> Shown:
    """What tokens say of a few people, how often that is true, and what the three ways are good for."""
    people, tokens = figures["people"], figures["tokens"]
    says = tuple(
        (str(row["token"]), row["trait"].replace("_", " "), *(_cell(p["tokens"][i]) for p in people), row["published"])
        for i, row in enumerate(tokens)
    )
    often = tuple(
        (str(r["token"]), r["trait"].replace("_", " "), r["points_at"] or "free", r["right"], r["of_another"]) for r in tokens
    )
    whole = tuple((name, f["readable"], f["right"], f["of_another"]) for name, f in figures["forms"].items())
    tables = (
        Table("What each context token says (Table 9)", ("token", "about", *(f"<{p['name']}>" for p in people), "published"),
              says, "The answer to a question about one trait when the token is all that is known of a person; 'not:' "
              "where it is not true. The published ones are of a photo of one man, by a 7B model."),
        Table("How often that is true", ("token", "about", "points at", "answer", "answer, of another person"), often,
              "Points at: the word of the frozen vocabulary that an anchored token means is true of the person. Of "
              "another person: the same answers held against the next person of the list."),
        Table("Ways to ask about a token", ("way", "readable", "right", "of another person"), whole,
              "published: 'Describe <token_i> in detail.'; described: '<n0> is <token_i>. Describe <n0> in detail.'; asked: "
              "the same definition and a question about one trait."),
    )  # fmt: skip
    return Shown(tables, place="Table 9")


def _cell(token: Mapping[str, Any]) -> str:
    said = token["asked"].removeprefix(f"<{ME}> ").rstrip(".")
    return said if token["right"] else f"not: {said}"


if __name__ == "__main__":
    main()
