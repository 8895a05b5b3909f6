"""How unlike the training a picture is: the score, its file, who carries it, and who is warned."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import plvm
from plvm.errors import CheckpointError, ImageError
from plvm.families import shipped
from plvm.model.checkpoint import (
    FAMILIARITY,
    fingerprint,
    load_aligner,
    load_familiarity,
    save_aligner,
    save_familiarity,
)
from plvm.model.encoder import Encoder
from plvm.model.familiarity import Familiarity, fit_density
from plvm.personal import Personal
from plvm.train.familiar import Album, fit_familiarity, worn
from plvm_lab.families.mini.familiar_pictures import query, reference
from plvm_lab.families.mini.recipe import FULL
from plvm_lab.portraits.render import draw
from shell import Shell
from shell import load_once as load_once
from shell import shell as shell
from toys import picture

pytest_plugins = ["family"]
FAR = "This is what it is made for."


def flat(number: int) -> Image.Image:
    return Image.new("RGB", (120, 120), [(200, 30, 30), (0, 0, 0), (90, 140, 255)][number % 3])


def noise(number: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (150, 150, 3), dtype=np.uint8))


# ---- the score


def some_features(count: int, width: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=torch.Generator().manual_seed(0))
    return torch.randn(count, width, generator=generator) @ mixing + 3.0


def test_with_pictures_enough_the_score_is_the_mahalanobis_distance_between_its_marks() -> None:
    train, validation = some_features(400, 12, 1), some_features(300, 12, 2)
    asked = 3.0 + 1.5 * (some_features(40, 12, 3) - 3.0)
    middle, covariance = train.double().numpy().mean(0), np.cov(train.double().numpy().T)

    def distance(rows: torch.Tensor) -> np.ndarray:
        away = rows.double().numpy() - middle
        return np.sqrt(np.einsum("nd,de,ne->n", away, np.linalg.inv(covariance), away))

    zero, one = np.quantile(distance(validation), [0.5, 0.99])
    wanted = np.maximum(0, (distance(asked) - zero) / (one - zero))
    assert fit_density(train, validation).scores(asked) == pytest.approx(wanted, rel=0.02, abs=0.02)
    assert wanted.max() > 1 and wanted.min() == 0


def test_with_few_pictures_of_many_features_what_lies_off_the_axes_counts() -> None:
    generator = torch.Generator().manual_seed(1)
    plane = torch.randn(2, 200, generator=generator)
    rows = torch.randn(80, 2, generator=generator) @ plane + 0.1 * torch.randn(80, 200, generator=generator)
    density = fit_density(rows[:60], rows[60:])
    assert len(density.spread) == 15
    off = rows[60:] + torch.randn(200, generator=generator)
    assert max(density.scores(rows[60:])) < 1.1 < 2 < min(density.scores(off))


def test_one_validation_picture_in_a_hundred_is_beyond_the_limit_and_half_of_them_are_at_zero() -> None:
    validation = some_features(1000, 6, 2)
    scores = torch.tensor(fit_density(some_features(500, 6, 1), validation).scores(validation))
    assert (scores > 1).sum() == 10 and (scores == 0).sum() == 500


def test_equal_training_pictures_leave_a_score_that_is_a_number() -> None:
    same = torch.ones(20, 5)
    density = fit_density(same, same)
    assert density.scores(same) == [0.0] * 20 and density.scores(same + 1)[0] > 1


def test_every_second_picture_is_fitted_as_it_came_through_other_hands() -> None:
    own = picture(1, 100)
    assert worn(own, 4) is own
    copy = worn(own, 5)
    assert copy.mode == "RGB" and copy.size != own.size and copy.tobytes() == worn(own, 5).tobytes()


def test_a_reference_that_the_encoder_refuses_is_left_out(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vlm, pixels = plvm.load(family, device="cpu"), Encoder.pixels

    def picky(self: Encoder, images: Sequence[Image.Image], kinds: Sequence[str] = ()) -> torch.Tensor:
        if any(image.size != (100, 100) for image in images):
            raise ImageError("no face", "take another")
        return pixels(self, images, kinds)

    monkeypatch.setattr(Encoder, "pixels", picky)
    album = Album(range(40), range(40, 80), lambda number: picture(number, 100))
    found = fit_familiarity(vlm.backbone, vlm.encoder, album, album, name="", advice="", report=lambda *_: None)
    kept = [[picture(i, 100) for i in own[::2]] for own in (range(40), range(40, 80))]  # those that were worn have another size
    features = [vlm.encoder.features_and_glance(vlm.encoder.pixels(own))[1] for own in kept]
    own = fit_density(*features)
    assert found.references.scores(features[1]) == pytest.approx(own.scores(features[1]), rel=1e-4)


# ---- the file


@pytest.fixture(scope="module")
def toy(family: Path) -> Familiarity:
    """Fitted on coarse squares between the parts of the miniature."""
    vlm = plvm.load(family, device="cpu")
    album = Album(range(60), range(60, 110), picture)
    done: list[tuple[int, int]] = []
    found = fit_familiarity(
        vlm.backbone, vlm.encoder, album, album, name="the miniature", advice=FAR, report=lambda *now: done.append(now)
    )
    assert done[-1] == (220, 220) and done == sorted(done)
    return found


@pytest.fixture(scope="module")
def knowing(family: Path, toy: Familiarity, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the miniature's Aligner with a familiarity."""
    folder = tmp_path_factory.mktemp("knowing")
    shutil.copytree(family.parent, folder, dirs_exist_ok=True)
    save_familiarity(folder / family.name, toy)
    return folder / family.name


