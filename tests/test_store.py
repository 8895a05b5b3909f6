"""Concepts on disk: what goes in comes out, what is forgotten is gone, and nothing breaks it."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from concepts import concept, reference, same, tokens
from plvm.errors import (
    AlignerMismatchError,
    ConceptNameError,
    DuplicateConceptError,
    RequestError,
    StoreError,
    UnknownConceptError,
)
from plvm.store import ConceptStore, database

Place = Path | str


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "concepts.db"


@pytest.fixture
def store(place: Place, secret: bytes | None) -> Iterator[ConceptStore]:
    """A store in SQLite, and one in PostgreSQL."""
    with ConceptStore.open(place, secret=secret) as store:
        yield store


@pytest.fixture
def in_file(path: Path) -> Iterator[ConceptStore]:
    """A store in SQLite, the bytes of whose file matter."""
    with ConceptStore.open(path) as store:
        yield store


def files_of(path: Path) -> bytes:
    """All bytes of all files of the store: the database, its log, whatever else lies beside them."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


def state(store: ConceptStore) -> dict[str, tuple[str, str, int]]:
    return {c.name: (c.aligner, c.notes, hash(c.references)) for c in store.list()}


def test_a_concept_comes_back_as_it_went_in(store: ConceptStore, place: Place, secret: bytes | None) -> None:
    billie = concept("billie", 1, references=3)
    store.add(billie)
    assert same(store.get("billie"), billie) and same(store.get("<billie>"), billie)
    with ConceptStore.open(place, secret=secret) as again:
        assert same(again.get("billie"), billie)


def test_a_file_can_be_named_by_url_too(in_file: ConceptStore, path: Path) -> None:
    billie = in_file.add(concept("billie", 1, references=3))
    with ConceptStore.open(f"sqlite:///{path}") as by_url:
        assert same(by_url.get("billie"), billie)


def test_tokens_are_kept_as_float32_on_the_cpu_without_gradient(store: ConceptStore) -> None:
    half = tokens(1)
    half = replace(half, word=half.word.half().requires_grad_(), context=half.context.T.contiguous().T)
    kept = store.add(replace(concept("billie"), tokens=half)) and store.get("billie").tokens
    assert kept.word.dtype == torch.float32 and not kept.word.requires_grad
    assert torch.equal(kept.context, half.context)


def test_names_and_list_are_sorted_and_case_matters(store: ConceptStore) -> None:
    for number, name in enumerate(["zoe", "Avril", "avril", "小明"]):
        store.add(concept(name, number))
    assert store.names() == ["Avril", "avril", "zoe", "小明"] == [c.name for c in store.list()]
    assert same(store.get("avril"), concept("avril", 2)), "and no one gets another's tokens"


def test_one_name_typed_in_two_unicode_forms_is_one_concept(store: ConceptStore) -> None:
    store.add(concept("Zoe\u0308"))
    assert store.get("Zo\u00eb").name == "Zo\u00eb"
    with pytest.raises(DuplicateConceptError):
        store.add(concept("Zo\u00eb"))


def test_a_taken_name_is_an_error_that_says_how_to_replace(store: ConceptStore) -> None:
    store.add(concept("billie", 1))
    with pytest.raises(DuplicateConceptError) as caught:
        store.add(concept("billie", 2))
    assert "--replace" in caught.value.hint and same(store.get("billie"), concept("billie", 1))
    store.add(concept("billie", 2), replace=True)
    assert same(store.get("billie"), concept("billie", 2)) and store.names() == ["billie"]


def test_a_time_is_set_where_there_is_none(store: ConceptStore) -> None:
    kept = store.add(replace(concept("billie"), created=""))
    assert kept.created.endswith("+00:00") and store.get("billie").created == kept.created


@pytest.mark.parametrize("bad", ["", "-rf", "a<b", "a\nb", "x" * 10_000])
def test_bad_names_change_nothing(store: ConceptStore, bad: str) -> None:
    store.add(concept("billie", 1))
    before = state(store)
    for verb in (lambda: store.add(concept(bad)), lambda: store.rename("billie", bad), lambda: store.forget(bad)):
        with pytest.raises(ConceptNameError):
            verb()
    assert state(store) == before


