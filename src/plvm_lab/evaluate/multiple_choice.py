"""Multiple-choice questions about one concept: text-only (traits) and visual (how somebody looks in a picture).

Options are whole answer sentences of the same kind. Keys are balanced over the positions and shuffled, and wrong
options are drawn so that the truth cannot be guessed from the words: for traits uniformly from the other values; in
pictures they are true of ANOTHER person in the same picture wherever there is one, so that picture and identity are
both needed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from plvm.errors import RequestError
from plvm_lab.evaluate.benchmark_scenes import BenchmarkScenes
from plvm_lab.evaluate.items import Choice
from plvm_lab.portraits.person import SLOTS, Person
from plvm_lab.portraits.question_kind import Question, Visible, visible_of
from plvm_lab.portraits.questions import Asker
from plvm_lab.portraits.scene import Figure
from plvm_lab.portraits.sentences import HELD_OUT


class Keys:
    """Puts true options at positions: each position equally often among questions of as many options, in shuffled
    order."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.bags: dict[int, list[int]] = {}

    def place(self, true: str, wrong: Sequence[str]) -> tuple[tuple[str, ...], int]:
        """(all options, the place of the true one among them)."""
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


def text_questions(bench: BenchmarkScenes) -> tuple[Choice, ...]:
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


def reworded_text(bench: BenchmarkScenes) -> tuple[tuple[Choice, Choice], ...]:
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


def _wrong(figure: Figure, figures: Sequence[Figure], visible: Visible, count: int, rng: random.Random) -> list[str]:
    """`count` wrong values at most: true ones of other people in the picture first, then others of the kind."""
    true, bare = visible.tell(figure), visible.bare
    beside = [v for v in dict.fromkeys(visible.tell(f) for f in figures) if v != true]
    rng.shuffle(beside)
    if visible.values is not None and len(beside) < count:
        rest = [v for v in visible.values(figure, rng) if v != true and v not in beside]
        if bare is not None and true != bare and bare in rest:  # bareness is offered where it can be
            rest = [bare, *rng.sample([v for v in rest if v != bare], len(rest) - 1)]
        else:
            rng.shuffle(rest)
        beside += rest
    return beside[:count]


def visual_questions(bench: BenchmarkScenes) -> tuple[Choice, ...]:
    """`size.visual` questions about identities in pictures: `visual_kinds` equally often, identities as equally often as can be.

    Pictures where somebody else differs in the asked thing come first; hats and glasses are there in half of their
    questions.
    """
    rng = bench.rng("visual")
    keys, items = Keys(rng), list[Choice]()
    about = Counter[str]()
    kinds = bench.visual_kinds
    pools = {kind: _pools(bench, visible_of(kind), rng) for kind in kinds}
    for i in range(bench.size.visual):
        kind, turn = kinds[i % len(kinds)], i // len(kinds)
        visible = visible_of(kind)
        pool = _pool(pools[kind], turn)
        name, picture = chosen = min(pool, key=lambda c: about[c[0]])
        pool.remove(chosen)
        about[name] += 1
        scene = bench.pictures[picture]
        figure = scene.find(bench.person(name))
        question = Asker(scene, {name: bench.person(name)}, rng).ask(kind, name)
        assert figure is not None and question is not None
        wrong = [f"<{name}> {v}." for v in _wrong(figure, scene.figures, visible, 1 + turn // 2 % 2, rng)]
        options, key = keys.place(f"<{name}> {visible.tell(figure)}.", wrong)
        items.append(Choice(f"visual/{i:03}", name, kind, picture, (name,), question.text, options, key))
    return tuple(items)


Appearance = tuple[str, int]


def _pools(
    bench: BenchmarkScenes, visible: Visible, rng: random.Random
) -> tuple[list[Appearance], list[Appearance], list[Appearance]]:
    """Shuffled appearances: those where somebody beside differs and the thing is there, those where somebody differs and it
    is not there, all the others."""
    pools: tuple[list[Appearance], list[Appearance], list[Appearance]] = ([], [], [])
    for picture, scene in enumerate(bench.pictures):
        for name in bench.shown(picture):
            figure = scene.find(bench.person(name))
            assert figure is not None
            value = visible.tell(figure)
            if any(visible.tell(f) != value for f in scene.figures):
                pools[int(value == visible.bare)].append((name, picture))
            elif visible.values is not None:
                pools[2].append((name, picture))
    for pool in pools:
        rng.shuffle(pool)
    return pools


def _pool(pools: tuple[list[Appearance], ...], turn: int) -> list[Appearance]:
    """The pool to take from: worn and bare in turns where both are left, then what is left."""
    order = (pools[turn % 2], pools[1 - turn % 2], pools[2]) if pools[1] else pools
    found = next((p for p in order if p), None)
    if found is None:
        raise RequestError("There are too few pictures for so many visual questions.", "Choose another size.")
    return found


def reworded_visual(bench: BenchmarkScenes) -> tuple[tuple[Choice, Choice], ...]:
    """(a question of `visual_qa`, the same one in a held-out wording) for every held-out wording of its kind."""
    pairs = []
    for item in bench.visual_qa:
        for wording in HELD_OUT.get(item.kind, ()):
            pairs.append((item, replace(item, question=wording.format(x=f"<{item.about}>"))))
    return tuple(pairs)
