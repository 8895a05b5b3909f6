"""What a store knows of use and consent: notes of it, who is stale, several forgotten at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from concepts import concept, same
from plvm.errors import UnknownConceptError
from plvm.store import ConceptStore
from plvm.store.reader import portions
from test_store import path as path
from test_store import store as store


def test_a_note_of_consent_is_kept_apart_from_the_notes_and_travels(
    store: ConceptStore, tmp_path: Path, path: Path
) -> None:
    signed = replace(concept("billie", 1), consent="signed on paper,\n2026-11-28")
    bare = replace(concept("mia", 2), notes="", consent="said so")
    odd = replace(concept("kim", 3), notes="a\x1eb", consent="c\x1ed")
    store.add_all([signed, bare, odd])
    assert same(store.get("billie"), signed) and same(store.get("mia"), bare)
    assert (store.entry("kim").notes, store.entry("kim").consent) == ("a b", "c d")
    store.rename("billie", "bill")
    assert store.get("bill").consent == signed.consent and store.check().whole
    store.export(tmp_path / "out.plvm")
    with ConceptStore.open(path.with_name("other.db")) as other:
        other.import_(tmp_path / "out.plvm")
        assert other.get("bill").consent == signed.consent


# ---- whom nobody uses


def at(monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    """Make it that day."""
    monkeypatch.setattr("plvm.store.retention.today", lambda: date.fromisoformat(day))


def test_somebody_is_stale_once_more_than_so_many_days_lie_behind_the_last_use(
    store: ConceptStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, "2027-01-02")
    store.add_all([concept("added", 1), concept("asked", 2), concept("nobody", 3)])
    at(monkeypatch, "2027-01-12")
    assert store.stale(10) == {} and set(store.stale(9)) == {"added", "asked", "nobody"}
    store.used(["asked", "somebody else"])
    at(monkeypatch, "2027-01-13")
    assert store.stale(10) == {"added": "2027-01-02", "nobody": "2027-01-02"}
    store.used(["asked", "added"])
    at(monkeypatch, "2027-01-23")
    assert store.stale(9) == {"nobody": "2027-01-02", "added": "2027-01-13", "asked": "2027-01-13"} and len(store.stale(10)) == 1
    store.forget_all(store.stale(10))
    store.add(concept("added", 5), replace=True)
    assert store.names() == ["added", "asked"] and list(store.stale(9)) == ["asked"], "what replaces is used anew"


def test_what_is_imported_or_enrolled_again_is_not_stale_because_it_was_made_long_ago(
    store: ConceptStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, "2027-01-02")
    store.add(replace(concept("billie", 1), created="2001-01-01T00:00:00+00:00"))
    assert store.stale(1) == {}
    store.add(replace(concept("billie", 2), created="2001-01-01T00:00:00+00:00"), replace=True)
    assert store.stale(1) == {} and store.get("billie").created[:4] == "2001"


def test_another_key_makes_nobody_younger_or_older(store: ConceptStore, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, "2027-01-02")
    store.add(concept("billie", 1))
    at(monkeypatch, "2027-03-02")
    before = store.stale(1)
    store.rekey(bytes(range(1, 33)))
    assert store.stale(1) == before == {"billie": "2027-01-02"}


def test_a_use_is_written_once_a_day_and_never_twice(store: ConceptStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add(concept("billie", 1))
    at(monkeypatch, "2099-01-01")
    written: list[bool] = []
    transaction = store._database.transaction
    monkeypatch.setattr(store._database, "transaction", lambda *, write: written.append(write) or transaction(write=write))
    for _ in range(3):
        store.used(["billie"])
    assert written == [False, True, False, False]


def test_forgetting_several_is_all_or_none(store: ConceptStore) -> None:
    store.add_all([concept("a", 1), concept("b", 2), concept("c", 3)])
    with pytest.raises(UnknownConceptError):
        store.forget_all(["a", "nobody"])
    assert store.names() == ["a", "b", "c"]
    store.forget_all(["a", "<c>"])
    assert store.names() == ["b"] and store.check().whole


def test_more_than_a_statement_can_name_are_listed_and_forgotten(store: ConceptStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "__defaults__", (7,))
    store.add_all([concept(f"p{number:02d}", number, references=0) for number in range(30)])
    assert [entry.name for entry in store.page(1000).entries] == store.names()
    store.forget_all(store.names()[3:])
    assert store.names() == ["p00", "p01", "p02"] and store.check().whole
