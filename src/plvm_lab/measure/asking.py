"""Scoring, dialogue and generation, ours and the naive way in turn, beside what the machine can do at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import cycle
from typing import Any

import torch
from PIL import Image

from plvm.engine.gathered import gather
from plvm.engine.generate import complete, generate
from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request, Session
from plvm.engine.score import batches, yes_of
from plvm.engine.steps import ROOM
from plvm.model.backbone import Backbone
from plvm.model.roomy_cache import RoomyCache
from plvm.personal import Personal
from plvm.products import by_torch, product
from plvm.prompt.image_first import Prompt
from plvm.train.memory import peak_bytes
from plvm.types import Concept, SamplingParams
from plvm_lab.measure import ceiling
from plvm_lab.measure.ceiling import Work, language_bytes, layer_flops
from plvm_lab.measure.in_turn import in_turn, ratios, summary, within
from plvm_lab.measure.naive import Naive, naive_way
from plvm_lab.measure.subjects import people, pictures

Row = dict[str, Any]
QUESTION = "Where is <n0>, and what is <n0> doing?"
ONE = SamplingParams(max_tokens=1)


@dataclass(frozen=True, eq=False)
class Bench:
    """A subject, how often everything is measured, and the seed of pictures and people."""

    vlm: Personal
    rounds: int = 3
    seed: int = 0

    @cached_property
    def product(self) -> Work:
        """Matrix products as fast as the machine can, to be measured in turn with what is held against them."""
        return ceiling.product(str(self.vlm.backbone.device), self.vlm.backbone.dtype)

    @cached_property
    def torch_product(self) -> Work:
        """The same as torch multiplies by itself."""
        step, flops = self.product
        return within(by_torch, step), flops

    @cached_property
    def copy(self) -> Work:
        """Memory read and written as fast as the machine can, likewise."""
        return ceiling.copy(str(self.vlm.backbone.device))

    @cached_property
    def image_tokens(self) -> int:
        """How many tokens a picture has; where that varies, the first that is asked about."""
        backbone = self.vlm.backbone
        return len(backbone.image_tokens(backbone.pixels(pictures(1, 480, self.seed)))[0].ids)

    def suffix(self, request: Request) -> list[int]:
        """The ids that go through the backbone for a request."""
        ids: list[int] = gather(self.vlm.backbone, self.vlm.prompt, [request]).ids[0].tolist()
        return ids

    def look(self, seen: Sequence[Image.Image]) -> list[ImagePrefix]:
        """Prefixes, computed anew."""
        self.vlm.engine.prefixes.forget()
        return [p.settled for p in self.vlm.engine.look(seen, namespace="bench")]


def bench_score(bench: Bench, counts: Sequence[int] = (34,), seen: int = 2) -> Iterator[Row]:
    """P(present) of so many people in each of `seen` pictures; a unit is a pair. `layers` is what ours computes in the language
    model, behind pictures that were looked at before: that is held against matrix products. `difference` is that of
    probabilities, ours and naive."""
    album = pictures(seen, 480, bench.seed)
    everyone = people(bench.vlm, max(counts), bench.seed)
    naive = naive_way(bench.vlm, everyone)
    for count in counts:
        yield {"concepts": count, "pictures": seen} | _scored(bench, naive, album, everyone[:count])


def _scored(bench: Bench, naive: Naive, album: Sequence[Image.Image], some: Sequence[Concept]) -> Row:
    vlm, backbone, count = bench.vlm, bench.vlm.backbone, len(some)
    prefixes, wording = bench.look(album), vlm.prompt.template.recognize
    requests = [Request(p, wording.replace("{name}", f"<{c.name}>"), (c,)) for p in prefixes for c in some]
    ours = yes_of(backbone, vlm.prompt, requests)
    shown = [naive.prompt(picture, ()) for picture in album]  # not timed: a picture is read once for each pair, by `answer`
    pairs, differences = cycle(range(len(requests))), []

    def one_pair() -> None:
        i = next(pairs)
        prompt = [*shown[i // count], *naive.own(bench.suffix(requests[i]), [i % count])]
        differences.append(abs(naive.yes(album[i // count], prompt) - float(ours[i])))

    with torch.inference_mode():
        laid = [gather(backbone, vlm.prompt, some) for some in batches(requests)]

    @torch.inference_mode()
    def layers() -> None:
        for g in laid:
            g.last(backbone)

    def all_pairs() -> None:
        vlm.engine.prefixes.forget()
        vlm.recognize(album, some)

    before = backbone.tokens_computed
    all_pairs()
    tokens = backbone.tokens_computed - before
    ways = {
        "ours": (all_pairs, len(requests)),
        "layers": (layers, len(requests)),
        "naive": (one_pair, 1),
        "product": bench.product,
        "torch_product": bench.torch_product,
    }
    times = in_turn(ways, bench.rounds, str(backbone.device))
    length, own = prefixes[0].length, len(bench.suffix(requests[0]))
    flops = layer_flops(backbone, own, length + own / 2)
    return {
        "unit": "pair", "image_tokens": bench.image_tokens, "times": times, **ratios(times),
        "tokens": {"ours": tokens / len(requests), "naive": length + own},
        "flops": flops, "share_of_matmul": flops * ratios(times, "layers", "product")["ratio"],
        "share_of_torch_matmul": flops * ratios(times, "layers", "torch_product")["ratio"],
        "bytes": {"prefix": prefixes[0].bytes, "beside_it": peak_bytes(lambda: yes_of(backbone, vlm.prompt, requests[:count]))},
        "difference": max(differences),
    }  # fmt: skip


def bench_chat(bench: Bench, turns: Sequence[int] = (2, 50), joining: bool = True) -> Iterator[Row]:
    """The time to the first token of an answer at these turns of one dialogue; a unit is a turn. The naive way reads again what
    ours has read. With `joining`, once more at the last turn with somebody who joins there; and the last turn at which the window
    moved on, where there is one. `over_first`: how many times as long as the first of the turns. `over_whole`, where the window
    has moved on: how many times as long as ours a naive way takes that has none. `difference` is that of logits."""
    vlm, picture, last = bench.vlm, pictures(1, 480, bench.seed)[0], max(turns)
    two = people(vlm, 2, bench.seed)
    naive, start = naive_way(vlm, two), bench.look([picture])[0]
    unwindowed = _dialogue(bench, with_window(vlm, 0), naive, start, two, last)
    everything = {(turn, joins): ids for turn, joins, _, ids in unwindowed}
    first: Request | None = None
    moved: tuple[int, Request, list[int]] | None = None
    for turn, joins, request, ids in _dialogue(bench, vlm, naive, start, two, last):
        if turn in turns and (joining or not joins):
            first, whole = first or _apart(request), everything[turn, joins]
            more = whole if len(whole) > len(ids) else None
            yield {"turn": turn, "joins": joins} | _turn(bench, naive, picture, request, ids, first, more)
        elif turn > 1 and request.state is start:
            moved = turn, request, ids
    if moved is not None and first is not None:
        turn, request, ids = moved
        yield {"turn": turn, "joins": 0, "moves": 1} | _turn(bench, naive, picture, request, ids, first, everything[turn, 0])


def _dialogue(
    bench: Bench, vlm: Personal, naive: Naive, start: ImagePrefix, two: Sequence[Concept], last: int
) -> Iterator[tuple[int, int, Request, list[int]]]:
    """The turns of one dialogue, the `last` one, where it isn't the first, twice: then somebody joins. A turn, how many join, its
    request, and all that is behind the picture then, in the naive way's ids."""
    state: ImagePrefix | Session = start
    said: list[tuple[str, str]] = []
    written: list[int] = []
    for turn in range(1, last + 1):
        for joins in (two[:1] if turn == 1 else [], *([two[1:]] if turn == last > 1 else [])):
            request = vlm.engine.next_request(start, state, QUESTION, joins, said, longest=1, strict_names=True)
            before = [] if request.state is start else written  # the dialogue begins, or its window has moved on
            numbers = [int(c.name.removeprefix("n")) for c in request.everyone]
            ids = [*before, *naive.own(bench.suffix(request), numbers)]
            yield turn, len(joins) if turn > 1 else 0, request, ids
        if turn < last:
            done = complete(vlm.backbone, vlm.prompt, request, ONE)  # its one token is the first of the next turn's
            state, said, written = done.session, [*said, (QUESTION, done.answer.text)], ids


