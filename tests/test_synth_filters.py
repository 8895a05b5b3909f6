"""Filters say why; questions have many wordings; prompts fit their template."""

from __future__ import annotations

import json
import random
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from plvm.data.wordings import ASK, ATTRIBUTES, NO, PROTOCOL, YES
from plvm.errors import RequestError
from plvm.types import Answer
from plvm_lab.portraits.person import SLOTS, person_of
from plvm_lab.portraits.sentences import HELD_OUT
from plvm_lab.synth.arcface import ArcFace, load_arcface
from plvm_lab.synth.backbone_answers import BackboneAnswers, traits_in
from plvm_lab.synth.filters import Face, Filters, hash_distance, picture_hash
from plvm_lab.synth.prompts import SHIPPED, TEMPLATE, ask_for_prompts, compose, read_prompts
from plvm_lab.synth.qa import Person, Picture, ask_everything


def noise(seed: int, side: int = 64) -> Image.Image:
    """A picture unlike any other seed's."""
    squares = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return Image.fromarray(squares).resize((side, side), Image.Resampling.NEAREST)


class Eye:
    """A matcher and reader by table: pictures are known by their first pixel's red."""

    text_threshold, face_threshold = 0.2, 0.5

    def __init__(self, texts: dict[int, float], faces: dict[int, list[float]]) -> None:
        self.texts, self.found = texts, faces

    def similarity(self, pictures: Sequence[Image.Image], prompts: Sequence[str]) -> list[float]:
        assert all(prompts)
        return [self.texts[_red(p)] for p in pictures]

    def faces(self, pictures: Sequence[Image.Image]) -> list[list[Face]]:
        return [[Face((0, 0, 9, 9), _towards(c)) for c in self.found[_red(p)]] for p in pictures]


def _red(picture: Image.Image) -> int:
    return int(np.asarray(picture)[0, 0, 0])


def _towards(cosine: float) -> np.ndarray:
    """A unit vector that has this cosine with (1, 0)."""
    return np.array([cosine, (1 - cosine**2) ** 0.5])


def marked(seed: int) -> Image.Image:
    image = noise(seed)
    image.putpixel((0, 0), (seed, 0, 0))
    return image


# ---- filters


def test_every_refusal_has_its_score_and_its_reason() -> None:
    eye = Eye(
        {1: 0.31, 2: 0.19999, 3: 0.4, 4: 0.4, 5: 0.4, 6: 0.21},
        {0: [1.0], 1: [0.8], 2: [0.8], 3: [0.49], 4: [], 5: [0.9, 0.1], 6: [0.5]},
    )
    filters = Filters(eye, eye)
    own, verdicts = filters.judge(marked(0), [marked(i) for i in range(1, 7)], ["a prompt"] * 6)
    assert own.kept and own.faces == 1
    assert [v.kept for v in verdicts] == [True, True, False, False, False, True]
    assert [v.text for v in verdicts] == [0.31, 0.2, 0.4, 0.4, 0.4, 0.21], "rounded before they are compared"
    assert [v.face for v in verdicts] == [0.8, 0.8, 0.49, None, 0.9, 0.5]
    assert verdicts[2].refusals == (("face", "face similarity 0.490 < 0.5"),)
    assert [by for v in verdicts[3:5] for by, _ in v.refusals] == ["no face", "several faces"]
    assert Filters(eye, eye, several_faces=True).judge(marked(0), [marked(5)], ["p"])[1][0].kept
    strict = Filters(eye, eye, text_threshold=0.35, face_threshold=0.85).judge(marked(0), [marked(1)], ["p"])[1][0]
    assert [by for by, _ in strict.refusals] == ["face", "text"]


def test_without_a_face_in_the_reference_nothing_can_be_compared() -> None:
    eye = Eye({1: 0.9}, {0: [], 1: [0.9]})
    own, (verdict,) = Filters(eye, eye).judge(marked(0), [marked(1)], ["p"])
    assert not own.kept and [by for by, _ in verdict.refusals] == ["no reference"]


