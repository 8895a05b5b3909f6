"""Text: streamed chunks, stop strings, names and limits, and what an answer reports of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from plvm.engine.gathered import gather
from plvm.engine.generate import complete, generate, stream
from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request
from plvm.errors import RequestError
from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.types import Concept, SamplingParams

SHORT = SamplingParams(max_tokens=24)
Script = Callable[[Sequence[int]], None]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, prompt: Prompt) -> Script:
    """`say(ids)`: the next answer consists of these ids, whatever the model wants."""

    def use(ids: Sequence[int]) -> None:
        script = iter([*ids, *[prompt.end_id] * 99])
        monkeypatch.setattr("plvm.engine.decoding.sample_all", lambda *_: [next(script)])

    return use


def chunks_of(backbone: Backbone, prompt: Prompt, request: Request, params: SamplingParams) -> list[str]:
    return list(stream(backbone, prompt, request, params))


@pytest.mark.parametrize("params", [SHORT, SamplingParams(1.2, seed=3, max_tokens=40), SamplingParams(stop=("a",))])
def test_streamed_chunks_concatenate_to_the_non_streamed_answer(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], params: SamplingParams
) -> None:
    for question in ("Who is on the left?", "Where?", "What is <billie> doing?"):
        request = Request(prefixes[0], question, tuple(people[:2]))
        chunks = chunks_of(backbone, prompt, request, params)
        assert "".join(chunks) == generate(backbone, prompt, [request], params)[0].text
        assert all(chunks)


TEXT = "né 🙂 日本語, e\u0301!"


def test_streaming_never_emits_half_a_character_or_half_a_name(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], say: Script
) -> None:
    base = backbone.vocabulary_size
    ids = [base, *prompt.text(f" is {TEXT}"), base + 1, *prompt.text(" and <billie>.")]
    assert len(ids) > len(TEXT) + 8, "characters must be split into several tokens"
    say(ids)
    chunks = chunks_of(backbone, prompt, Request(prefixes[0], "Hi?", tuple(people[:2])), SamplingParams())
    assert "".join(chunks) == f"<billie> is {TEXT} <avril> and <billie>."
    assert len(chunks) > 12 and not any("\ufffd" in c for c in chunks)
    assert all(c.count("<") == c.count(">") for c in chunks), chunks


def test_bytes_that_never_become_a_character_come_out_at_the_end(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix], say: Script
) -> None:
    ids = prompt.text("ok 🙂")[:-1]
    say(ids)
    answer = complete(backbone, prompt, Request(prefixes[0], "Hi?"))
    assert answer.answer.text == "ok \ufffd"
    say(ids)
    assert "".join(chunks_of(backbone, prompt, Request(prefixes[0], "Hi?"), SamplingParams())) == "ok \ufffd"


@pytest.mark.parametrize(
    ("text", "stop", "expected"),
    [
        ("one two three four", ("o three",), "one tw"),
        ("one two three four", ("four", "two"), "one "),
        ("one twx two", ("two ",), "one twx two"),
        ("aaab", ("aab",), "a"),
        ("one\n\ntwo", ("\n\n",), "one"),
        ("one two", ("one",), ""),
        ("né 🙂!", ("🙂",), "né "),
    ],
)
def test_stop_strings_are_found_across_tokens_and_never_shown(
    backbone: Backbone,
    prompt: Prompt,
    prefixes: list[ImagePrefix],
    say: Script,
    text: str,
    stop: tuple[str, ...],
    expected: str,
) -> None:
    request, params = Request(prefixes[0], "Hi?"), SamplingParams(stop=stop)
    ids = [i for c in " " + text for i in prompt.text(c)]
    say(ids)
    answer = generate(backbone, prompt, [request], params)[0]
    assert (answer.text, answer.finish) == (expected, "end" if expected == text else "stop")
    say(ids)
    shown = ""
    for chunk in stream(backbone, prompt, request, params):
        shown += chunk
        assert expected.startswith(shown), "a chunk must never have to be taken back"


def test_a_stop_string_inside_a_name_takes_the_whole_name(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], say: Script
) -> None:
    ids = [*prompt.text(" It is"), backbone.vocabulary_size, *prompt.text(".")]
    for stop, expected in ((("lie",), "It is "), (("lie>!",), "It is <billie>."), (("lie>.",), "It is ")):
        say(ids)
        request = Request(prefixes[0], "Hi?", tuple(people[:1]))
        chunks = chunks_of(backbone, prompt, request, SamplingParams(stop=stop))
        assert "".join(chunks) == expected
        assert all(c.count("<") == c.count(">") for c in chunks)


def test_max_tokens_ends_an_answer(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix], say: Script
) -> None:
    say(prompt.text(" on the left, reading a book"))
    answer = generate(backbone, prompt, [Request(prefixes[0], "Hi?")], SamplingParams(max_tokens=1))[0]
    assert (answer.text, answer.finish, answer.new_tokens) == ("on the left", "length", 1)


def test_an_answer_reports_what_it_cost_and_whom_it_names(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], say: Script
) -> None:
    base = backbone.vocabulary_size
    say(2 * [*prompt.text(" I see"), base + 1, *prompt.text(" and"), base, *prompt.text(" and"), base + 1, prompt.end_id])
    request = Request(prefixes[0].settled, "Hi?", tuple(people[:2]))
    suffix = gather(backbone, prompt, [request]).ids.shape[1]
    answer = generate(backbone, prompt, [request])[0]
    assert answer.text == "I see <avril> and <billie> and <avril>"
    assert answer.names == ("avril", "billie") and answer.finish == "end"
    assert (answer.computed_tokens, answer.prompt_tokens) == (suffix, prefixes[0].length + suffix)
    first = generate(backbone, prompt, [Request(prefixes[0], "Hi?", tuple(people[:2]))])[0]
    assert first.computed_tokens == first.prompt_tokens, "whoever looks first counts the picture too"


def test_a_prompt_longer_than_the_model_reads_is_refused(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix]
) -> None:
    with pytest.raises(RequestError, match=r"tokens; the model reads fewer than 2,048"):
        generate(backbone, prompt, [Request(prefixes[0], "word " * 3000)])


def test_an_answer_ends_where_the_model_can_read_no_further(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(prefixes[0], "Hello?")
    prompted = prefixes[0].length + gather(backbone, prompt, [request]).ids.shape[1]
    monkeypatch.setattr(backbone, "max_tokens", prompted + 5)
    answer = generate(backbone, prompt, [request], SHORT)[0]
    assert (answer.new_tokens, answer.finish) == (5, "length")