def with_window(vlm: Personal, turns: int) -> Personal:
    """The same model, which reads so many turns of a dialogue; 0: all."""
    prompt = type(vlm.prompt)(vlm.prompt.tokenizer, replace(vlm.prompt.template, turns=turns))
    return Personal(vlm.backbone, vlm.encoder, vlm.aligner, prompt, vlm.fingerprint)


def _apart(request: Request) -> Request:
    """A request that can be taken at any time: in memory of its own, where it continues a session."""
    state = request.state
    if not isinstance(state, Session):
        return request
    room = RoomyCache(state.past, 1, 2 * state.length + ROOM)
    room.put(state.past)
    return replace(request, state=replace(state, past=room.past, room=room))


def _turn(
    bench: Bench, naive: Naive, picture: Image.Image, request: Request, written: list[int], first: Request,
    everything: list[int] | None,
) -> Row:  # fmt: skip
    vlm, backbone = bench.vlm, bench.vlm.backbone
    prompt = naive.prompt(picture, written)
    ours = complete(backbone, vlm.prompt, request, ONE)
    theirs, logits = naive.answer(picture, prompt)

    def turn(of: Request) -> None:
        if isinstance(of.state, Session) and of.state.room is not None:
            of.state.room.release(of.state.length)  # a turn is taken once, and finds its session's memory free
        complete(backbone, vlm.prompt, of, ONE)

    ways: dict[str, tuple[Callable[[], Any], int]] = {
        "ours": (lambda: turn(request), 1),
        "naive": (lambda: naive.answer(picture, prompt), 1),
        "first": (lambda: turn(first), 1),
        "product": bench.product,
    }
    if everything is not None:
        whole = naive.prompt(picture, everything)
        ways["whole"] = (lambda: naive.answer(picture, whole), 1)
    times = in_turn(ways, bench.rounds, str(backbone.device))
    over_whole = {"over_whole": ratios(times, naive="whole")} if everything is not None else {}
    own, seen = ours.answer.computed_tokens, request.state.length
    flops = layer_flops(backbone, own, seen + own / 2)
    width, said = backbone.vocabulary_size, ours.first
    assert said is not None  # it was computed here
    return {
        "unit": "turn", "image_tokens": bench.image_tokens, "times": times, **ratios(times),
        "over_first": ratios(times, "first", "ours"), **over_whole, "tokens": {"ours": own, "naive": len(prompt)}, "flops": flops,
        "share_of_matmul": flops * ratios(times, naive="product")["ratio"],
        "bytes": {"keys_and_values": sum(t.nbytes for pair in request.state.past for t in pair)},
        "difference": float((said[:width] - logits[:width])[said[:width].isfinite()].abs().max()),
    }  # fmt: skip


