"""Every dataset of the field opens in its own layout, every flaw planted in it is reported by name, and all of them run
through the one runner."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from guess import Guess
from layouts import LAYOUTS, NAMES, POINTER, change, query, reference, save, text_only, write
from plvm.cli.main import app
from plvm.errors import RequestError
from plvm.personal import load
from plvm_lab.evaluate.harness import Harness
from plvm_lab.evaluate.photo_benchmark import PhotoBenchmark, Photographs
from plvm_lab.evaluate.portraits_benchmark import SMALL, portraits
from plvm_lab.evaluate.runner import evaluate
from plvm_lab.evaluate.suites import SUITES, open_suite
from plvm_lab.evaluate.suites.builder import KINDS
from plvm_lab.systems import SYSTEMS
from plvm_lab.systems.comparison import evaluate_system, every_system

pytest_plugins = ["family"]

SIZE = {"not-the-papers-size"}  # every small folder has it, where the paper gives a size
PATHS = {"rap": {"absolute-path"}, "mc-llava": {"absolute-path"}}


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in LAYOUTS.items()}


@pytest.fixture
def at(originals: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a layout, to be spoilt."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(originals[name], tmp_path / name))

    return copy


def kinds(suite: PhotoBenchmark) -> set[str]:
    return {d.kind for d in suite.defects}


@pytest.mark.parametrize(
    ("name", "identities", "pictures", "positive", "negative", "text", "visual"),
    [
        ("folder", 3, 7, 6, 15, 1, 3),
        ("plvm", 3, 6, 6, 12, 3, 3),
        ("yollava", 3, 6, 6, 12, 6, 3),
        ("rap", 3, 6, 6, 12, 6, 3),
        ("myvlm", 3, 3, 3, 6, 0, 0),
        ("mc-llava", 2, 6, 7, 5, 3, 5),
    ],
)
def test_each_layout_gives_the_items_that_lie_in_it(
    originals: dict[str, Path], name: str, identities: int, pictures: int, positive: int, negative: int, text: int,
    visual: int,
) -> None:  # fmt: skip
    suite = open_suite(name, originals[name])
    facts = suite.facts
    assert [facts[k] for k in ("identities", "pictures", "positive", "negative", "text", "visual")] == [
        identities, pictures, positive, negative, text, visual,
    ]  # fmt: skip
    assert kinds(suite) <= SIZE | PATHS.get(name, set()), suite.defects
    for item in (*suite.text_qa, *suite.visual_qa):
        assert any(f"<{item.about}>" in t for t in (item.question, *item.options)) and "sks" not in item.question
    assert set(SUITES) == set(LAYOUTS)


def test_recognition_questions_are_worded_as_the_dataset_words_them(originals: dict[str, Path]) -> None:
    asked = {name: open_suite(name, originals[name]).pairs[0].question for name in ("plvm", "yollava", "rap")}
    assert asked["plvm"] == "Is <ann> in this photo? Answer with Yes or No."
    assert asked["yollava"] == "Can you see <ann> in this photo? Answer with a single word or phrase."
    assert asked["rap"] == "Is <ann> in this image? Answer with a single word or phrase."


def test_pictures_of_several_are_asked_about_one_by_one_and_together(originals: dict[str, Path]) -> None:
    suite = open_suite("mc-llava", originals["mc-llava"])
    assert [p.truth for p in suite.several] == [True, False]
    assert suite.several[0].concepts == ("ann", "ben") and "<ann> and <ben>" in suite.several[0].question
    assert suite.people[suite.several[0].picture] == {"ann", "ben"}
    assert suite.people[suite.several[1].picture] == {"ann"}


def test_only_some_concepts_may_be_kept(originals: dict[str, Path]) -> None:
    suite = open_suite("yollava", originals["yollava"], ["ann", "cem"])
    assert suite.names == ("ann", "cem") and len(suite.pictures) == 4 and not suite.defects
    assert {c.about for c in (*suite.text_qa, *suite.visual_qa)} == {"ann", "cem"}


# ---------------------------------------------------------------- flaws


def lfs(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).write_text(POINTER) and None  # type: ignore[return-value]


def again(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """RAP's rows with the positives repeated as "negative", as they were released."""
    return rows + [row | {"type": "negative"} for row in rows if row["correct_answer"]]


def without_pictures(root: Path) -> None:
    for path in (root / "ann").glob("query*"):
        path.unlink()


def flat(value: dict[str, Any]) -> dict[str, Any]:
    return {picture: row for rows in value.values() for picture, row in rows.items()}


def other_key(root: Path) -> None:
    (root / "eval").mkdir(exist_ok=True)
    shutil.copy(root / "yollava-visual-qa.json", root / "eval")
    change(root / "eval/yollava-visual-qa.json", lambda v: next(iter(v["ann"].values())).update(correct_answer="B"))