def test_doubles_and_blanks_are_refused_by_looking_at_nothing_but_pixels() -> None:
    a, b = noise(1), noise(2)
    again = a.resize((96, 96), Image.Resampling.BILINEAR).resize((64, 64))
    grey = Image.new("RGB", (64, 64), (90, 90, 90))
    _, verdicts = Filters().judge(noise(0), [a, b, again, noise(0), grey], [""] * 5)
    found = [[by for by, _ in v.refusals] for v in verdicts]
    assert found[:2] == [[], []] and found[2] == ["duplicate"] and found[3] == ["duplicate"]
    assert "picture 0" in verdicts[2].refusals[0][1] and "the reference" in verdicts[3].refusals[0][1]
    assert "blank" in found[4]
    assert hash_distance(picture_hash(a), picture_hash(b)) > 30
    assert hash_distance("00ff80", "0af576") == 10


# ---- insightface behind our protocol


class Analysis:
    """Stands where insightface's `FaceAnalysis` stands; remembers the pixels that it was shown."""

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        self.boxes, self.seen = boxes, list[np.ndarray]()

    def get(self, pixels: np.ndarray) -> list[SimpleNamespace]:
        self.seen.append(pixels)
        codes = [np.array([1.0, i]) / (1 + i * i) ** 0.5 for i in range(len(self.boxes))]
        return [SimpleNamespace(bbox=np.array(b), normed_embedding=c) for b, c in zip(self.boxes, codes, strict=True)]


def test_faces_come_largest_first_each_with_its_own_code() -> None:
    analysis = Analysis((0, 0, 4, 4), (10, 10, 40, 20), (5, 5, 10, 15))
    (found,) = ArcFace(analysis).faces([noise(1)])
    assert [f.box for f in found] == [(10, 10, 40, 20), (5, 5, 10, 15), (0, 0, 4, 4)]
    assert [round(float(f.embedding[1] / f.embedding[0])) for f in found] == [1, 2, 0]


def test_a_picture_is_shown_blue_first_as_insightface_wants_it() -> None:
    analysis = Analysis()
    assert ArcFace(analysis).faces([Image.new("RGB", (3, 2), (250, 90, 10)), Image.new("L", (3, 2), 7)]) == [[], []]
    assert analysis.seen[0].shape == (2, 3, 3) and analysis.seen[0][0, 0].tolist() == [10, 90, 250]
    assert analysis.seen[1][0, 0].tolist() == [7, 7, 7] and analysis.seen[0].flags.c_contiguous


def test_without_a_pack_or_without_insightface_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RequestError, match="none are named") as caught:
        load_arcface(None)
    assert "--faces" in caught.value.hint and "--no-filters" in caught.value.hint
    monkeypatch.setitem(sys.modules, "insightface", None)
    monkeypatch.setitem(sys.modules, "insightface.app", None)
    with pytest.raises(RequestError, match="needs insightface") as caught:
        load_arcface(tmp_path)
    assert "plvm[faces]" in caught.value.hint


# ---- wordings


def test_there_are_thirty_wordings_each_way_and_none_is_held_out() -> None:
    for forms in (ASK, YES, NO):
        assert len(set(forms)) == len(forms) >= 30
    assert PROTOCOL in ASK and not set(ASK) & {w for words in HELD_OUT.values() for w in words}
    assert all(f.startswith("Yes") for f in YES) and all(f.startswith("No") for f in NO)
    assert set(ATTRIBUTES) == set(SLOTS)
    assert all(len(texts) >= 2 and "this person" in about for texts, about in ATTRIBUTES.values())


def test_the_answers_of_a_backbone_stand_beside_the_truth() -> None:
    people = [
        Person(f"k{i}", dict(zip(SLOTS, person_of("synth", i).traits, strict=True)),
               {"age": "<n0> is young.", "nose": "<n0> has a red nose."}) for i in range(3)
    ]  # fmt: skip
    items = [i for i in ask_everything(people, [], random.Random(0)) if i.kind in SLOTS]
    assert len(items) == 3 * len(SLOTS)
    assert {i.kind for i in items if i.source == "backbone"} == {"age", "nose"}
    assert all(i.truth in i.options and i.truth != "<n0> has a red nose." for i in items)
    strangers = ask_everything([Person("a")], [Picture("a-0", ("a",))], random.Random(0))
    assert [i.kind for i in strangers] == ["recognize"], "nobody to be mistaken for, nothing known"


