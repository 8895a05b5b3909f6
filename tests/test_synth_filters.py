"""Filters say why; questions have many wordings; prompts fit their template."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plvm.data.wordings import ASK, ATTRIBUTES, NO, PROTOCOL, YES
from plvm.errors import RequestError
from plvm.types import Answer
from plvm_lab.portraits.person import SLOTS, person_of
from plvm_lab.portraits.sentences import HELD_OUT
from plvm_lab.synth.arcface import LANDMARKS, align, detect, similarity_to, suppress
from plvm_lab.synth.backbone_answers import Answers, traits_in
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


# ---- ArcFace's geometry, checked against transforms that are known


def test_the_similarity_between_two_point_sets_is_recovered() -> None:
    angle, scale, shift = 0.4, 1.7, np.array([12.0, -5.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    a, b, x, y = similarity_to(LANDMARKS, LANDMARKS @ turn.T + shift)
    assert np.allclose([a, b, x, y], [turn[0, 0], turn[1, 0], *shift])


def test_an_aligned_face_has_its_landmarks_in_their_places() -> None:
    angle = np.deg2rad(30)
    turn = 2.0 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = LANDMARKS @ turn.T + np.array([150, 40])
    image = Image.new("RGB", (400, 400))
    for x, y in points:
        image.paste("white", (round(x) - 4, round(y) - 4, round(x) + 5, round(y) + 5))
    face = np.asarray(align(image, points).convert("L"))
    assert face.shape == (112, 112)
    for x, y in LANDMARKS:
        assert face[round(y), round(x)] > 200
    assert face.mean() < 20, "and nothing else is white"


def test_detections_are_decoded_where_the_anchors_are() -> None:
    side, shapes = 64, [2 * (64 // s) ** 2 for s in (8, 16, 32)]
    outputs = [np.zeros((n, w), np.float32) for w in (1, 4, 10) for n in shapes]
    cell = 2 * (1 * 4 + 2)  # stride 16: row 1, column 2, first anchor: at (32, 16)
    outputs[1][cell] = 0.9
    outputs[4][cell] = [1, 0.5, 1, 1.5]
    outputs[7][cell] = np.arange(10) / 16
    outputs[1][cell + 1], outputs[4][cell + 1] = 0.8, [1, 0.5, 1, 1.4]  # the same face, seen by the other anchor
    boxes, points = detect(outputs, side)
    assert boxes.tolist() == [[16, 8, 48, 40]]
    assert points[0].tolist() == [[32 + 2 * i, 16 + 2 * i + 1] for i in range(5)]


def test_of_overlapping_boxes_the_best_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 0, 10, 4]], float)
    assert suppress(boxes, np.array([0.5, 0.9, 0.6, 0.55])) == [1, 2, 3]
    assert suppress(np.zeros((0, 4)), np.zeros(0)) == []


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

    def look(self, image: Image.Image) -> tuple[str, int]:
        return "prefix", 1

    def ask(self, image: Image.Image, question: str) -> Answer:
        self.asked.append(question)
        return Answer(self.text)

    def ask_many(self, questions: Sequence[tuple[str, str, tuple[()]]]) -> list[Answer]:
        assert {image for image, _, _ in questions} == {"prefix"}, "the picture is looked at once"
        return [self.ask(noise(0), question) for _, question, _ in questions]


def test_a_backbone_is_asked_about_the_reference_alone_and_answers_about_the_name() -> None:
    describing = Model("This is a man, elderly, blue eyes.")
    assert Answers(describing, describes=True).about(noise(0)) == {  # type: ignore[arg-type]
        "gender": "<n0> is a man.", "age": "<n0> is elderly.", "eye_color": "<n0> has blue eyes.",
    }  # fmt: skip
    assert len(describing.asked) == 1 and "<" not in describing.asked[0]
    general = Model(" The person has red hair. ")
    said = Answers(general, describes=False).about(noise(0))  # type: ignore[arg-type]
    assert said["hair_color"] == "<n0> has red hair." and set(said) == set(ATTRIBUTES)
    assert general.asked == [about for _, about in ATTRIBUTES.values()]
    assert Answers(Model(" "), describes=False).about(noise(0)) == {}  # type: ignore[arg-type]


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
    with pytest.raises(RequestError, match="no address"):
        ask_for_prompts(1, "file:///etc/passwd", "tiny")


def test_a_file_of_prompts_is_read_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("# ours\n\nA person is here.\nA person is here.\nAnother.\n")
    assert read_prompts(tmp_path / "p.txt") == ["A person is here.", "Another."]
    for content in (b"# nothing\n", b"\xff\xfe\xfa"):
        (tmp_path / "p.txt").write_bytes(content)
        with pytest.raises(RequestError):
            read_prompts(tmp_path / "p.txt")
