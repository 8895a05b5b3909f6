"""The suite: what knows the truth scores 1, what knows nothing scores chance, and a run that stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from guess import Guess
from plvm.errors import RequestError
from plvm.evaluate.album import Album
from plvm.evaluate.datasets import SMALL, Benchmark, portraits
from plvm.evaluate.items import Line
from plvm.evaluate.judge import is_right, who_is_named, yes_or_no
from plvm.evaluate.metrics import best_threshold
from plvm.evaluate.protocols import PARTS
from plvm.evaluate.runner import evaluate
from plvm.evaluate.system import ABILITIES, RECOGNIZE, Ask, System, Turn
from plvm.personal import Personal
from plvm.systems import SYSTEMS, build_system
from plvm.systems.embedding import Embedding, views
from plvm.systems.llava import LlavaPrompt, LlavaPromptTrue, truth_of
from plvm.systems.plvm import Plvm
from plvm.vocabulary import vocabulary_of
from toys import an_aligner

BENCH = portraits("val", 5, SMALL)


class Oracle(System):
    """Knows the truth by looking up whose reference it learned and which picture it sees."""

    name = "oracle"

    def __init__(self, bench: Benchmark, album: Album) -> None:
        self.bench = bench
        keys = [*bench.names, *(f"{n}~{k}" for n in bench.names for k in (1, 2, 3, 4))]
        self.who = {album.reference(key).tobytes(): key for key in keys}
        self.picture = {album.query(i).tobytes(): i for i in range(len(bench.pictures))}
        self.text = {i.question: i.options[i.key] for i in (*bench.text_qa, *bench.visual_qa)}
        self.learned: list[str] = []

    def learn(self, name: str, *images: Image.Image) -> tuple[str, str]:
        self.learned.append(name)
        return name, self.who[images[0].tobytes()]

    def sees(self, image: Image.Image, key: str) -> bool:
        return key in self.bench.shown(self.picture[image.tobytes()])

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[tuple[str, str]]) -> np.ndarray:
        return np.array([[0.9 if self.sees(i, key) else 0.1 for _, key in concepts] for i in images])

    def verify(self, asks: Sequence[Ask]) -> np.ndarray:
        asked = [next(key for name, key in a.concepts if f"<{name}>" in a.question) for a in asks]
        return np.array(
            [0.9 if a.image and self.sees(a.image, key) else 0.1 for a, key in zip(asks, asked, strict=True)]
        )

    def choose(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        return [np.array([0.9 if self.true(a, o) else 0.05 for o in a.options]) for a in asks]

    def true(self, ask: Ask, option: str) -> bool:
        from plvm.evaluate.questionnaire import LOOKS

        person = self.bench.person(option[1:].split(">")[0])
        said = option.split("> ", 1)[1].rstrip(".")
        if ask.image is None:
            return said.split(" ", 1)[1] in {person.phrase(s) for s in ("gender", "age", *self.slots())}
        figure = self.bench.pictures[self.picture[ask.image.tobytes()]].find(person)
        return figure is not None and said in {tell(figure) for tell in LOOKS.values()}

    @staticmethod
    def slots() -> Sequence[str]:
        from plvm.portraits.person import SLOTS

        return SLOTS

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        items = {(i.question, i.picture, i.concepts): i.answer for c in (1, 2, 3) for i in self.bench.who(c)}
        items |= {(i.question, i.picture, i.concepts): "Yes." if i.truth else "No." for i in self.bench.pairs}
        said = {i: "I see " + " and ".join(f"<{n}>" for n in i.shown) + "." for i in self.bench.captions}
        items |= {(i.question, i.picture, i.concepts): text for i, text in said.items()}
        found = []
        for a in asks:
            assert a.image is not None
            found.append(items[a.question, self.picture[a.image.tobytes()], tuple(n for n, _ in a.concepts)])
        return found

    def converse(self, image: Image.Image, turns: Sequence[Turn]) -> list[str]:
        names = {c[0] for t in turns for c in t.joining}
        asked = [t.question for t in turns]
        script = next(
            s for s in self.bench.scripts if [x.question for x in s.lines] == asked and {s.first, s.added} == names
        )
        return [line.answer for line in script.lines]


class Constant(System):
    """Always says the same."""

    name = "constant"

    def __init__(self, yes: float) -> None:
        self.yes = yes

    def learn(self, name: str, *images: Image.Image) -> str:
        return name

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[str]) -> np.ndarray:
        return np.full((len(images), len(concepts)), self.yes)

    def verify(self, asks: Sequence[Ask]) -> np.ndarray:
        return np.full(len(asks), self.yes)

    def choose(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        return [np.arange(len(a.options), 0, -1) / 10 for a in asks]

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        return ["Hm."] * len(asks)

    def converse(self, image: Image.Image, turns: Sequence[Turn]) -> list[str]:
        return ["Yes."] * len(turns)


@pytest.fixture(scope="module")
def album() -> Album:
    return Album(BENCH)


@pytest.fixture(scope="module")
def oracle(album: Album) -> Oracle:
    return Oracle(BENCH, album)


@pytest.fixture(scope="module")
def perfect(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("perfect")
    return evaluate(oracle, BENCH, out, command="pytest"), out


def test_a_system_that_knows_the_truth_scores_one_everywhere(perfect: tuple[dict[str, Any], Path]) -> None:
    s, _ = perfect
    for part in ("recognition", "recognition_lookalikes", "recognition_three_concepts"):
        assert s[part]["mean"]["value"] == s[part]["auc"]["value"] == 1.0
    assert s["recognition"]["eer"]["value"] == 0
    assert s["text_qa"]["accuracy"]["value"] == s["visual_qa"]["accuracy"]["value"] == 1.0
    for count in "123":
        who = s["who"][count]
        assert (who["right"]["value"], who["wrong"]["value"], who["unknown"]["value"]) == (1.0, 0.0, 1.0)
    assert s["dialogue"]["from_start"]["value"] == s["dialogue"]["added_later"]["value"] == 1.0
    assert (
        s["held_out_wordings"]["recognition"]["lost"]["value"]
        == s["held_out_wordings"]["text_qa"]["lost"]["value"]
        == 0
    )
    assert s["recognition_strict"]["mean"]["value"] == s["recognition_strict"]["same_as_probability"]["value"] == 1.0
    assert s["captions"]["all"]["recall"]["value"] == s["captions"]["all"]["precision"]["value"] == 1.0
    for count in "24":
        crowd = s["several_concepts"][count]
        assert crowd["recognition"]["mean"]["value"] == crowd["visual_qa"]["value"] == 1.0
        assert crowd["lost"]["value"] == 0.0
    assert s["unparsable"] == 0 and s["skipped"] == []


def test_the_controls_take_away_what_they_should(perfect: tuple[dict[str, Any], Path]) -> None:
    text, visual = perfect[0]["controls"]["text_qa"], perfect[0]["controls"]["visual_qa"]
    assert text["permuted"]["value"] == visual["permuted"]["value"] == 1.0
    assert visual["no_image"]["value"] < 0.75, "without the picture the oracle sees nothing"
    assert sum(f["value"] for f in text["constant"].values()) == pytest.approx(1, abs=1e-5)


def test_every_figure_has_an_interval_and_the_summary_says_where_it_comes_from(
    perfect: tuple[dict[str, Any], Path],
) -> None:
    summary, out = perfect

    def figures(node: Any) -> list[dict[str, Any]]:
        if isinstance(node, dict):
            return [node] if "value" in node else [f for child in node.values() for f in figures(child)]
        return []

    assert len(figures(summary)) > 60
    for figure in figures(summary):
        assert set(figure) == {"value", "low", "high", "n"}
        assert figure["value"] is None or figure["low"] <= figure["value"] <= figure["high"]
    assert summary["seed"] == 5 and summary["command"] == "pytest" and summary["versions"]["torch"]
    assert summary["timing"]["recognition"]["n"] == len(BENCH.names) * len(BENCH.pictures)
    assert json.loads((out / "summary.json").read_text()) == summary


def test_there_is_one_record_per_item_and_every_part_makes_as_many_as_it_says(
    perfect: tuple[dict[str, Any], Path],
) -> None:
    summary, out = perfect
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert len(records) == summary["n"] == sum(PARTS[part].count(BENCH) for part in BENCH.parts)
    assert {r["part"] for r in records} == set(BENCH.parts)
    assert all("answer" in r and "right" in r and ("truth" in r or "key" in r) for r in records)


@pytest.mark.parametrize(("yes", "positive"), [(0.9, 1.0), (0.1, 0.0), (0.5, 0.0)])
def test_a_constant_answer_has_a_recognition_mean_of_one_half(tmp_path: Path, yes: float, positive: float) -> None:
    found = evaluate(Constant(yes), BENCH, tmp_path, parts=["recognition", "recognition_lookalikes"])
    assert found["recognition"]["positive"]["value"] == positive
    for part in ("recognition", "recognition_lookalikes"):
        assert found[part]["mean"]["value"] == found[part]["auc"]["value"] == 0.5


def test_what_cannot_be_read_is_wrong_and_counted_aloud(tmp_path: Path) -> None:
    found = evaluate(
        Constant(float("nan")), BENCH, tmp_path, parts=["recognition", "who", "dialogue", "recognition_strict"]
    )
    assert found["recognition_strict"]["mean"]["value"] == 0 and found["recognition_strict"]["unparsable"] == 6 * 36
    assert found["recognition"]["mean"]["value"] == 0 and found["recognition"]["unparsable"] == 6 * 36
    assert found["who"]["1"]["unparsable"] == sum(BENCH.size.who) and found["who"]["1"]["right"]["value"] == 0
    assert found["unparsable"] > 6 * 36 + 3 * sum(BENCH.size.who)


def test_always_the_first_option_is_the_constant_control(tmp_path: Path) -> None:
    found = evaluate(Constant(0.5), BENCH, tmp_path, parts=["visual_qa", "controls"])
    constant = found["controls"]["visual_qa"]["constant"]["A"]
    assert found["visual_qa"]["accuracy"] == constant and 0.25 < constant["value"] < 0.6


def test_the_threshold_comes_from_the_validation_identities(tmp_path: Path) -> None:
    bench = portraits("test", 3, SMALL)
    assert bench.validation is not None and bench.validation.split == "val"
    assert not set(bench.people) & set(bench.validation.people)
    album, other = bench.album(), bench.validation.album()
    truth = {a.query(p).tobytes(): set(b.shown(p)) for b, a in ((bench, album), (bench.validation, other))
             for p in range(len(b.pictures))}  # fmt: skip

    class Timid(Guess):
        """Knows it, but says Yes to nothing: its threshold is wrong."""

        def chance(self, image: Image.Image, name: str) -> float:
            return super().chance(image, name) * 0.4

    found = evaluate(Timid("timid", truth, 1.0), bench, tmp_path, parts=["recognition", "validation"])["recognition"]
    assert found["mean"]["value"] == 0.5 and found["tuned"]["mean"]["value"] > 0.97
    assert 0.15 < found["tuned"]["threshold"] < 0.25 and found["auc"]["value"] == 1.0


class Interrupted(Oracle):
    """Breaks off in the middle of the multiple choice, once."""

    broken = False

    def choose(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        if not self.broken:
            self.broken = True
            raise KeyboardInterrupt
        return super().choose(asks)


def test_a_run_that_was_stopped_goes_on_and_ends_as_if_it_had_not(
    album: Album, perfect: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    system = Interrupted(BENCH, album)
    with pytest.raises(KeyboardInterrupt):
        evaluate(system, BENCH, tmp_path)
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write('{"part": "text_qa", "half a li')  # what a kill in the middle of a write leaves
    asked: list[str] = []
    found = evaluate(system, BENCH, tmp_path, progress=lambda part, done, total: asked.append(part))
    assert "recognition" not in asked and "text_qa" in asked
    whole, out = perfect
    assert (tmp_path / "records.jsonl").read_bytes() == (out / "records.jsonl").read_bytes()
    for part in BENCH.parts:
        assert found[part] == whole[part]


def test_a_finished_run_asks_nothing_again_but_another_system_does(tmp_path: Path) -> None:
    asked: list[str] = []
    for system, again in ((Constant(0.9), True), (Constant(0.9), False)):
        asked.clear()
        evaluate(system, BENCH, tmp_path, parts=["recognition"], progress=lambda part, done, total: asked.append(part))
        assert bool(asked) == again
    other = Constant(0.1)
    other.name = "another constant"
    found = evaluate(other, BENCH, tmp_path, parts=["recognition"])
    assert found["recognition"]["positive"]["value"] == 0
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 6 * 36


class OnlyRecognizes(System):
    """Sees everybody everywhere, and can say nothing else."""

    def learn(self, name: str, *images: Image.Image) -> str:
        return name

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[str]) -> np.ndarray:
        return np.ones((len(images), len(concepts)))


def test_parts_that_a_system_cannot_do_are_skipped_and_named(tmp_path: Path) -> None:
    assert Constant(0.9).abilities == set(ABILITIES)
    system = OnlyRecognizes()
    assert system.abilities == {RECOGNIZE}
    found = evaluate(system, BENCH, tmp_path)
    assert "recognition" in found and found["skipped"] == [
        part for part in BENCH.parts if PARTS[part].needs != RECOGNIZE
    ]


def test_unknown_parts_and_systems_are_refused_with_the_nearest_name(tmp_path: Path, vlm: Personal) -> None:
    with pytest.raises(RequestError, match='"visual_qa"'):
        evaluate(Constant(0.5), BENCH, tmp_path, parts=["visual-qa"])
    with pytest.raises(RequestError, match='"embedding"'):
        build_system("embeding", vlm)


# ---------------------------------------------------------------- reading free answers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<billie> is on the left.", "billie"),
        ("Someone I do not know is on the left.", "unknown"),
        ("Someone I do not know is next to <avril>.", "unknown"),
        ("<avril> is next to someone I do not know.", "avril"),
        ("I don't know.", "unknown"),
        ("<zoe> is on the left.", None),
        ("", None),
    ],
)
def test_a_free_answer_says_the_name_it_says_first(text: str, said: str | None) -> None:
    assert who_is_named(text, ["billie", "avril"]) == said


WHERE = Line("where", "?", "<b> is on the left, next to <a>.", ("<b> is on the left.", "<b> is on the far left."))


@pytest.mark.parametrize(
    ("line", "text", "right"),
    [
        (WHERE, "<b> is on the left.", True),
        (WHERE, "<b> is on the left, next to someone I do not know.", True),
        (WHERE, "<b> is on the far left.", False),
        (WHERE, "<b> is not in this photo.", False),
        (WHERE, "Hm.", None),
        (Line("recognize", "?", "No, <b> is not in this photo."), "No.", True),
        (Line("recognize", "?", "No."), "Yes, <b> is.", False),
        (Line("recognize", "?", "No."), "Nobody.", None),
    ],
)
def test_a_scripted_answer_is_right_where_the_true_statement_and_no_other_is_in_it(
    line: Line, text: str, right: bool | None
) -> None:
    assert is_right(line, text) == right


def test_yes_and_no_are_words_of_their_own() -> None:
    assert (yes_or_no(" yes, it is"), yes_or_no("No."), yes_or_no("Not"), yes_or_no("")) == (True, False, None, None)


# ---------------------------------------------------------------- the real systems, untrained


@pytest.fixture(scope="module")
def tiny() -> Benchmark:
    from plvm.evaluate.datasets import Size

    return portraits("val", 5, Size(4, 20, text=4, visual=6, triples=6, who=(2, 1, 1), dialogues=1))


def test_the_whole_suite_runs_through_the_real_engine(vlm: Personal, tiny: Benchmark, tmp_path: Path) -> None:
    found = evaluate(build_system("plvm", vlm, max_tokens=4), tiny, tmp_path)
    assert found["skipped"] == [] and found["n"] == sum(PARTS[part].count(tiny) for part in tiny.parts)
    assert 0 <= found["recognition"]["mean"]["value"] <= 1 and found["system"]["architecture"] == "anchored"
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    permuted = [r for r in records if r.get("control") == "permuted"]
    chosen = {r["id"]: r["options"]["ABC".index(r["answer"])] for r in records if r["part"] in ("text_qa", "visual_qa")}
    assert permuted and all(r["options"]["ABC".index(r["answer"])] == chosen[r["id"]] for r in permuted)


def test_recognition_of_the_matrix_is_that_of_single_questions(vlm: Personal, album: Album) -> None:
    system = Plvm(vlm)
    people = [system.learn(name, album.reference(name)) for name in BENCH.names[:3]]
    images = [album.query(0), album.query(1)]
    wording = vlm.prompt.template.recognize
    asks = [Ask(i, wording.replace("{name}", f"<{p.concept.name}>"), (p,)) for i in images for p in people]
    single = np.concatenate([system.verify([a]) for a in asks]).reshape(2, 3)
    np.testing.assert_allclose(system.recognize(images, people), single, atol=1e-6)
    by_user = vlm.recognize(images, [p.concept for p in people])
    np.testing.assert_allclose(by_user, single, atol=1e-6)


def test_the_dialogues_of_the_evaluation_are_those_of_chat(vlm: Personal, album: Album) -> None:
    system = Plvm(vlm, max_tokens=6)
    first, second = (system.learn(name, album.reference(name)) for name in BENCH.names[:2])
    questions = ["What place is this?", f"Is <{BENCH.names[1]}> here?"]
    said = system.converse(album.query(0), [Turn(questions[0], (first,)), Turn(questions[1], (second,))])
    chat = vlm.chat(album.query(0), [first.concept])
    expected = [chat.ask(questions[0], system.params).text]
    chat.add(second.concept)
    assert said == [*expected, chat.ask(questions[1], system.params).text]


def test_another_aligner_has_another_fingerprint(vlm: Personal, tmp_path: Path) -> None:
    from plvm.model.checkpoint import fingerprint

    other = an_aligner(vlm.backbone, "paper")
    second = Personal(vlm.backbone, vlm.encoder, other, vlm.prompt, fingerprint(other, vlm.prompt.template))
    assert Plvm(vlm).fingerprint == Plvm(vlm).fingerprint != Plvm(second).fingerprint


def test_a_description_is_cut_at_a_comma_within_its_tokens(vlm: Personal) -> None:
    system = LlavaPrompt(vlm, tokens=6)
    whole = "a woman, elderly, tan skin, red hair, a bun, blue eyes"
    cut = system.cut(whole)
    assert whole.startswith(cut) and whole[len(cut)] == "," and len(vlm.prompt.text(" " + cut)) <= 6
    assert system.cut("a woman") == "a woman"
    unbroken = "a very elderly woman who has red hair and a bun and blue eyes"
    assert unbroken.startswith(system.cut(unbroken)) and len(vlm.prompt.text(" " + system.cut(unbroken))) <= 6


def test_the_description_stands_in_the_prompt_where_the_context_tokens_would(vlm: Personal, album: Album) -> None:
    name = BENCH.names[0]
    truth = truth_of(album)
    rows = LlavaPromptTrue(vlm, truth)
    known = rows.learn(name, album.reference(name))
    assert known.words and known.words.startswith(("a woman", "a man"))
    request = rows._requests([Ask(None, f"Is <{name}> here?", (known,))])[0]
    assert request.descriptions == (known.words,) and request.concepts == (known.concept,)
    plain = LlavaPromptTrue(vlm, truth, names="plain")
    known = plain.learn(name, album.reference(name))
    prompt = plain.vlm.prompt
    request = plain._requests([Ask(None, f"Is <{name}> here?", (known,))])[0]
    written = request.write(prompt, vocabulary_of([request.everyone], vlm.backbone.word_rows))
    said = f" {name} is {known.words}. Is {name} here?"
    assert written == [*prompt.text(said), *prompt.control(prompt.template.assistant)], "all of it is ordinary text"


def test_an_embedding_decides_at_the_threshold_that_separates_best() -> None:
    truth = np.array([False, False, True, False, True, True])
    threshold, balance = best_threshold(truth, np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.9]))
    assert (threshold, balance) == (pytest.approx(0.45), pytest.approx(5 / 6)) or threshold == pytest.approx(0.25)


def test_an_embedding_recognises_a_reference_that_is_a_part_of_the_picture(vlm: Personal, album: Album) -> None:
    system = Embedding(vlm, threshold=0.999)
    people = [system.learn(name, album.reference(name)) for name in BENCH.names[:3]]
    canvas = album.query(0).copy()
    side = round(0.48 * canvas.width)
    canvas.paste(album.reference(BENCH.names[0]).resize((side, side)), (0, 0))
    similarity = system.similarity([canvas], people)[0]
    assert similarity.argmax() == 0 and similarity[0] > 0.95
    assert len(views(canvas)) == 76 and set(SYSTEMS) >= {"plvm", "llava-prompt", "embedding"}