def swap(root: Path) -> None:
    test = root / "two_concept/concept/test/ann"
    a, b = (test / "qa.json").read_text(), (test / "vqa.json").read_text()
    (test / "qa.json").write_text(b), (test / "vqa.json").write_text(a)


PLANTED: list[tuple[str, str, Callable[[Path], Any]]] = [
    ("plvm", "no-query", without_pictures),
    ("plvm", "several-references", lambda r: save(r / "ann" / "ref_img.jpg", reference(0, 1))),
    ("plvm", "recognition-in-qa", lambda r: change(
        r / "query_ques.json", lambda v: v[0].update(question="Is <sks> in this photo?"))),
    ("plvm", "missing-picture", lambda r: change(
        r / "query_ques.json", lambda v: v[0].update(query_img="ann/query_img9.png"))),
    ("plvm", "not-the-papers-size", lambda r: None),
    ("plvm", "unknown-concept", lambda r: shutil.rmtree(r / "ben") or change(r / "query_ques.json", lambda v: v[:1])),
    ("plvm", "missing-file", lambda r: (r / "query_ques.json").unlink()),
    ("plvm", "unusable-name", lambda r: save(r / "two words" / "ref_img.png", reference(5))),
    ("yollava", "lfs-pointer", lfs("test/ann/0.png")),
    ("yollava", "no-reference", lambda r: shutil.rmtree(r / "train" / "ben")),
    ("yollava", "flat-questions", lambda r: change(r / "yollava-visual-qa.json", flat)),
    ("yollava", "skewed-key", lambda r: write(r / "yollava-text-only-qa.json", text_only(8))),
    ("rap", "skewed-key", lambda r: write(r / "yollava-text-only-qa.json", text_only(8))),
    ("rap", "repeated-rows", lambda r: change(r / "eval/recognition_test.json", again)),
    ("rap", "mislabelled-row", lambda r: change(r / "eval/recognition_test.json", again)),
    ("rap", "contradictory-rows", lambda r: change(
        r / "eval/recognition_test.json", lambda v: [*v, v[0] | {"correct_answer": False}])),
    ("rap", "missing-pairs", lambda r: change(r / "eval/recognition_test.json", lambda v: v[:-1])),
    ("rap", "conflicting-answer", other_key),
    ("rap", "absolute-path", lambda r: None),
    ("rap", "mislabelled-row", lambda r: change(
        r / "example_database/database.json", lambda v: v["path_to_concept"].update({"./example_database/ann.png": "<b>"}))),
    ("myvlm", "captions-without-name", lambda r: change(r / "ann/captions.json", lambda v: v.update({"b.jpg": ["A man."]}))),
    ("myvlm", "missing-picture", lambda r: change(r / "ann/captions.json", lambda v: v.update({"z.jpg": ["ann"]}))),
    ("myvlm", "unlisted-picture", lambda r: change(r / "ann/captions.json", lambda v: v.pop("b.jpg") and None)),
    ("mc-llava", "missing-file", lambda r: (r / "som_info.json").unlink()),
    ("mc-llava", "swapped-files", swap),
    ("mc-llava", "unlisted-picture", lambda r: change(
        r / "two_concept/multi/ann_ben/position.json", lambda v: v.pop("1.png") and None)),
    ("folder", "reference-is-query", lambda r: shutil.copy(r / "ann/reference.png", r / "ann/9.png")),
    ("folder", "duplicate-picture", lambda r: shutil.copy(r / "ann/0.png", r / "ann/9.png")),
    ("folder", "shared-picture", lambda r: shutil.copy(r / "ann/0.png", r / "ben/9.png")),
    ("folder", "unreadable-picture", lambda r: (r / "ann/9.png").write_bytes(b"not a picture")),
    ("folder", "unreadable-file", lambda r: (r / "questions.json").write_text("{")),
    ("folder", "duplicate-question", lambda r: change(r / "questions.json", lambda v: [*v, v[0]])),
    ("folder", "conflicting-answer", lambda r: change(r / "questions.json", lambda v: [*v, v[0] | {"answer": "A"}])),
    ("folder", "bad-options", lambda r: change(r / "questions.json", lambda v: v[0].update(answer="C"))),
    ("folder", "nobody-named", lambda r: change(r / "questions.json", lambda v: v[3].update(question="Is it old?"))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "plant"), PLANTED)
def test_a_planted_flaw_is_reported_by_name(
    at: Callable[[str], Path], name: str, kind: str, plant: Callable[[Path], Any]
) -> None:
    root = at(name)
    before = [d for d in open_suite(name, root).defects if d.kind == kind]
    plant(root)
    suite = open_suite(name, root)
    found = [d for d in suite.defects if d.kind == kind]
    assert len(found) > len(before) or kind in SIZE | {"absolute-path"}
    assert found and all(d.where and d.what for d in found)