def bench_generate(bench: Bench, batches: Sequence[int] = (1, 16), words: int = 32) -> Iterator[Row]:
    """Answers of so many tokens, so many at a time, each about somebody else in one picture; a unit is a token. `ours` is a token
    after the first, `forward` the backbone's own pass alone, behind the same prompts, `overhead` the one over the other;
    `over_one` is how many times the tokens a second of the first batch. `whole` and `naive` read picture and prompt too, the
    latter one answer at a time."""
    everyone = people(bench.vlm, max(batches), bench.seed)
    naive, album = naive_way(bench.vlm, everyone), pictures(1, 480, bench.seed)
    first = None
    for count in batches:
        row = _generated(bench, naive, album, everyone[:count], words)
        first = first or row["times"]["ours"]
        yield {"batch": count, "words": words} | row | {"over_one": ratios({"naive": first, "ours": row["times"]["ours"]})}


def _generated(bench: Bench, naive: Naive, album: Sequence[Image.Image], some: Sequence[Concept], words: int) -> Row:
    vlm, backbone, count = bench.vlm, bench.vlm.backbone, len(some)
    endless = endless_prompt(vlm)
    asked = [QUESTION.replace("n0", c.name) for c in some]

    def write(state: ImagePrefix, tokens: int) -> None:
        requests = [Request(state, q, (c,)) for q, c in zip(asked, some, strict=True)]
        generate(backbone, endless, requests, SamplingParams(max_tokens=tokens), batch=count)

    state = bench.look(album)[0]
    requests = [Request(state, q, (c,)) for q, c in zip(asked, some, strict=True)]
    prompt = naive.prompt(album[0], naive.own(bench.suffix(requests[0]), [0]))
    ways = {
        "long": (lambda: write(state, words + 1), 1),
        "short": (lambda: write(state, 1), 1),
        "prompt and passes": (lambda: passes(backbone, vlm.prompt, requests, words), 1),
        "prompt": (lambda: passes(backbone, vlm.prompt, requests, 0), 1),
        "whole": (lambda: write(bench.look(album)[0], words), words * count),
        "naive": (lambda: naive.answer(album[0], prompt, words), words),
        "copy": bench.copy,
    }
    times = in_turn(ways, bench.rounds, str(backbone.device))
    times["ours"] = _each_of(words * count, times["long"], times["short"])
    times["forward"] = _each_of(words * count, times["prompt and passes"], times["prompt"])
    length, held_by = len(prompt) + words / 2, count if backbone.family.shares else 1
    own = (length - state.length) * state.bytes / state.length
    read = language_bytes(backbone) / count + state.bytes / held_by + own
    return {
        "unit": "token", "image_tokens": bench.image_tokens, "times": times, **ratios(times, "whole"),
        "overhead": ratios(times, "forward", "ours"), "tokens": {"ours": 1, "naive": (len(prompt) + words) / words},
        "flops": layer_flops(backbone, 1, length), "bytes": {"read": read},
        "share_of_bandwidth": read * ratios(times, naive="copy")["ratio"],
    }  # fmt: skip