def test_tokens_that_do_not_fit_together_are_refused(store: ConceptStore) -> None:
    wrong = replace(tokens(), head=torch.zeros(9))
    with pytest.raises(RequestError, match="fit together"):
        store.add(replace(concept("billie"), tokens=wrong))
    assert store.names() == []


def test_an_unknown_name_is_answered_with_the_nearest(store: ConceptStore) -> None:
    store.add(concept("billie"))
    for verb in (store.get, store.forget, lambda name: store.rename(name, "x"), lambda name: store.export("x", [name])):
        with pytest.raises(UnknownConceptError) as caught:
            verb("bilie")
        assert "<billie>" in caught.value.hint and "plvm list" in caught.value.hint


def test_rename_keeps_everything_but_the_name(store: ConceptStore) -> None:
    store.add(concept("billie", 1))
    store.add(concept("avril", 2))
    with pytest.raises(DuplicateConceptError):
        store.rename("billie", "avril")
    store.rename("billie", "billie")
    store.rename("billie", "bill")
    assert store.names() == ["avril", "bill"]
    assert same(store.get("bill"), replace(concept("billie", 1), name="bill"))


def test_forgetting_leaves_no_byte_in_any_file(in_file: ConceptStore, path: Path) -> None:
    secret = concept("Zaphod-the-secret", 7, references=2)
    in_file.add(concept("billie", 1))
    in_file.add(secret)
    in_file.add(concept("avril", 2))
    marks = [b"Zaphod-the-secret", secret.tokens.context.numpy().tobytes()[:24]]
    marks += [picture[at : at + 24] for picture in secret.references for at in range(100, len(picture) - 24, 1500)]
    assert all(mark in files_of(path) for mark in marks), "or this test shows nothing"
    in_file.forget("Zaphod-the-secret")
    assert not [mark for mark in marks if mark in files_of(path)], "while the store is open"
    assert in_file.names() == ["avril", "billie"]
    in_file.close()
    assert not [mark for mark in marks if mark in files_of(path)], "and when it is closed"


def test_replaced_references_and_old_names_are_gone_too(in_file: ConceptStore, path: Path) -> None:
    old = concept("Zaphod", 7)
    in_file.add(old)
    in_file.add(replace(concept("Zaphod", 8), notes=""), replace=True)
    assert old.references[0][500:524] not in files_of(path)
    in_file.rename("Zaphod", "billie")
    assert b"Zaphod" not in files_of(path)


def test_forgetting_many_among_many_leaves_no_byte(in_file: ConceptStore, path: Path) -> None:
    people = [concept(f"secret{number:03d}", number, side=5 + number % 30) for number in range(40)]
    for person in people:
        in_file.add(person)
    for person in people[::2] + people[1::4]:
        in_file.forget(person.name)
        left = files_of(path)
        assert person.name.encode() not in left and person.references[0][60:80] not in left, person.name
    assert len(in_file.list()) == 10


def test_nothing_crosses_namespaces(place: Place, secret: bytes | None) -> None:
    with ConceptStore.open(place, secret=secret, namespace="a") as a, ConceptStore.open(place, secret=secret, namespace="b") as b:
        a.add(concept("billie", 1))
        b.add(concept("billie", 2))
        a.add(concept("avril", 3))
        assert b.names() == ["billie"] and same(b.get("billie"), concept("billie", 2))
        with pytest.raises(UnknownConceptError) as caught:
            b.get("avrill")
        assert "<avril>" not in str(caught.value), "not even a hint crosses"
        b.rename("billie", "avril")
        b.forget("avril")
        assert a.names() == ["avril", "billie"] and same(a.get("billie"), concept("billie", 1))


@pytest.mark.parametrize("bad", ["", "a b", "../x", "x" * 129])
def test_a_strange_namespace_is_refused(place: Place, secret: bytes | None, bad: str) -> None:
    with pytest.raises(RequestError):
        ConceptStore.open(place, secret=secret, namespace=bad)


