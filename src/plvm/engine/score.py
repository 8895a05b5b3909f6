"""How probable an answer is, without writing it: P(Yes) for many concepts on many pictures, and choices among options.

A picture's prefix is computed once (`compute_prefixes`) and held once; what differs between concepts goes through the backbone
as suffixes that share its keys and values, a batch at a time. Only the last position's Yes and No columns are ever computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import ceil

import torch
from torch import Tensor

from plvm.engine.gathered import gather
from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request, Session
from plvm.model.backbone import Backbone
from plvm.model.shared_cache import SharedCache
from plvm.prompt.image_first import Prompt
from plvm.types import Concept

BATCH = 48  # suffixes at a time; small enough for a CPU's caches, large enough for its cores


def yes_probability(
    backbone: Backbone,
    prompt: Prompt,
    prefixes: Sequence[ImagePrefix | Session],
    concepts: Sequence[Concept],
    question: str | None = None,
    *,
    batch: int = BATCH,
) -> Tensor:
    """float32[I, C]: for every picture and every concept, alone in its prompt, P(Yes) / (P(Yes) + P(No)).

    `{name}` in `question` stands for the concept; default the template's `recognize`. Raises RequestError where a
    prompt is too long.
    """
    requests = recognitions(prompt, prefixes, concepts, question)
    return yes_of(backbone, prompt, requests, batch=batch).view(len(prefixes), len(concepts))


def recognitions(
    prompt: Prompt, prefixes: Sequence[ImagePrefix | Session], concepts: Sequence[Concept], question: str | None = None
) -> list[Request]:
    """The questions whether each concept, alone in its prompt, is in each picture: concept after concept, picture by picture."""
    wording = question if question is not None else prompt.template.recognize
    asked = [wording.replace("{name}", f"<{c.name}>") for c in concepts]
    return [Request(p, q, (c,)) for p in prefixes for c, q in zip(concepts, asked, strict=True)]


@torch.inference_mode()
def yes_of(backbone: Backbone, prompt: Prompt, requests: Sequence[Request], *, batch: int = BATCH) -> Tensor:
    """float32[N]: P(Yes) / (P(Yes) + P(No)) as the first word of the answer to each request, whatever its concepts are.

    Requests that continue the same state should stand next to each other: their attention to it is then computed together.
    """
    rows = backbone.head_rows[[prompt.yes_id, prompt.no_id]]
    difference = rows[0] - rows[1]
    found = [torch.zeros(0)]
    for some in batches(requests, batch):
        g = gather(backbone, prompt, some)
        found.append((g.last(backbone) @ difference).float().sigmoid().cpu())
    return torch.cat(found)


def batches(requests: Sequence[Request], most: int = BATCH) -> Iterator[Sequence[Request]]:
    """At most so many at a time, those that continue one state together: less than that many are not parted, more are in equal
    parts."""
    start = end = 0
    for _, run in groupby(requests, lambda r: id(r.state.past)):
        count = len(list(run))
        if end > start and end + count - start > most:
            yield requests[start:end]
            start = end
        size = ceil(count / ceil(count / most))
        end += count
        while end - start > most:
            yield requests[start : start + size]
            start += size
    if end > start:
        yield requests[start:end]


@torch.inference_mode()
def choose(backbone: Backbone, prompt: Prompt, request: Request, options: Sequence[str]) -> Tensor:
    """float32[O]: how the probability of answering with one of `options` (O >= 1) is shared among them.

    An option's likelihood is the product over its tokens, end token included. The request goes through the backbone
    once, the options as continuations of it; `<name>`s of the request's concepts in an option are those concepts.
    """
    g = gather(backbone, prompt, [request])
    table, device = backbone.word_rows, backbone.device
    last, cache = g.continued(backbone)
    texts = [[*prompt.spoken(option, request.names, g.vocabulary), prompt.end_id] for option in options]
    longest = max(map(len, texts))
    ids = torch.tensor([t + [prompt.end_id] * (longest - len(t)) for t in texts], device=device)
    real = torch.arange(longest, device=device) < torch.tensor([len(t) for t in texts], device=device)[:, None]
    vocabulary = g.vocabulary.select(torch.zeros(len(options), dtype=torch.long, device=device))
    states = last.unsqueeze(1).expand(len(options), -1, -1)
    if longest > 1:
        positions = torch.arange(longest - 1, device=device).expand(len(options), -1) + g.nexts[0]
        shared = SharedCache([(cache.past, len(options))])
        more, _ = backbone.hidden(vocabulary.embed(ids[:, :-1], table), shared, positions)
        states = torch.cat([states, more], 1)
    scores = vocabulary.logits(states, backbone.head_rows).float().log_softmax(-1)
    chosen = scores.gather(2, ids.unsqueeze(-1)).squeeze(-1).masked_fill(~real, 0.0)
    return chosen.sum(1).softmax(0).cpu()