def endless_prompt(vlm: Personal) -> Prompt:
    """The model's prompts, with answers that only their length ends: random weights would end them anywhere."""
    endless = Prompt(vlm.prompt.tokenizer, vlm.prompt.template)
    endless.end_id = -1
    return endless


def _each_of(units: int, long: Mapping[str, Any], short: Mapping[str, Any]) -> dict[str, Any]:
    """Times of a unit, of which `long` has so many more than `short`, round by round."""
    rounds = zip(long["each"], short["each"], strict=True)
    return summary([((a - c) / units, (b - d) / units) for (a, b), (c, d) in rounds])


@torch.inference_mode()
def passes(backbone: Backbone, prompt: Prompt, requests: Sequence[Request], words: int) -> None:
    """Read the prompts of these requests, and make so many passes of the backbone alone behind them, from ids to logits."""
    g = gather(backbone, prompt, requests)
    _, cache = g.continued(backbone, words + 1)
    ids = torch.arange(words * len(requests), device=backbone.device).view(words, len(requests), 1) % backbone.vocabulary_size
    positions = torch.tensor(g.nexts, device=backbone.device)[:, None]
    for token in ids:
        hidden, _ = backbone.hidden(torch.nn.functional.embedding(token, backbone.word_rows), cache, positions)
        _ = product(hidden, backbone.head_rows)
        cache.length += 1
        positions = positions + 1