def test_what_was_saved_scores_as_what_was_fitted_and_the_fingerprint_stays(
    family: Path, knowing: Path, toy: Familiarity
) -> None:
    found = load_familiarity(knowing)
    assert found is not None and (found.name, found.advice) == (toy.name, toy.advice)
    for mine, own in ((found.queries, toy.queries), (found.references, toy.references)):
        asked = own.centre + torch.randn(20, len(own.centre)) * own.scale * 3
        assert mine.scores(asked) == own.scores(asked)
    assert fingerprint(*load_aligner(knowing)[:2]) == fingerprint(*load_aligner(family)[:2])
    assert plvm.load(knowing, device="cpu").fingerprint == plvm.load(family, device="cpu").fingerprint


def test_an_aligner_saved_over_another_takes_its_own_familiarity_or_none(knowing: Path, toy: Familiarity, tmp_path: Path) -> None:
    aligner, template, record = load_aligner(knowing)
    save_aligner(tmp_path, aligner, template, record, familiarity=toy)
    assert load_familiarity(tmp_path) is not None
    save_aligner(tmp_path, aligner, template, record)
    assert load_familiarity(tmp_path) is None and not (tmp_path / FAMILIARITY).exists()


def test_a_damaged_or_foreign_file_is_refused_in_words(knowing: Path, toy: Familiarity, tmp_path: Path) -> None:
    def refused() -> str:
        with pytest.raises(CheckpointError) as caught:
            plvm.load(folder / "aligner", device="cpu")
        assert FAMILIARITY in caught.value.message and caught.value.hint
        return caught.value.message

    folder = tmp_path / "copy"
    shutil.copytree(knowing.parent, folder)
    file = folder / "aligner" / FAMILIARITY
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refused()
    file.write_bytes(whole.replace(b'\\"version\\": \\"1\\"', b'\\"version\\": \\"9\\"'))
    assert "version '9'" in refused()
    save_familiarity(folder / "aligner", replace(toy, queries=replace(toy.queries, spread=-toy.queries.spread)))
    assert "do not fit each other" in refused()
    narrow = fit_density(torch.randn(20, 3), torch.randn(20, 3))
    save_familiarity(folder / "aligner", replace(toy, queries=narrow))
    assert "widths (3, " in refused()


# ---- who carries it


@pytest.fixture(scope="module")
def vlm(knowing: Path) -> Personal:
    return plvm.load(knowing, device="cpu")


