"""Whole transcripts of checking, repairing and backing up a store."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from damaged import flipped, run_sql
from plvm.store import ConceptStore
from shell import Shell
from shell import friends as friends
from shell import load_once as load_once
from shell import shell as shell

pytest_plugins = ["family"]


def model(shell: Shell) -> tuple[str, str]:
    return "--model", str(shell.family)


def spoil_tokens(shell: Shell, name: str = "billie") -> None:
    """Damage beyond mending: the tokens are gone."""
    run_sql(shell.store, f"UPDATE plvm_concepts SET tokens = x'0011' WHERE name = '{name}'")


def test_a_whole_store_is_called_whole(friends: Shell) -> None:
    assert friends("store", "check") == "2 concepts with 2 pictures whole.\n" and friends.err == ""
    found = json.loads(friends("store", "check", "--json"))
    assert found["whole"] and found["concepts"] == 2 and found["damaged"] == [] == found["repair"]
    before = friends.kept()
    friends("store", "check", "--repair")
    assert friends.kept() == before and [file.name for file in friends.store.parent.iterdir()] == ["concepts.db"]


def test_no_store_is_no_mistake_of_the_disk(shell: Shell) -> None:
    assert "There is no store" in shell.refuses("store", "check")[0]
    assert not shell.store.exists()


def test_a_damaged_concept_is_left_out_aloud_and_made_again_from_its_picture(friends: Shell) -> None:
    before = friends.kept()
    answer = friends("ask", "party.png", "Who is <avril>?", "--max-tokens", "2")
    with ConceptStore.open(friends.store) as store:
        tokens = store.get("billie").tokens
    spoil_tokens(friends)
    assert [line.split("  ")[0] for line in friends("list").splitlines()] == ["NAME", "avril", "billie (damaged)"]
    assert "<billie> is damaged: its tokens changed" in friends.err and "--repair" in friends.err
    avril, billie = json.loads(friends("list", "--json"))
    assert avril["damaged"] == [] and billie["name"] == "billie" and len(billie["damaged"]) == 1
    assert set(avril) == set(billie) and not billie["tokens"] and "--repair" in friends.err
    message, hint = friends.refuses("ask", "party.png", "Who is <billie>?", model=friends.family)
    assert "<billie> is damaged" in message and "plvm store check --repair" in hint
    assert friends("ask", "party.png", "Who is <avril>?", "--max-tokens", "2") == answer
    friends("store", "check", exit=2)
    assert friends.out == "1 concept with 1 picture whole, 1 damaged; see below.\n" and "<billie>" in friends.err
    friends("store", "check", "--repair", *model(friends))
    assert friends.out == "2 concepts with 2 pictures whole.\n"
    assert "Repair: <billie> was enrolled again from 1 picture." in friends.err
    assert friends.kept() == before
    with ConceptStore.open(friends.store) as store:
        assert store.get("billie").tokens.word.equal(tokens.word)


def test_enrolling_again_makes_the_damaged_too(friends: Shell) -> None:
    before = friends.kept()
    spoil_tokens(friends)
    assert friends("add", "--re-enrol") == "Enrolled 1 concept again.\n"
    assert friends.kept() == before


def test_the_damaged_of_another_aligner_are_told_and_stay_as_they_are(friends: Shell) -> None:
    spoil_tokens(friends)
    friends("store", "check", "--repair", "--model", str(friends.family.parent / "other"), exit=2)
    assert "Another Aligner made its tokens" in friends.err and "--re-enrol" in friends.err


def test_a_flipped_bit_is_mended_without_a_model(friends: Shell) -> None:
    before, data = friends.kept(), friends.store.read_bytes()
    friends.store.write_bytes(flipped(data, 8 * data.index(b"my sister") + 4))
    friends("store", "check", exit=2)
    assert "its name, notes or dates changed" in friends.err
    assert json.loads(friends("store", "check", "--json", exit=2))["damaged"][0]["name"] == "billie"
    friends("store", "check", "--repair", "--model", "nowhere")
    assert "Repair: <billie> was mended." in friends.err and "concepts.db.damaged" in friends.err
    assert friends.kept() == before


def test_a_damaged_file_is_refused_by_every_verb_and_saved_by_repair(friends: Shell) -> None:
    before, data = friends.kept(), friends.store.read_bytes()
    friends.store.write_bytes(flipped(data, 8 * 18 + 2))
    for words in (("list",), ("show", "billie"), ("forget", "billie", "--yes"), ("store", "backup", "b.db")):
        message, hint = friends.refuses(*words)
        assert "is damaged" in message and "plvm store check --repair" in hint
    friends("store", "check", exit=2)
    assert "is damaged" in friends.err
    assert friends("store", "check", "--repair") == "2 concepts with 2 pictures whole.\n"
    assert "2 concepts saved into a new file" in friends.err
    assert friends.kept() == before


def test_a_backup_is_written_once_and_can_be_put_in_place(friends: Shell) -> None:
    before = friends.kept()
    assert friends("store", "backup", "b.db") == "Copied the store to b.db: 2 concepts with 2 pictures whole.\n"
    assert "--replace" in friends.refuses("store", "backup", "b.db")[1]
    assert json.loads(friends("store", "backup", "b.db", "--replace", "--json"))["whole"]
    friends("forget", "billie", "--yes")
    friends.store.write_bytes(Path("b.db").read_bytes())
    assert friends.kept() == before


def test_a_backup_with_a_damaged_concept_is_made_and_says_so(friends: Shell) -> None:
    spoil_tokens(friends)
    friends("store", "backup", "b.db", exit=2)
    assert "1 damaged" in friends.out and "<billie>" in friends.err and Path("b.db").exists()


# ---- encryption


def test_a_store_is_encrypted_listed_with_its_key_and_decrypted(friends: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    key, other = friends.store.parent / "store.key", friends.store.parent / "other.key"
    before = friends("list")
    for file in (key, other):
        friends("store", "new-key", str(file))
        assert "Keep a copy elsewhere" in friends.err and file.stat().st_mode & 0o777 == 0o600
    assert friends("store", "rekey", "--to", str(key)) == f"2 concepts in the store, encrypted with {key} from now on.\n"
    assert b"billie" not in friends.store.read_bytes()
    assert "is encrypted" in friends.refuses("list")[0]
    assert "does not fit" in friends.refuses("list", "--store-key", str(other))[0]
    assert friends("list", "--store-key", str(key)) == before
    monkeypatch.setenv("PLVM_STORE_KEY", key.read_text())
    assert friends("list") == before and friends("store", "check") == "2 concepts with 2 pictures whole.\n"
    monkeypatch.delenv("PLVM_STORE_KEY")
    friends("store", "rekey", "--store-key", str(key), "--plain")
    assert friends("list") == before
    assert "exists" in friends.refuses("store", "new-key", str(key))[0]
    assert "--plain" in friends.refuses("store", "rekey")[0]


# ---- many


def test_a_list_has_pages_and_can_be_searched(friends: Shell) -> None:
    assert [line.split("  ")[0] for line in friends("list", "--search", "ILL").splitlines()] == ["NAME", "billie"]
    friends("list", "--limit", "1")
    assert "avril" in friends.out and "billie" not in friends.out and "--after avril" in friends.err
    friends("list", "--limit", "1", "--after", "avril")
    assert "billie" in friends.out and friends.err == ""
    assert [facts["name"] for facts in json.loads(friends("list", "--json", "--search", "a"))] == ["avril"]
    assert "Nobody" in friends("list", "--search", "zoe") + friends.err


# ---- whom nobody uses


def test_those_whom_nobody_used_are_forgotten_after_a_dry_run(friends: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert friends("store", "retain", "--days", "1") == "" and "Everybody was used" in friends.err
    monkeypatch.setattr("plvm.store.retention.today", lambda: date(2099, 1, 1))
    friends("ask", "party.png", "Where is <billie>?")
    before = friends.kept()
    assert friends("store", "retain", "--days", "30", "--dry-run").startswith("Would forget <avril>, last used on 20")
    assert friends.kept() == before
    found = json.loads(friends("store", "retain", "--days", "30", "--json"))
    assert [who["name"] for who in found["forgotten"]] == ["avril"] and [row[0] for row in friends.kept()] == ["billie"]
    assert "1 or more" in friends.refuses("store", "retain", "--days", "0")[0]


def test_a_note_of_consent_is_shown(friends: Shell) -> None:
    friends("add", "kim", "party.png", "--consent", "signed on 2026-11-28")
    assert "signed on 2026-11-28" in friends("show", "kim") and json.loads(friends("show", "kim", "--json"))["consent"]
    assert "belong to one name" in friends.refuses("add", "--re-enrol", "--consent", "all")[0]
