"""Encrypted stores: nothing can be read in the file, the wrong key is said to be wrong, and everything else stays as it is."""

from __future__ import annotations

import base64
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from concepts import concept, same
from damaged import flipped, spoil
from plvm.errors import RequestError, StoreError
from plvm.store import ConceptStore
from plvm.store.cipher import SIGN, Cipher, new_secret, secret_in
from plvm.types import Concept
from postgres import Server

KEY, OTHER = bytes(range(32)), bytes(32)
ZAPHOD = replace(concept("zaphod-secret", 7, references=2), display="Zaphod Secret", notes="a remark nobody shall read")
TRILLIAN = concept("trillian", 8)


def marks(who: Concept) -> list[bytes]:
    """Stretches of everything that is kept of somebody and tells of them."""
    texts = [who.name, who.display, who.notes, base64.b64encode(who.notes.encode()).decode()]
    numbers = [getattr(who.tokens, part).numpy().tobytes()[:16] for part in ("word", "head", "context", "key")]
    pictures = [picture[at : at + 16] for picture in who.references for at in range(40, len(picture) - 16, 900)]
    return [text.encode() for text in texts if text] + numbers + pictures


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An encrypted store of two, whose names are in no path."""
    path = tmp_path / "store" / "concepts.db"
    with ConceptStore.open(path, secret=KEY) as store:
        store.add_all([ZAPHOD, TRILLIAN])
    return path


def test_nothing_of_anybody_can_be_read_in_any_file(tmp_path: Path) -> None:
    with ConceptStore.open(tmp_path / "plain" / "concepts.db") as store:
        store.add(ZAPHOD)
        missed = [mark for mark in marks(ZAPHOD) if mark not in bytes_of(tmp_path / "plain")]
        assert missed == [base64.b64encode(ZAPHOD.notes.encode())], "or this shows nothing"
    with ConceptStore.open(tmp_path / "hidden" / "concepts.db", secret=KEY) as store:
        store._database.empty_log = lambda: False  # type: ignore[method-assign]
        store.add(ZAPHOD)
        assert (tmp_path / "hidden" / "concepts.db-wal").stat().st_size, "the log is looked at too"
        assert not [mark for mark in marks(ZAPHOD) if mark in bytes_of(tmp_path / "hidden")]
        del store._database.empty_log  # type: ignore[method-assign]
        store.rename("zaphod-secret", "zarniwoop")
        assert b"zarniwoop" not in bytes_of(tmp_path / "hidden") and store.get("zarniwoop").notes == ZAPHOD.notes


def test_it_comes_back_as_it_went_in_and_a_wrong_key_opens_nothing(path: Path) -> None:
    with ConceptStore.open(path, secret=KEY) as store:
        assert same(store.get("Zaphod Secret"), ZAPHOD) and store.check().whole
        assert store.same_pictures([ZAPHOD.references[1]]) == ["zaphod-secret"]
        assert store.nearest(TRILLIAN.tokens.key, 1, aligner="aligner-a")[0][0] == "trillian"
    before = path.read_bytes()
    with pytest.raises(StoreError, match="key does not fit"):
        ConceptStore.open(path, secret=OTHER)
    with pytest.raises(StoreError, match="is encrypted") as caught:
        ConceptStore.open(path)
    assert "--store-key" in caught.value.hint and path.read_bytes() == before


def test_a_key_for_a_store_that_is_not_encrypted_is_refused(tmp_path: Path) -> None:
    with ConceptStore.open(tmp_path / "concepts.db") as store:
        store.add(TRILLIAN)
    with pytest.raises(StoreError, match="not encrypted") as caught:
        ConceptStore.open(tmp_path / "concepts.db", secret=KEY)
    assert "rekey" in caught.value.hint


def test_a_store_is_encrypted_gets_another_key_and_is_decrypted_and_leaves_no_byte_behind(tmp_path: Path) -> None:
    path = tmp_path / "concepts.db"
    with ConceptStore.open(path) as store, ConceptStore.open(path, namespace="other") as other:
        store.add_all([ZAPHOD, TRILLIAN])
        other.add(ZAPHOD)
    for old, new in ((None, KEY), (KEY, OTHER), (OTHER, None)):
        with ConceptStore.open(path, secret=old) as store:
            assert store.rekey(new) == 3
            assert same(store.get("zaphod-secret"), ZAPHOD), "the same object goes on"
            if new is not None:
                assert not [mark for mark in marks(ZAPHOD) if mark in bytes_of(tmp_path)]
        with ConceptStore.open(path, secret=new) as store, ConceptStore.open(path, secret=new, namespace="other") as other:
            assert same(store.get("zaphod-secret"), ZAPHOD) and same(store.get("trillian"), TRILLIAN) and store.check().whole
            assert same(other.get("zaphod-secret"), ZAPHOD)
        if old is not None:
            with pytest.raises(StoreError):
                ConceptStore.open(path, secret=old)


def test_whoever_has_it_open_with_the_old_key_writes_nothing_with_it(path: Path) -> None:
    with ConceptStore.open(path, secret=KEY) as late, ConceptStore.open(path, secret=KEY) as store:
        store.rekey(OTHER)
        with pytest.raises(StoreError, match="another key now"):
            late.add(concept("marvin", 9))
        assert store.names() == ["trillian", "zaphod-secret"]


def test_a_store_with_damage_is_not_given_another_key(path: Path) -> None:
    data = path.read_bytes()
    with sqlite3.connect(path) as connection:
        (picture,) = connection.execute("SELECT picture FROM plvm_references WHERE concept_id = 1 LIMIT 1").fetchone()
    connection.close()
    spoil(path, picture[500:600])
    with ConceptStore.open(path, secret=KEY) as store, pytest.raises(StoreError, match="<zaphod-secret> is damaged"):
        store.rekey(OTHER)
    path.write_bytes(data)
    with ConceptStore.open(path, secret=KEY) as store:
        assert store.check().whole


def test_a_repair_needs_the_key_and_brings_everybody_back_encrypted(path: Path) -> None:
    path.write_bytes(flipped(path.read_bytes(), 3))
    with pytest.raises(StoreError, match="is encrypted"):
        ConceptStore.salvage(path)
    assert ConceptStore.salvage(path, secret=KEY).concepts == 2
    with ConceptStore.open(path, secret=KEY) as store:
        assert same(store.get("zaphod-secret"), ZAPHOD) and store.check().whole
        assert len(store.nearest(ZAPHOD.tokens.key, aligner="aligner-a")) == 2
    assert not [mark for mark in marks(ZAPHOD) if mark in bytes_of(path.parent)]


def test_a_backup_is_encrypted_with_the_same_key_and_an_export_is_plain(path: Path, tmp_path: Path) -> None:
    with ConceptStore.open(path, secret=KEY) as store:
        assert store.back_up(tmp_path / "backup.db").whole
        store.export(tmp_path / "out.plvm")
    assert not [mark for mark in marks(ZAPHOD) if mark in (tmp_path / "backup.db").read_bytes()]
    with ConceptStore.open(tmp_path / "backup.db", secret=KEY) as copy:
        assert same(copy.get("zaphod-secret"), ZAPHOD)
    with ConceptStore.open(tmp_path / "new.db") as store:
        store.import_(tmp_path / "out.plvm")
        assert same(store.get("zaphod-secret"), ZAPHOD)


def test_a_value_that_is_moved_to_another_namespace_is_not_shown_there(path: Path) -> None:
    with ConceptStore.open(path, secret=KEY, namespace="other") as other:
        other.add(ZAPHOD)
    with sqlite3.connect(path) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM plvm_concepts WHERE namespace IN ('default', 'other')")]
        assert all(name.startswith(SIGN) for name in names) and len(set(names)) == 3, "one name in two namespaces is two texts"
    connection.close()
    cipher = Cipher(KEY)
    with pytest.raises(ValueError, match="decrypted"):
        cipher.show(cipher.hide(b"face", "a\npicture"), "b\npicture")


@pytest.mark.parametrize("text", ["", "short", "A" * 44, new_secret()[:-2], new_secret() + "A"], ids=range(5))
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="no key of a store"):
        secret_in(text)
    assert len(secret_in(f" {new_secret()}\n")) == 32


@pytest.mark.slow
def test_nothing_of_anybody_can_be_read_in_postgresql_s_files_and_log(url: str, server: Server) -> None:
    ford = replace(concept("ford-secret", 4242, references=2), notes="a remark of this test")  # others are left in the clear
    with ConceptStore.open(url, secret=KEY) as store:
        store.add_all([ford, TRILLIAN])
        assert same(store.get("ford-secret"), ford) and store.check().whole
        assert store.nearest(ford.tokens.key, 1, aligner="aligner-a")[0][0] == "ford-secret"
    server.run_sql("CHECKPOINT")
    assert not [mark for mark in marks(ford) if mark in bytes_of(server.data)]