def test_prefixes_answers_dialogues_and_concepts_carry_the_same_score(vlm: Personal, toy: Familiarity) -> None:
    (tokens,) = vlm.backbone.image_tokens(vlm.backbone.pixels([flat(0)]))
    assert tokens.glance is not None
    (wanted,) = toy.queries.scores(tokens.glance[None])
    assert wanted > 1
    seen, near = vlm.look(flat(0)), vlm.look(picture(3))
    assert near.unlike is not None and near.unlike < 1 < wanted
    assert seen.unlike == pytest.approx(wanted, rel=1e-4)
    params = plvm.SamplingParams(max_tokens=2)
    assert vlm.ask(flat(0), "Who?", params=params).unlike == vlm.ask(seen, "Who?", params=params).unlike == seen.unlike
    chat = vlm.chat(seen)
    assert [chat.ask("Who?", params).unlike for _ in range(3)] == [seen.unlike] * 3 and chat.unlike == seen.unlike
    chat.look_at(picture(3))
    assert chat.unlike == chat.ask("Who?", params).unlike == near.unlike
    assert vlm.ask(None, "Who?", params=params).unlike is None

    one, several = vlm.enroll_many({"billie": [picture(1)], "avril": [picture(2), flat(1)]})
    glances = vlm.encoder.features_and_glance(vlm.encoder.pixels([picture(1), picture(2), flat(1)]))[1]
    scores = toy.references.scores(glances)
    assert [*one.unlike, *several.unlike] == pytest.approx(scores, rel=1e-3, abs=1e-3) and scores[2] > 1 > scores[1]


def test_a_folder_without_one_works_and_says_nothing(family: Path) -> None:
    vlm = plvm.load(family, device="cpu")
    assert vlm.familiarity is None and vlm.look(flat(0)).unlike is None
    assert vlm.ask(flat(0), "Who?", params=plvm.SamplingParams(max_tokens=1)).unlike is None
    assert vlm.enroll("billie", flat(0)).unlike == ()


def test_the_score_changes_nothing_else(family: Path, vlm: Personal) -> None:
    without = plvm.load(family, device="cpu")
    a, b = without.enroll("billie", picture(1)).tokens, vlm.enroll("billie", picture(1)).tokens
    assert all(torch.equal(getattr(a, part), getattr(b, part)) for part in ("word", "head", "context", "key"))
    assert without.ask(picture(5), "Who is there?").text == vlm.ask(picture(5), "Who is there?").text


def test_a_warning_names_the_pictures_and_what_to_do(toy: Familiarity) -> None:
    assert toy.warning({"a.png": 0.4, "b.png": None, "c.png": 1.0}) == ""
    assert toy.warning({"a.png": 0.4, "b.png": 3.14}) == (
        f"b.png is unlike the pictures that the miniature was trained on (3.1 times the limit). {FAR}"
    )
    told = toy.warning({f"{i}.png": 1.5 + i for i in range(5)})
    assert told.startswith("0.png, 1.png, 2.png and 2 more are unlike the") and "(up to 5.5 times the limit)" in told


# ---- who is warned


def test_the_verbs_warn_once_on_stderr_and_write_the_number(shell: Shell, knowing: Path) -> None:
    flat(0).save("red.png")
    few = ("--max-tokens", "1")

    def warned(*words: str, input: str = "") -> tuple[int, str]:
        out = shell(*words, model=knowing, input=input)
        return shell.err.count("unlike the pictures that the miniature was trained on"), out

    assert warned("add", "billie", "billie.png")[0] == 0
    assert warned("add", "avril", "red.png")[0] == 1 and FAR in shell.err and "red.png is" in shell.err
    count, out = warned("add", "carl", "avril.png", "red.png", "--json")
    assert count == 1 and json.loads(out)["enrolled"][0]["unlike"] > 1
    count, out = warned("ask", "red.png", "Who is <billie>?", *few)
    assert count == 1 and FAR not in out
    count, out = warned("ask", "red.png", "Who is <billie>?", *few, "--json")
    assert count == 1 and json.loads(out)["unlike"] > 1
    count, out = warned("ask", "party.png", "Who is <billie>?", *few, "--json")
    assert count == 0 and 0 <= json.loads(out)["unlike"] < 1
    assert json.loads(warned("ask", "--no-image", "Who is <billie>?", *few, "--json")[1])["unlike"] is None
    count, out = warned("recognize", "party.png", "red.png", "--json")
    assert count == 1 and [item["unlike"] > 1 for item in json.loads(out)] == [False, True]
    assert warned("recognize", "party.png")[0] == 0
    lines = "Who is there?\nAnd now?\n/image party.png\nAnd here?\n/image red.png\nAgain?\n/quit\n"
    assert warned("chat", "red.png", *few, input=lines)[0] == 1
    assert warned("chat", *few, input="/add dina red.png\n/quit\n")[0] == 1


