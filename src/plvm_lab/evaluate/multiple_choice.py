"""Multiple-choice questions about one concept: text-only (traits) and visual (how somebody looks in a picture).

Options are whole answer sentences of the same kind. Keys are balanced over the positions and shuffled, and wrong
options are drawn so that the truth cannot be guessed from the words: for traits uniformly from the other values; in
pictures they are true of ANOTHER person in the same picture wherever there is one, so that picture and identity are
both needed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from plvm_lab.evaluate.items import Choice
from plvm_lab.evaluate.portraits_benchmark import Benchmark
from plvm_lab.portraits import scene as S
from plvm_lab.portraits.person import SLOTS, Person
from plvm_lab.portraits.questions import Asker, Question, clothes_of
from plvm_lab.portraits.scene import Figure
from plvm_lab.portraits.sentences import HELD_OUT

LOOKS: dict[str, Callable[[Figure], str]] = {
    "where": lambda f: f"is {f.position}",
    "wearing": lambda f: f"is wearing {clothes_of(f)}",
    "hat": lambda f: f"is wearing {S.HATS[f.look.hat]}" if f.look.hat in S.HATS else "is not wearing a hat",
    "glasses": lambda f: (
        f"is wearing {S.GLASSES[f.look.glasses]}" if f.look.glasses in S.GLASSES else "is not wearing glasses"
    ),
    "doing": lambda f: f"is {S.ACTIVITIES[f.look.activity]}",
    "expression": lambda f: f"is {S.EXPRESSIONS[f.look.expression]}",
}
BARE = {"hat": "is not wearing a hat", "glasses": "is not wearing glasses"}


class Keys:
    """Puts true options at positions: each position equally often among questions of as many options, in shuffled
    order."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.bags: dict[int, list[int]] = {}

    def place(self, true: str, wrong: Sequence[str]) -> tuple[tuple[str, ...], int]:
        """(options, key)."""
        bag = self.bags.setdefault(len(wrong) + 1, [])
        if not bag:
            bag += self.rng.sample(range(len(wrong) + 1), len(wrong) + 1)
        key = bag.pop()
        options = self.rng.sample(list(wrong), len(wrong))
        return (*options[:key], true, *options[key:]), key


def slots_of(person: Person) -> list[str]:
    """The slots that a person can be asked about: a woman's beard says nothing about her."""
    return [s for s in SLOTS if not (s == "facial_hair" and person["gender"] == "woman")]


def _trait_choice(id_: str, name: str, question: Question, count: int, keys: Keys) -> Choice:
    others = [o for o in question.options if o != question.answer]
    wrong = keys.rng.sample(others, min(count - 1, len(others)))
    options, key = keys.place(question.answer, wrong)
    return Choice(id_, name, question.kind, None, (name,), question.text, options, key)