def test_every_kind_of_flaw_was_planted() -> None:
    assert {kind for _, kind, _ in PLANTED} == set(KINDS)


@pytest.mark.parametrize("name", ["folder", "plvm", "yollava", "rap", "mc-llava"])
@pytest.mark.parametrize(
    "content", [[1, "two"], {"ann": 3, "x": [1]}, "text", None, [{"options": ["a", "b"], "concept": "ann"}]]
)
def test_json_of_another_shape_is_a_flaw_and_no_crash(at: Callable[[str], Path], name: str, content: Any) -> None:
    root = at(name)
    for path in root.rglob("*.json"):
        if path.name not in ("database.json", "recognition_test.json"):  # without these RAP has nothing to ask
            write(path, content)
    assert open_suite(name, root).names


def test_the_page_explains_every_flaw_and_every_suite() -> None:
    page = (Path(__file__).parents[1] / "docs" / "suites.md").read_text(encoding="utf-8")
    assert all(f"| `{kind}` | {means} |" in page for kind, means in KINDS.items())
    assert all(f"`{name}`" in page for name in SUITES)


def test_repeated_rows_are_asked_once_and_by_their_answer(at: Callable[[str], Path]) -> None:
    root = at("rap")
    clean = open_suite("rap", root)
    change(root / "eval/recognition_test.json", again)
    spoilt = open_suite("rap", root)
    assert (spoilt.present == clean.present).all() and (spoilt.asked == clean.asked).all()
    told = {d.kind: d.what for d in spoilt.defects}
    assert told["repeated-rows"].startswith("6 times") and told["mislabelled-row"].startswith("6 times")


def test_what_gives_the_answer_away_is_not_asked(at: Callable[[str], Path]) -> None:
    root = at("folder")
    before = open_suite("folder", root)
    shutil.copy(root / "ann/reference.png", root / "ann/9.png")
    shutil.copy(root / "ann/0.png", root / "ben/9.png")
    after = open_suite("folder", root)
    assert len(after.pictures) == len(before.pictures)
    shared = after.pictures.index(root / "ann/0.png")
    assert after.people[shared] == {"ann", "ben"}, "one picture under two names shows both"
    assert after.key != before.key, "records of the one are not those of the other"


def test_the_key_that_is_always_a_is_told_with_what_it_scores(at: Callable[[str], Path]) -> None:
    root = at("rap")
    write(root / "yollava-text-only-qa.json", text_only(10))
    what = next(d.what for d in open_suite("rap", root).defects if d.kind == "skewed-key")
    assert what == "A is the key of 30 of 30 text questions (100.0%)"