def test_concepts_of_another_aligner_are_an_error_with_the_command_to_run(store: ConceptStore) -> None:
    store.add(concept("billie", 1))
    store.add(concept("avril", 2, aligner="aligner-b"))
    store.add(concept("mia", 3, aligner="aligner-b", references=0))
    assert store.get("billie", aligner="aligner-a").name == "billie" and len(store.list()) == 3
    with pytest.raises(AlignerMismatchError) as caught:
        store.list(aligner="aligner-a")
    assert "<avril>, <mia>" in caught.value.message and "<billie>" not in caught.value.message
    assert "plvm add --re-enrol" in caught.value.hint and "plvm add mia PICTURE --replace" in caught.value.hint
    with pytest.raises(AlignerMismatchError, match="<avril> was made"):
        store.get("avril", aligner="aligner-a")


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_only_the_owner_may_read_the_store_and_what_is_exported(in_file: ConceptStore, path: Path) -> None:
    in_file.add(concept("billie"))
    in_file.export(path.parent / "out.plvm")
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def damage(path: Path, kind: str) -> None:
    """Make a store of three concepts and then ruin it."""
    with ConceptStore.open(path) as store:
        for number, name in enumerate(["a", "b", "c"]):
            store.add(concept(name, number))
    data = bytearray(path.read_bytes())
    if kind == "text":
        data = bytearray(b"dear diary\n" * 99)
    elif kind == "random":
        data = bytearray(os.urandom(len(data)))
    elif kind == "random behind the magic":
        data[16:] = os.urandom(len(data) - 16)
    elif kind == "random behind the header":
        data[100:] = os.urandom(len(data) - 100)
    elif kind.startswith("truncated"):
        data = data[: 50 if kind == "truncated in the header" else len(data) // 2]
    path.write_bytes(data)
    statement = {
        "future": "UPDATE plvm_store SET value = '4'",
        "no version": "DELETE FROM plvm_store",
        "a table lost": "DROP TABLE plvm_references",
        "another program's": "CREATE TABLE notes (x)",
    }.get(kind)
    if statement is not None:
        with sqlite3.connect(path) as connection:
            if kind == "another program's":
                connection.executescript("DROP TABLE plvm_references; DROP TABLE plvm_concepts; DROP TABLE plvm_store;")
            connection.execute(statement)
        connection.close()


@pytest.mark.parametrize(
    "kind",
    ["text", "random", "random behind the magic", "random behind the header", "truncated", "truncated in the header"]
    + ["future", "no version", "a table lost", "another program's"],
)
def test_a_damaged_or_foreign_store_is_an_error_and_stays_untouched(path: Path, kind: str) -> None:
    damage(path, kind)
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught, ConceptStore.open(path) as store:
        store.list()
    assert caught.value.hint and str(path) in caught.value.message and len(str(caught.value)) < 600
    assert path.read_bytes() == before and [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with ConceptStore.open(path) as store:
        assert store.add(concept("billie")) and store.names() == ["billie"]


def test_places_that_cannot_hold_a_store_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "concepts.db", "nonsense://x", "://", "postgresql+nonsense://u:pw@h/d"):
        with pytest.raises(StoreError) as caught:
            ConceptStore.open(place)
        assert caught.value.hint and "pw" not in str(caught.value)


def test_a_locked_store_is_an_error_not_a_wait_for_ever(
    in_file: ConceptStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    in_file.close()  # the next connection takes the new patience
    with pytest.raises(StoreError, match="busy"):
        in_file.add(concept("billie"))
    other.close()


def test_a_writer_waits_in_line_before_it_reads(in_file: ConceptStore, path: Path) -> None:
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    with in_file._database.transaction(write=True), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    assert in_file.names() == [], "and a reader does not wait for it"
    other.close()


def test_a_reader_that_keeps_the_forgotten_bytes_alive_is_reported(
    in_file: ConceptStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_file.add(concept("billie", 1))
    in_file.close()
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM plvm_concepts").fetchone() == (1,)
    with pytest.raises(StoreError, match="<billie> left the store, but"):
        in_file.forget("billie")
    assert in_file.names() == []
    assert reference(1000)[500:524] in files_of(path), "or this test shows nothing"
    reader.close()
    in_file.close()
    with ConceptStore.open(path):
        assert reference(1000)[500:524] not in files_of(path)