def text_questions(bench: Benchmark) -> tuple[Choice, ...]:
    """`size.text` questions about traits: identities and slots as equally often as can be, half with 2 options, half
    with 3."""
    rng = bench.rng("text")
    keys, used, items = Keys(rng), Counter[str](), list[Choice]()
    asked: dict[str, set[str]] = {n: set() for n in bench.names}
    for i in range(bench.size.text):
        name = bench.names[i % len(bench.names)]
        person = bench.person(name)
        free = [s for s in slots_of(person) if s not in asked[name]] or slots_of(person)
        rng.shuffle(free)
        slot = min(free, key=lambda s: used[s])
        used[slot] += 1
        asked[name].add(slot)
        question = Asker(None, {name: person}, rng).ask(slot, name)
        assert question is not None
        items.append(_trait_choice(f"text/{i:03}", name, question, 2 + i // len(bench.names) % 2, keys))
    return tuple(items)


def reworded_text(bench: Benchmark) -> tuple[tuple[Choice, Choice], ...]:
    """(in a trained wording, in a held-out one): every identity and every slot that has a held-out wording, same
    options."""
    rng = bench.rng("reworded-text")
    keys, pairs = Keys(rng), []
    for name, person in zip(bench.names, bench.people, strict=True):
        for slot in slots_of(person):
            if slot in HELD_OUT:
                trained = Asker(None, {name: person}, rng).ask(slot, name)
                new = Asker(None, {name: person}, rng, HELD_OUT).ask(slot, name)
                assert trained is not None and new is not None
                item = _trait_choice(f"text/{name}/{slot}", name, trained, 3, keys)
                pairs.append((item, replace(item, question=new.text)))
    return tuple(pairs)


def _values_of(kind: str, figure: Figure, rng: random.Random) -> list[str]:
    """Every value that the answer could have had, in a picture of as many people."""
    if kind == "wearing":
        color = rng.choice([c for c in S.COLORS if c != figure.look.color])
        clothes = rng.choice([c for c in S.CLOTHES if c != figure.look.clothes])
        looks = (replace(figure.look, color=color), replace(figure.look, clothes=clothes))
        return [LOOKS[kind](replace(figure, look=look)) for look in looks]
    tables = {"hat": S.HATS, "glasses": S.GLASSES}
    if kind in tables:
        return [*(f"is wearing {v}" for v in tables[kind].values()), BARE[kind]]
    return [f"is {v}" for v in (S.ACTIVITIES if kind == "doing" else S.EXPRESSIONS).values()]


def _wrong(figure: Figure, figures: Sequence[Figure], kind: str, count: int, rng: random.Random) -> list[str]:
    """`count` wrong values at most: true ones of other people in the picture first, then others of the kind."""
    tell, true = LOOKS[kind], LOOKS[kind](figure)
    beside = [v for v in dict.fromkeys(tell(f) for f in figures) if v != true]
    rng.shuffle(beside)
    if kind != "where" and len(beside) < count:
        rest = [v for v in _values_of(kind, figure, rng) if v != true and v not in beside]
        if kind in BARE and true != BARE[kind] and BARE[kind] in rest:  # bareness is offered where it can be
            rest = [BARE[kind], *rng.sample([v for v in rest if v != BARE[kind]], len(rest) - 1)]
        else:
            rng.shuffle(rest)
        beside += rest
    return beside[:count]


def visual_questions(bench: Benchmark) -> tuple[Choice, ...]:
    """`size.visual` questions about identities in pictures: kinds equally often, identities as equally often as can be.

    Pictures where somebody else differs in the asked thing come first; hats and glasses are there in half of their
    questions.
    """
    rng = bench.rng("visual")
    keys, items = Keys(rng), list[Choice]()
    about = Counter[str]()
    pools = {kind: _pools(bench, kind, rng) for kind in LOOKS}
    for i in range(bench.size.visual):
        kind = list(LOOKS)[i % len(LOOKS)]
        turn = i // len(LOOKS)
        pool = _pool(pools[kind], turn)
        name, picture = chosen = min(pool, key=lambda c: about[c[0]])
        pool.remove(chosen)
        about[name] += 1
        scene = bench.pictures[picture]
        figure = scene.find(bench.person(name))
        question = Asker(scene, {name: bench.person(name)}, rng).ask(kind, name)
        assert figure is not None and question is not None
        wrong = [f"<{name}> {v}." for v in _wrong(figure, scene.figures, kind, 1 + turn // 2 % 2, rng)]
        options, key = keys.place(f"<{name}> {LOOKS[kind](figure)}.", wrong)
        items.append(Choice(f"visual/{i:03}", name, kind, picture, (name,), question.text, options, key))
    return tuple(items)


Appearance = tuple[str, int]


def _pools(
    bench: Benchmark, kind: str, rng: random.Random
) -> tuple[list[Appearance], list[Appearance], list[Appearance]]:
    """Shuffled appearances: (somebody beside differs and the thing is there, .. and it is not there, all the
    others)."""
    pools: tuple[list[Appearance], list[Appearance], list[Appearance]] = ([], [], [])
    for picture, scene in enumerate(bench.pictures):
        for name in bench.shown(picture):
            figure = scene.find(bench.person(name))
            assert figure is not None
            value = LOOKS[kind](figure)
            if any(LOOKS[kind](f) != value for f in scene.figures):
                pools[int(value == BARE.get(kind))].append((name, picture))
            elif kind != "where":
                pools[2].append((name, picture))
    for pool in pools:
        rng.shuffle(pool)
    return pools


def _pool(pools: tuple[list[Appearance], ...], turn: int) -> list[Appearance]:
    """The pool to take from: worn and bare in turns where both are left, then what is left."""
    order = (pools[turn % 2], pools[1 - turn % 2], pools[2]) if pools[1] else pools
    found = next((p for p in order if p), None)
    if found is None:
        raise ValueError("too few appearances for so many visual questions")
    return found


def reworded_visual(bench: Benchmark) -> tuple[tuple[Choice, Choice], ...]:
    """(as in `visual_qa`, in a held-out wording) for every item and every held-out wording of its kind."""
    pairs = []
    for item in bench.visual_qa:
        for wording in HELD_OUT.get(item.kind, ()):
            pairs.append((item, replace(item, question=wording.format(x=f"<{item.about}>"))))
    return tuple(pairs)
