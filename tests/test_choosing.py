"""Which concepts go into a prompt, who is enrolled from a folder or again, and what the store says beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import plvm
from plvm.choosing import choose, names_in
from plvm.people import divide, enroll_again, enroll_people, people_in
from plvm.personal import Personal
from plvm.store import ConceptStore
from toys import picture

pytest_plugins = ["toys"]
NAMES = ("avril", "billie", "carl", "dina", "emma")


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with ConceptStore.open(tmp_path / "concepts.db") as opened:
        yield opened


def fill(store: ConceptStore, vlm: Personal, names: tuple[str, ...] = NAMES) -> None:
    store.add_all(vlm.enroll_many({name: [picture(i)] for i, name in enumerate(names)}))


def test_names_in_a_text_are_those_that_a_concept_can_have() -> None:
    assert names_in("Is <zoe\u0308> with <billie>, <zo\u00eb> or <image></s><a b>?") == ["zo\u00eb", "billie"]


def test_who_is_named_goes_into_the_prompt_in_that_order(store: ConceptStore, vlm: Personal) -> None:
    fill(store, vlm)
    choice = choose(vlm, store, ["<emma>", "avril", "emma"], picture(9))
    assert [c.name for c in choice.concepts] == ["emma", "avril"] and choice.left_out == 0
    with pytest.raises(plvm.UnknownConceptError, match="emmi"):
        choose(vlm, store, ["emmi"], picture(9))


def test_of_five_the_four_likeliest_are_chosen(store: ConceptStore, vlm: Personal) -> None:
    fill(store, vlm)
    choice = choose(vlm, store, image=picture(9))
    chances = dict(zip(NAMES, vlm.recognize([picture(9)], store.list())[0], strict=True))
    assert {*NAMES} - {c.name for c in choice.concepts} == {min(chances, key=lambda name: chances[name])}
    assert choice.left_out == 1 and [c.name for c in choice.concepts] == sorted(c.name for c in choice.concepts)


def test_of_five_nobody_can_be_chosen_without_a_picture(store: ConceptStore, vlm: Personal) -> None:
    fill(store, vlm, NAMES[:4])
    assert [c.name for c in choose(vlm, store).concepts] == [*NAMES[:4]]
    store.add(vlm.enroll("emma", picture(4)))
    with pytest.raises(plvm.RequestError, match="5 concepts"):
        choose(vlm, store)
    assert not choose(vlm, store, need_somebody=False).concepts


def test_the_store_says_beforehand_which_names_are_free_and_known(store: ConceptStore, vlm: Personal) -> None:
    with pytest.raises(plvm.RequestError, match="Nobody is enrolled"):
        store.check_not_empty()
    fill(store, vlm, NAMES[:2])
    store.check_not_empty()
    store.check_free("carl", "dina")
    store.check_known("avril", "<billie>")
    with pytest.raises(plvm.DuplicateConceptError) as early:
        store.check_free("carl", "<billie>")
    with pytest.raises(plvm.DuplicateConceptError) as late:
        store.add(store.get("billie"))
    assert str(early.value) == str(late.value)
    with pytest.raises(plvm.UnknownConceptError, match="<bilie>") as unknown:
        store.check_known("avril", "bilie")
    assert "<billie>" in unknown.value.hint
    for check in (store.check_free, store.check_known):
        with pytest.raises(plvm.ConceptNameError):
            check("-rf")


def test_a_folder_of_people_is_enrolled_a_few_at_a_time(
    store: ConceptStore, vlm: Personal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plvm.people.BATCH", 2)
    for i, name in enumerate(NAMES):
        (tmp_path / "people" / name).mkdir(parents=True)
        picture(i).save(tmp_path / "people" / name / "a.png")
    (tmp_path / "people" / "carl" / "a.png").write_bytes(b"no picture")
    (tmp_path / "people" / "dina" / "b.png").write_bytes(b"no picture")
    groups, strays = people_in(tmp_path / "people")
    told: list[tuple[int, int]] = []
    enrolled = enroll_people(vlm, store, groups, report=lambda done, total: told.append((done, total)))
    assert {group.name: n for group, n in enrolled.items()} == {"avril": 1, "billie": 1, "dina": 1, "emma": 1}
    assert store.names() == ["avril", "billie", "dina", "emma"] and strays == 0
    assert {g.name: [file.name for file, _ in g.bad] for g in groups if g.bad} == {"carl": ["a.png"], "dina": ["b.png"]}
    assert told == [(2, 5), (4, 5), (5, 5)]
    new, there = divide(store, groups)
    assert [g.name for g in new] == ["carl"] and [g.name for g in there] == store.names()
    assert divide(store, groups, replace=True) == (groups, [])


def test_who_was_enrolled_by_another_aligner_is_enrolled_again_from_the_kept_pictures(
    store: ConceptStore, vlm: Personal
) -> None:
    fill(store, vlm, NAMES[:2])
    before = store.list()
    other = Personal(vlm.backbone, vlm.encoder, vlm.aligner, vlm.prompt, "another")
    store.add(plvm.Concept("bare", before[0].tokens, vlm.fingerprint))
    made, left_out = enroll_again(other, store)
    assert [c.name for c in made] == [*NAMES[:2]] and [name for name, _ in left_out] == ["bare"]
    assert "plvm add bare PICTURE" in left_out[0][1].line
    assert [(c.aligner, c.created, c.references) for c in store.list() if c.references] == [
        ("another", c.created, c.references) for c in before
    ]