def test_a_folder_of_people_gets_one_warning_for_all(shell: Shell, knowing: Path) -> None:
    for name, own in (("anna", picture(1)), ("ben", flat(0)), ("cleo", flat(1))):
        Path(f"people/{name}").mkdir(parents=True)
        own.save(f"people/{name}/1.png")
    out = json.loads(shell("add", "--folder", "people", "--json", model=knowing))
    assert shell.err.count("unlike the pictures") == 1 and "ben, cleo are unlike" in shell.err
    assert [item["unlike"] > 1 for item in out["enrolled"]] == [False, True, True]


def test_without_a_familiarity_nobody_is_warned(shell: Shell) -> None:
    flat(0).save("red.png")
    out = json.loads(shell("add", "avril", "red.png", "--json"))
    assert shell.err == "" and out["enrolled"][0]["unlike"] is None
    assert json.loads(shell("ask", "red.png", "Who?", "--max-tokens", "1", "--json"))["unlike"] is None


# ---- the shipped family


@pytest.fixture(scope="module")
def mini() -> Personal:
    return plvm.load("mini", device="cpu")


def scores(mini: Personal, pictures: list[Image.Image]) -> tuple[list[float], list[float]]:
    """How unlike the training pictures are, as query pictures and as references."""
    asked = [mini.look(own).unlike for own in pictures]
    made = mini.enroll_many({f"p{i}": [own] for i, own in enumerate(pictures)})
    return [s for s in asked if s is not None], [s for concept in made for s in concept.unlike]


def test_mini_takes_its_own_people_as_they_are_resized_or_compressed(mini: Personal) -> None:
    for of, kind in ((query, 0), (reference, 1)):
        for change in (lambda p, _: p, lambda p, i: p.resize((200 + 20 * i,) * 2), lambda p, i: worn(p, 2 * i + 1)):
            pictures = [change(draw(of("val", 40_000_000 + i, FULL), 320), i) for i in range(6)]
            found = scores(mini, pictures)[kind]
            assert len(found) == 6 and sum(s > 1 for s in found) <= 1, found


@pytest.mark.parametrize("other", [flat, noise], ids=["flat", "noise"])
def test_mini_warns_of_what_it_has_never_seen(mini: Personal, other: Callable[[int], Image.Image]) -> None:
    for found in scores(mini, [other(i) for i in range(3)]):
        assert len(found) == 3 and min(found) > 1.5, found


def test_minis_advice_says_what_it_is_for(mini: Personal) -> None:
    assert mini.familiarity is not None
    told = mini.familiarity.warning({"photo.jpg": 3.0})
    assert "mini" in told and "drawn people" in told and "plvm train" in told
    folder = shipped("mini")
    assert folder is not None and (folder / FAMILIARITY).stat().st_size < 1_000_000


def test_fitted_again_it_is_the_same(mini: Personal, tmp_path: Path) -> None:
    def fitted() -> Any:
        own = [draw(reference("train", i, FULL), 112) for i in range(12)]
        album = Album(range(8), range(8, 12), own.__getitem__)
        random.seed(len(own))
        return fit_familiarity(mini.backbone, mini.encoder, album, album, name="", advice="", report=lambda *_: None)

    one, two = fitted(), fitted()
    assert torch.equal(one.queries.axes, two.queries.axes) and torch.equal(one.references.marks, two.references.marks)
