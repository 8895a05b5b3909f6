"""Prefixes: a picture is computed once for everything asked about it, and the cache stays in its bytes and namespaces."""

from __future__ import annotations

import torch
from PIL import Image

from plvm.engine.gathered import gather
from plvm.engine.generate import generate
from plvm.engine.prefix import ImagePrefix, PrefixCache, compute_prefixes, digest_of
from plvm.engine.request import Request
from plvm.engine.score import choose, yes_probability
from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.types import Concept, SamplingParams
from toys import picture

SHORT = SamplingParams(max_tokens=24)


def test_a_picture_is_computed_once_for_all_concepts(backbone: Backbone, prompt: Prompt, people: list[Concept]) -> None:
    before = backbone.tokens_computed
    prefixes = compute_prefixes(backbone, prompt, [picture(1), picture(2)])
    assert backbone.tokens_computed - before == prefixes[0].length + prefixes[1].length
    suffix = gather(backbone, prompt, [Request(prefixes[0], prompt.template.recognize, (people[0],))]).ids.shape[1]
    before = backbone.tokens_computed
    yes_probability(backbone, prompt, prefixes, people, "Is it here? Answer with Yes or No.")
    assert backbone.tokens_computed - before <= 2 * len(people) * suffix


def test_prefixes_of_a_batch_equal_those_of_single_pictures(backbone: Backbone, prompt: Prompt) -> None:
    images = [picture(1), None, picture(2), picture(3)]
    for image, together in zip(images, compute_prefixes(backbone, prompt, images, batch=2), strict=True):
        alone = compute_prefixes(backbone, prompt, [image])[0]
        assert (alone.digest, alone.length) == (together.digest, together.length)
        for a, b in zip(alone.past, together.past, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_nothing_that_continues_a_prefix_changes_it(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    before = [t.clone() for pair in prefixes[0].past for t in pair]
    request = Request(prefixes[0], "Where is <billie>?", (people[0],))
    generate(backbone, prompt, [request, request], SHORT)
    yes_probability(backbone, prompt, prefixes[:1], people)
    choose(backbone, prompt, request, ["Yes", "on the left"])
    assert all(torch.equal(a, b) for a, b in zip(before, (t for p in prefixes[0].past for t in p), strict=True))


def test_equal_pictures_have_equal_digests() -> None:
    assert digest_of(picture(1)) == digest_of(picture(1).copy()) == digest_of(picture(1).convert("RGBA"))
    assert len({digest_of(picture(1)), digest_of(picture(2)), digest_of(picture(1, 40)), digest_of(None)}) == 4
    assert digest_of(Image.new("RGB", (2, 8))) != digest_of(Image.new("RGB", (4, 4)))


def a_prefix(digest: str, size: int = 10) -> ImagePrefix:
    half = torch.zeros(1, 1, size, 1)
    return ImagePrefix(((half, half),), size, digest)  # 8 * size bytes


def test_the_cache_forgets_the_least_recently_used_beyond_its_bytes() -> None:
    cache = PrefixCache(max_bytes=240)
    for digest in "abc":
        cache.put("x", a_prefix(digest))
    assert cache.get("x", "a") is not None
    cache.put("x", a_prefix("d"))
    assert [cache.get("x", d) is not None for d in "abcd"] == [True, False, True, True]
    cache.put("x", a_prefix("huge", 100))
    assert cache.get("x", "huge") is None and len(cache) == 3
    cache.put("x", a_prefix("d"))
    assert cache.bytes == 240


def test_a_namespace_never_hits_what_another_one_looked_at() -> None:
    cache = PrefixCache()
    cache.put("x", a_prefix("a"))
    assert cache.get("y", "a") is None
    cache.put("y", a_prefix("a"))
    assert cache.forget(namespace="x") == 1
    assert cache.get("x", "a") is None and cache.get("y", "a") is not None


def test_forgetting_a_picture_drops_it_and_its_bytes() -> None:
    cache = PrefixCache()
    for namespace, digest in (("x", "a"), ("x", "b"), ("y", "a")):
        cache.put(namespace, a_prefix(digest))
    assert cache.forget(namespace="x", digest="a") == 1
    assert cache.forget(digest="a") == 1
    assert cache.forget() == 1
    assert cache.bytes == 0 and cache.forget() == 0
