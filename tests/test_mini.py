"""The mini family: the chain of its stages, and the pieces whose mistakes would only show after hours of training."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plvm
from plvm.config import changed, read_settings
from plvm.data.manifest import changed_files, read_rows
from plvm.data.shards import read_pictures, write_pictures
from plvm.data.spec import Identity
from plvm.engine.request import Request, Session
from plvm.errors import PlvmError, RequestError
from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.prompt.vocabulary import vocabulary_of
from plvm.train.initialization import read_names
from plvm.train.settings import Settings
from plvm_lab.families.mini.align import ARMS, settings_of
from plvm_lab.families.mini.build import STAGES, build_mini, stages_of
from plvm_lab.families.mini.drawing import DATA, World, draw_world
from plvm_lab.families.mini.parts import LOOK_LAYER, SHOWN_HEADS, build_vlm, image_processor
from plvm_lab.families.mini.patch_words import POSITION_SHARE, WordPictures, look_words, shown_words, word_codes
from plvm_lab.families.mini.pretrain import Pretrainer, write_dialogue
from plvm_lab.families.mini.recipe import FULL
from plvm_lab.families.mini.world import patch_figures, portrait_scene_of, reference_people, reference_scene, scene_of
from plvm_lab.portraits import scene as S
from plvm_lab.portraits.dialogues import Dialogue, DialogueMix, Named, draw_dialogue
from plvm_lab.portraits.person import PHRASES
from plvm_lab.portraits.phrases import describe
from plvm_lab.portraits.render import draw
from plvm_lab.portraits.scene import Figure
from toys import RECIPE, a_concept, picture

# ---- which stages


def test_all_is_every_stage_in_the_order_of_the_build() -> None:
    assert stages_of("all") == list(STAGES)
    assert STAGES.index("tokenizer") < STAGES.index("vision") < STAGES.index("align") < STAGES.index("export")


def test_a_list_of_stages_runs_in_the_order_of_the_build_whatever_order_was_typed() -> None:
    assert stages_of("align, tower,draw") == ["draw", "tower", "align"]


def test_a_mistyped_stage_is_refused_and_the_hint_lists_the_stages() -> None:
    with pytest.raises(RequestError, match="'tover'") as caught:
        stages_of("draw,tover")
    assert all(stage in caught.value.hint for stage in STAGES)


def test_a_mistyped_scale_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="'smok'") as caught:
        build_mini(tmp_path / "out", "smok", report=lambda *_: None)
    assert "smoke" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_another_recipe_in_the_same_folder_is_refused_with_a_hint_and_the_folder_is_left_alone(tmp_path: Path) -> None:
    stamp = tmp_path / "recipe.json"
    stamp.write_text(json.dumps(RECIPE.to_dict()))
    with pytest.raises(RequestError, match="another recipe") as caught:
        build_mini(tmp_path, "full", "tokenizer", report=lambda *_: None)
    assert "--out" in caught.value.hint
    assert [p.name for p in tmp_path.iterdir()] == ["recipe.json"]
    assert json.loads(stamp.read_text()) == RECIPE.to_dict()


# ---- the drawn pictures


DRAWN = replace(RECIPE, scenes=9, portraits=3, references=11)


def assert_drawn(folder: Path) -> None:
    """The arrays show what their rows are said to show."""
    scenes, references = (np.load(folder / f"{kind}.npy", mmap_mode="r") for kind in ("scenes", "references"))
    assert len(scenes) == 12 and len(references) == 11
    for i, row in enumerate(scenes):
        scene = scene_of(i, DRAWN.seed) if i < 9 else portrait_scene_of(i - 9, DRAWN.seed)
        assert np.array_equal(row, np.asarray(draw(scene, DRAWN.image_size)))
    for i, (s, j) in enumerate(reference_people(DRAWN)):
        person = scene_of(s, DRAWN.seed).figures[j].person
        assert np.array_equal(
            references[i], np.asarray(draw(reference_scene(person, i, DRAWN.seed), DRAWN.reference_size))
        )


def silent(what: str, done: int, of: int) -> None:
    pass


def test_the_training_arrays_are_the_pictures_of_a_dataset_and_show_the_world_row_for_row(tmp_path: Path) -> None:
    draw_world(DRAWN, tmp_path, 1, silent, shard=4)
    assert_drawn(tmp_path)
    rows = read_rows(tmp_path / DATA)
    assert changed_files(tmp_path / DATA) == [] and all(r["kept"] for r in rows)
    shown = [r for r in rows if r["name"] != "reference"]
    assert [len(r["people"]) for r in shown[:9]] == [len(scene_of(i, DRAWN.seed).figures) for i in range(9)]
    assert {r["identity"] for r in rows if r["name"] == "reference"} == {key for r in shown for key in r["people"]}
    before = {f: f.stat().st_mtime_ns for f in tmp_path.rglob("*")}
    draw_world(DRAWN, tmp_path, 1, silent, shard=4)
    assert {f: f.stat().st_mtime_ns for f in tmp_path.rglob("*")} == before, "what is drawn is not drawn again"


def test_drawing_that_was_interrupted_goes_on_with_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, limit = World.make, [7]

    def make(world: World, identity: Identity) -> Any:
        limit[0] -= 1
        if limit[0] < 0:
            raise PlvmError("The power went off.")
        return real(world, identity)

    monkeypatch.setattr(World, "make", make)
    with pytest.raises(PlvmError, match="power"):
        draw_world(DRAWN, tmp_path, 1, silent, shard=3)
    assert not list(tmp_path.glob("*.npy")) and len(list((tmp_path / DATA).glob("*.questions.parquet"))) == 2
    monkeypatch.undo()
    draw_world(DRAWN, tmp_path, 2, silent, shard=3)
    assert_drawn(tmp_path)


def test_arrays_of_an_earlier_build_are_kept_if_they_are_whole_and_made_again_if_not(tmp_path: Path) -> None:
    counts = {"scenes": 12, "references": 11}
    for kind, count in counts.items():
        np.save(tmp_path / f"{kind}.npy", np.zeros((count, 2, 2, 3), np.uint8))
        (tmp_path / f"{kind}.done").write_text(str(count))
    told: list[tuple[str, int, int]] = []
    draw_world(DRAWN, tmp_path, 1, lambda *words: told.append(words))
    assert told == [("draw scenes", 12, 12), ("draw references", 11, 11)] and not (tmp_path / DATA).exists()
    for kind in counts:
        (tmp_path / f"{kind}.done").write_text("5")
    draw_world(DRAWN, tmp_path, 1, silent)
    assert_drawn(tmp_path)


def test_a_dataset_that_lacks_a_picture_makes_no_array(tmp_path: Path) -> None:
    draw_world(DRAWN, tmp_path, 1, silent, shard=6)
    (tmp_path / "scenes.npy").unlink()
    tar = tmp_path / DATA / "train-00001.tar"
    write_pictures(tar, [(key, png, {}) for key, png in read_pictures(tar) if key != "000011_0-0"])
    with pytest.raises(PlvmError, match="lacks the picture 000011_0-0"):
        draw_world(DRAWN, tmp_path, 1, silent, shard=6)
    assert not (tmp_path / "scenes.npy").exists()


def test_the_config_file_that_users_get_is_the_shipped_aligners_training() -> None:
    file = Path(__file__).parents[1] / "research" / "runs" / "anchored.toml"
    assert changed(Settings(), read_settings(file)) == settings_of("anchored", FULL)


# ---- training writes what chat writes


def dialogues(count: int) -> list[Dialogue]:
    """Dialogues of three names, some late; a chat numbers people as they join, so late ones come last."""
    found, rng = list[Dialogue](), random.Random(11)
    while len(found) < count:
        scene = scene_of(rng.randrange(50), 0)
        dialogue = draw_dialogue(scene, 3, DialogueMix(turns=4, late=0.6), rng)
        joins = [n.joins for n in dialogue.named]
        if joins == sorted(joins) and joins[-1] > 0:
            found.append(dialogue)
    return found


@pytest.mark.parametrize("in_words", [False, True], ids=["context tokens", "descriptions"])
def test_training_writes_a_dialogue_as_the_chat_engine_does_turn_by_turn(
    backbone: Backbone, prompt: Prompt, in_words: bool
) -> None:
    for dialogue in dialogues(10):
        concepts = [a_concept(name, i, backbone.width) for i, name in enumerate(dialogue.names)]
        vocabulary = vocabulary_of([concepts], backbone.word_rows)
        written, pending, joined = list[int](), tuple[int, ...](), 0
        for turn, q in enumerate(dialogue.questions):
            now = [i for i, n in enumerate(dialogue.named) if n.joins == turn]
            texts = tuple(describe(dialogue.named[i].person, dialogue.named[i].slots) for i in now)
            session = Session((), len(written), pending, tuple(concepts[:joined]), turn)
            request = Request(session, q.text, tuple(concepts[i] for i in now), texts if in_words else ())
            written += request.write(prompt, vocabulary)
            joined += len(now)
            pending = (*prompt.named_text(" " + q.answer, request.names, vocabulary), prompt.end_id)

        def words(named: Named) -> str:
            return describe(named.person, named.slots)

        tokens = write_dialogue(prompt, dialogue, vocabulary, words if in_words else None)
        assert tokens.ids == [*written, *pending]
        supervised = [i for i, s in zip(tokens.ids, tokens.supervise, strict=True) if s]
        assert supervised.count(prompt.end_id) == len(dialogue.questions)
        assert tokens.ids.count(prompt.end_id) == len(dialogue.questions)


# ---- word pictures


def head_words(figure: Figure) -> set[str]:
    look = figure.look
    hat, glasses = S.HATS.get(look.hat, "no hat"), S.GLASSES.get(look.glasses, "no glasses")
    traits = {PHRASES[slot][value] for slot, value in zip(PHRASES, figure.person.traits, strict=True)}
    return traits | {S.EXPRESSIONS[look.expression], hat, glasses}


def body_words(figure: Figure) -> set[str]:
    garment = S.CLOTHES[figure.look.clothes].split(" ")[0]
    return {figure.look.color, garment, S.ACTIVITIES[figure.look.activity]}


def test_every_patch_of_a_word_picture_says_what_is_there_and_nothing_else() -> None:
    side = 10
    words, heads, bodies = WordPictures(side, 64), 0, 0
    for scene in (scene_of(i, 3) for i in range(25)):
        head, body = patch_figures(scene, side)
        for p, ids in enumerate(words.ids(scene)):
            said = [shown_words()[i] for i in ids if i >= 0]
            assert len(said) == len(set(said))
            if head[p] >= 0:
                assert set(said) == head_words(scene.figures[head[p]])
            elif body[p] >= 0:
                assert set(said) == body_words(scene.figures[body[p]])
            else:
                assert set(said) == {S.PLACES[scene.place], S.LIGHTS[scene.light]}
        heads, bodies = heads + len(set(head) - {-1}), bodies + len(set(body) - {-1})
    people = sum(len(scene_of(i, 3).figures) for i in range(25))
    assert heads >= 0.95 * people and bodies >= 0.8 * people, "word pictures must show (nearly) everybody"


def test_the_patches_at_a_face_and_at_its_chest_are_that_figures_unless_a_nearer_one_covers_them() -> None:
    side = 20
    for scene in (scene_of(i, 4) for i in range(100)):
        head, body = (grid.reshape(side, side) for grid in patch_figures(scene, side))
        assert not ((head >= 0) & (body >= 0)).any()
        for i, f in enumerate(scene.figures):
            row, column = int(f.y / S.CANVAS * side), int(f.x / S.CANVAS * side)
            if head[row, column] != i:
                other = max(head[row, column], body[row, column])
                assert other >= 0 and scene.figures[other].y > f.y
            chest = int((f.y + 90 * f.scale) / S.CANVAS * side)
            if chest < side and body[chest, column] != i:
                other = max(head[chest, column], body[chest, column])
                assert other >= 0 and scene.figures[other].y > f.y


def test_a_word_picture_can_be_read_back_by_comparing_with_each_words_direction() -> None:
    side, width, scene = 10, 192, scene_of(5, 3)
    words = WordPictures(side, width)
    (picture,) = words.embed([scene])
    for p, ids in enumerate(words.ids(scene)):
        likeness = words.words @ picture[p] / width
        said = set(ids[ids >= 0].tolist())
        assert set(torch.nonzero(likeness > 0.5 * len(said) ** -0.5).flatten().tolist()) == said


def test_a_patch_forgets_words_but_never_all_of_them() -> None:
    words, scene = WordPictures(10, 192), scene_of(5, 3)
    whole, (partly,) = words.embed([scene])[0], words.embed([scene], forget=0.9)
    assert not torch.allclose(whole, partly)
    assert (partly - POSITION_SHARE * words.positions).norm(dim=1).min() > 0.9 * words.positions[0].norm()


# ---- what the untrained language model can already do


def full_backbone(tokenizer: Any) -> Backbone:
    torch.manual_seed(0)
    return Backbone(build_vlm(FULL, tokenizer), tokenizer, image_processor(FULL.image_size))


def test_at_birth_a_traits_word_attends_to_the_patches_that_show_it_and_the_helpers_see_the_real_attention(
    tokenizer: Any,
) -> None:
    backbone = full_backbone(tokenizer)
    trainer = Pretrainer(FULL, backbone)
    language, scene = backbone.model.model.language_model, scene_of(5, 3)
    prefix = trainer.prefix_embeddings(WordPictures(10, FULL.width).embed([scene]), 1)
    phrases = [PHRASES[s][scene.figures[0].person[s]] for s in PHRASES]
    ids = torch.tensor([[trainer.prompt.text(" " + p)[0] for p in phrases]])
    with torch.no_grad():
        _, past = backbone.hidden(prefix, keep=True)
        assert past is not None
        suffix = backbone.word_rows[ids]
        backbone.hidden(suffix, past)
        where = torch.stack([torch.zeros(len(phrases), dtype=torch.int64), torch.arange(len(phrases))], 1)
        seen = trainer._attention(LOOK_LAYER, where, past, packs=1)
        language.set_attn_implementation("eager")
        real = language(inputs_embeds=torch.cat([prefix, suffix], 1), output_attentions=True).attentions[LOOK_LAYER]
    torch.testing.assert_close(seen, real[0, :SHOWN_HEADS, -len(phrases) :].transpose(0, 1), atol=1e-4, rtol=1e-3)
    head = torch.as_tensor(patch_figures(scene, 10)[0])
    order = [phrase for values in PHRASES.values() for phrase in values.values()]
    first = len(trainer.prompt.prefix()[0])
    for i, phrase in enumerate(phrases):
        slot = list(PHRASES)[i]
        having = [j for j, f in enumerate(scene.figures) if PHRASES[slot][f.person[slot]] == phrase]
        patches = torch.isin(head, torch.tensor(having, dtype=head.dtype))
        mass = seen[i, order.index(phrase) % SHOWN_HEADS, first : first + 100][patches].sum()
        assert mass > 0.8, phrase


def test_patches_that_change_on_their_way_up_cost_what_the_stock_models_hidden_states_say(tokenizer: Any) -> None:
    backbone = full_backbone(tokenizer)
    trainer = Pretrainer(FULL, backbone)
    images = WordPictures(10, FULL.width).embed([scene_of(5, 3), scene_of(6, 3)])
    prefix = trainer.prefix_embeddings(images, 2)
    first = len(trainer.prompt.prefix()[0])
    with torch.no_grad():
        backbone.hidden(prefix, keep=True)
        cost = trainer._rest_loss(prefix, images)
        states = backbone.model.model.language_model(inputs_embeds=prefix, output_hidden_states=True).hidden_states
    changes = [
        [(s[b, first + p] - images[b, p]).norm() ** 2 / images[b, p].norm() ** 2 for b in range(2) for p in range(100)]
        for s in states[1:-1]
    ]
    assert cost.item() == pytest.approx(torch.tensor(changes).mean().item(), rel=1e-4) and cost > 0.01
    assert trainer._rest_loss(prefix, None) == 0


def test_from_birth_the_last_layer_hands_on_how_somebody_looks(tokenizer: Any) -> None:
    attention = full_backbone(tokenizer).model.model.language_model.layers[-1].self_attn
    codes = torch.cat([word_codes(10, FULL.width)[shown_words().index(w)][None] for w in look_words()])
    said = attention.o_proj(attention.v_proj(codes)) @ codes.T
    torch.testing.assert_close(said, torch.eye(len(codes)), atol=1e-4, rtol=0)


# ---- the whole chain


@pytest.mark.slow
def test_one_command_builds_a_family_that_loads_and_answers_and_a_second_run_trains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    shipped, elsewhere = Path(plvm.__file__).parent / "mini" / "weights", tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    files = {p: p.stat().st_mtime_ns for p in shipped.rglob("*") if p.is_file()}
    told: list[tuple[str, int, int, dict[str, float]]] = []

    def report(stage: str, step: int, steps: int, figures: Any) -> None:
        told.append((stage, step, steps, dict(figures)))

    threads, out = torch.get_num_threads(), tmp_path / "build"
    try:
        weights = build_mini(out, "smoke", "all", report=report, workers=1, threads=2)
        assert [stage for stage, _, _, figures in told if "seconds" in figures] == list(STAGES)
        assert weights == out / "weights"

        vlm = plvm.load(weights / "aligner")
        someone = vlm.enroll("billie", picture(1))
        answer = vlm.ask(picture(2), "Is <billie> in this photo? Answer with Yes or No.", [someone])
        assert answer.prompt_tokens > 100 and answer.finish in ("end", "length")
        (row,) = vlm.recognize([picture(2)], [someone])
        assert 0 < row[0] < 1
        summary = [p for p in (out / "evaluation").rglob("*.json") if json.loads(p.read_text())]
        assert summary, "the evaluation must leave its results"

        trained = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(out.rglob("*.pt"))}
        aligners = {f"aligner-{arm}/run/aligner.pt" for arm in ARMS}
        stages = {"tower.pt", "encoder.pt", "language.pt", "vision.pt", "conversation.pt"}
        assert {p.relative_to(out).as_posix() for p in trained} == stages | aligners
        assert read_names(str(weights / "backbone")) is not None, (
            "the names of pretraining are shipped for other Aligners"
        )
        told.clear()
        again = ["draw", "tower", "encoder", "language", "vision", "align"]
        build_mini(out, "smoke", ",".join(again), report=report, workers=1, threads=2)
        worked = [t for t in told if "seconds" not in t[3] and not t[0].startswith("draw")]
        assert not worked, "a finished stage must not be trained again"
        assert all(step == steps for stage, step, steps, _ in told if stage.startswith("draw"))
        assert trained == {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(out.rglob("*.pt"))}
        assert not list(out.glob("*.partial"))

        with pytest.raises(RequestError, match="another recipe") as caught:
            build_mini(out, "full", "tokenizer", report=report)
        assert "--out" in caught.value.hint
    finally:
        torch.set_num_threads(threads)
    assert not list(elsewhere.iterdir())
    assert not [p for p in home.rglob("*") if p.is_file()]
    assert {p: p.stat().st_mtime_ns for p in shipped.rglob("*") if p.is_file()} == files