def test_a_folder_with_nothing_to_ask_is_refused_with_its_flaws(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    with pytest.raises(RequestError, match="no-reference: ann") as refused:
        open_suite("folder", tmp_path)
    assert "docs/suites.md" in refused.value.hint
    with pytest.raises(RequestError, match="not a folder"):
        open_suite("folder", tmp_path / "nowhere")
    with pytest.raises(RequestError, match='Perhaps "yollava"'):
        open_suite("yolava", tmp_path)


def test_a_concepts_own_questions_need_not_name_it_and_speak_of_the_pictures_beside_them(
    at: Callable[[str], Path],
) -> None:
    root = at("folder")
    whole = open_suite("folder", root)
    rows = json.loads((root / "questions.json").read_text())
    (root / "questions.json").unlink()
    for name in NAMES:
        own = [{k: v for k, v in row.items() if k != "concept"} for row in rows if row["concept"] == name]
        for row in own:
            if "picture" in row:
                row["picture"] = row["picture"].rpartition("/")[2]
        (root / name / "questions.json").write_text(json.dumps(own))
    split = open_suite("folder", root)
    assert not kinds(split) - SIZE, split.defects

    def asked(suite: PhotoBenchmark) -> list[tuple[Any, ...]]:
        items = (*suite.text_qa, *suite.visual_qa)
        return sorted((i.about, i.question, i.key, -1 if i.picture is None else i.picture) for i in items)

    assert asked(split) == asked(whole) and len(asked(split)) == 4
    (root / "ben" / "questions.json").write_text("{")
    assert [(d.kind, Path(d.where).name) for d in open_suite("folder", root).defects] == [
        ("unreadable-file", "questions.json")
    ]


def test_large_pictures_are_reduced_and_only_some_stay_in_memory(at: Callable[[str], Path]) -> None:
    root = at("folder")
    save(root / "ann" / "8.png", Image.new("RGB", (2400, 1200), "red"))
    suite = open_suite("folder", root)
    album = Photographs(suite, keep=2)
    number = suite.pictures.index(root / "ann" / "8.png")
    assert album.query(number).size == (1024, 512)
    np.testing.assert_array_equal(np.array(album.reference("ann=ben")), np.array(reference(1)))
    np.testing.assert_array_equal(
        np.array(album.query(suite.pictures.index(root / "ann/0.png"))), np.array(query(0, 0))
    )
    assert len(album._kept) == 2


def test_a_system_learns_from_as_many_references_as_it_takes_and_there_are(at: Callable[[str], Path]) -> None:
    root = at("yollava")
    name = sorted(p.name for p in (root / "train").iterdir())[0]
    before = len(open_suite("yollava", root).references[name])
    for i in range(2):
        save(root / "train" / name / f"{90 + i}.png", Image.new("RGB", (64, 64), (i, 9, 9)))
    suite = open_suite("yollava", root)

    system = Guess()
    for most in (1, 2, 9):
        system.references = most
        assert len(Harness(system, suite, suite.album()).references(name)) == min(most, before + 2)
    assert suite.album().reference(name, before + 1).getpixel((0, 0)) == (1, 9, 9)


# ---------------------------------------------------------------- the runner


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_a_folder_runs_through_the_one_runner(originals: dict[str, Path], tmp_path: Path, name: str) -> None:
    suite = open_suite(name, originals[name])
    asked: list[str] = []
    found = evaluate(Guess(), suite, tmp_path, progress=lambda part, *_: asked.append(part))
    assert found["skipped"] == [] and found["suite"] == name and found["benchmark"]["defects"] == suite.facts["defects"]
    assert found["recognition"]["n_positive"] == suite.facts["positive"]
    assert found["recognition"]["n_negative"] == suite.facts["negative"]
    assert set(suite.parts) <= set(found)
    for part in {"text_qa", "visual_qa"} & set(suite.parts):
        assert {"constant", "permuted", "no_reference"} <= set(found["controls"][part])
    asked.clear()
    evaluate(Guess(), suite, tmp_path, progress=lambda part, *_: asked.append(part))
    assert not asked, "a finished run asks nothing again"


def test_the_command_checks_a_folder_and_measures_a_system_on_it(
    at: Callable[[str], Path], tmp_path: Path, family: Path
) -> None:
    root, out = at("folder"), tmp_path / "out"
    shutil.copy(root / "ann/0.png", root / "ann/9.png")
    checked = CliRunner().invoke(app, ["eval", "--suite", "folder", "--root", str(root), "--check"])
    assert checked.exit_code == 0 and "duplicate-picture" in checked.stdout and "1 flaw" in checked.stderr
    words = [
        "eval",
        "--suite",
        "folder",
        "--root",
        str(root),
        "--system",
        "plvm",
        "--out",
        str(out),
        "--part",
        "recognition",
    ]
    done = CliRunner().invoke(app, [*words, "--model", str(family)])
    assert done.exit_code == 0, done.stderr
    assert "recognition.mean" in done.stdout and (out / "summary.json").exists() and "1 flaw" in done.stderr
    for wrong in (["--suite", "folder"], ["--root", str(root)], ["--suite", "folder", "--root", str(root), "--small"]):
        assert CliRunner().invoke(app, ["eval", *wrong, "--out", str(out)]).exit_code == 2


def test_all_systems_but_those_that_are_told_the_truth_or_read_photographs_are_for_folders(
    originals: dict[str, Path], family: Path, tmp_path: Path
) -> None:
    suite = open_suite("folder", originals["folder"])
    endpoint = {"url": "http://127.0.0.1"}
    assert set(SYSTEMS) - set(every_system(endpoint, suite)) == {
        "llava-prompt-true", "llava-prompt-true-16", "face-codes", "thing-codes",
    }  # fmt: skip
    assert set(every_system(endpoint, portraits(size=SMALL))) == set(SYSTEMS) - {"face-codes", "thing-codes"}
    with pytest.raises(RequestError, match="truth") as refused:
        evaluate_system("llava-prompt-true", lambda: load(family), suite, tmp_path / "true")
    assert "llava-prompt" in refused.value.hint


def test_a_threshold_for_a_folder_comes_from_the_validation_portraits(
    originals: dict[str, Path], family: Path, tmp_path: Path
) -> None:
    suite, vlm = open_suite("folder", originals["folder"]), load(family)
    found = evaluate_system("embedding", lambda: vlm, suite, tmp_path)
    facts = found["system"]
    assert facts["threshold_from"] == "portraits, split val, seed 0" and facts["threshold"] != 0.5
    assert found["recognition"]["n_positive"] == suite.facts["positive"] and "text_qa" in found["skipped"]