def test_a_description_is_taken_apart_where_it_is_clear() -> None:
    told = traits_in("This is a woman, young, red hair, blue hair, freckles, a button nose.")
    assert told == {"gender": "a woman", "age": "young", "mark": "freckles", "nose": "a button nose"}
    assert traits_in("I cannot tell.") == {}


class Model:
    """Stands where a `Personal` stands; remembers what it was asked."""

    def __init__(self, text: str) -> None:
        self.text, self.asked = text, list[str]()

    def look(self, image: Image.Image) -> str:
        return "prefix"

    def ask(self, image: Image.Image, question: str) -> Answer:
        self.asked.append(question)
        return Answer(self.text)

    def ask_many(self, questions: Sequence[tuple[str, str, tuple[()]]]) -> list[Answer]:
        assert {image for image, _, _ in questions} == {"prefix"}, "the picture is looked at once"
        return [self.ask(noise(0), question) for _, question, _ in questions]


def test_a_backbone_is_asked_about_the_reference_alone_and_answers_about_the_name() -> None:
    describing = Model("This is a man, elderly, blue eyes.")
    assert BackboneAnswers(describing, describes=True).about(noise(0)) == {  # type: ignore[arg-type]
        "gender": "<n0> is a man.", "age": "<n0> is elderly.", "eye_color": "<n0> has blue eyes.",
    }  # fmt: skip
    assert len(describing.asked) == 1 and "<" not in describing.asked[0]
    general = Model(" The person has red hair. ")
    said = BackboneAnswers(general, describes=False).about(noise(0))  # type: ignore[arg-type]
    assert said["hair_color"] == "<n0> has red hair." and set(said) == set(ATTRIBUTES)
    assert general.asked == [about for _, about in ATTRIBUTES.values()]
    assert BackboneAnswers(Model(" "), describes=False).about(noise(0)) == {}  # type: ignore[arg-type]


# ---- prompts


def test_the_shipped_prompts_are_what_their_generator_makes() -> None:
    shipped = read_prompts()
    assert shipped == compose(200) and len(set(shipped)) == 200
    assert all(TEMPLATE.fullmatch(p) for p in shipped)
    assert compose(200, seed=1) != shipped and SHIPPED.suffix == ".txt"


@pytest.fixture
def api() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """An OpenAI-compatible API that writes three lines per question, one of them a bad one."""
    asked: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            asked[-1]["key"] = self.headers.get("Authorization")
            n = len(asked)
            lines = f"1. A person wearing hat {n} is dancing in room {n}.\n- A person wearing a cap is waving at gate {n}.\nSure!"
            body = json.dumps({"choices": [{"message": {"content": lines}}]}).encode()
            self.send_response(200 if self.path == "/v1/chat/completions" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked
    server.shutdown()
    server.server_close()


def test_a_model_writes_more_prompts_and_what_does_not_fit_is_dropped(api: tuple[str, list[dict[str, object]]]) -> None:
    url, asked = api
    found = ask_for_prompts(5, url, "tiny", key="secret", known=["A person wearing hat 1 is dancing in room 1."])
    assert len(found) == 5 and all(TEMPLATE.fullmatch(p) for p in found)
    assert "A person wearing hat 1 is dancing in room 1." not in found
    assert asked[0]["model"] == "tiny" and asked[0]["key"] == "Bearer secret" and len(asked) == 3
    with pytest.raises(RequestError, match="wrote 2 of 9"):
        ask_for_prompts(9, url, "tiny", rounds=1)
    with pytest.raises(RequestError, match="404"):
        ask_for_prompts(1, f"{url}/wrong", "tiny")
    with pytest.raises(RequestError, match="not the address"):
        ask_for_prompts(1, "file:///etc/passwd", "tiny")


def test_a_file_of_prompts_is_read_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("# ours\n\nA person is here.\nA person is here.\nAnother.\n")
    assert read_prompts(tmp_path / "p.txt") == ["A person is here.", "Another."]
    for content in (b"# nothing\n", b"\xff\xfe\xfa"):
        (tmp_path / "p.txt").write_bytes(content)
        with pytest.raises(RequestError):
            read_prompts(tmp_path / "p.txt")
