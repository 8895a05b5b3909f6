"""Exported concepts: one file that comes back whole, and that no stranger can turn against the store."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from concepts import concept, same, tokens
from plvm.errors import DuplicateConceptError, RequestError, StoreError, UnknownConceptError
from plvm.store import ConceptStore, archive
from plvm.types import ConceptTokens

TOKENS, REFERENCE = "concepts/0/tokens.safetensors", "concepts/0/reference-0.png"
Files = dict[str, bytes]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ConceptStore]:
    with ConceptStore.open(tmp_path / "concepts.db") as store:
        store.add_all([concept("billie", 1, references=2), concept("小明", 2)])
        yield store


@pytest.fixture
def other(tmp_path: Path) -> Iterator[ConceptStore]:
    with ConceptStore.open(tmp_path / "other.db") as store:
        store.add(concept("resident", 9))
        yield store


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What `store` exports."""
    folder = tmp_path_factory.mktemp("original")
    with ConceptStore.open(folder / "concepts.db") as store:
        store.add_all([concept("billie", 1, references=2), concept("小明", 2)])
        store.export(folder / "out.plvm")
    return (folder / "out.plvm").read_bytes()


@pytest.fixture
def exported(original: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "out.plvm"
    path.write_bytes(original)
    return path


def unpack(path: Path) -> Files:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def pack(path: Path, files: Files, **options: Any) -> None:
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, data in files.items():
            file.writestr(name, data)


def manifest_with(files: Files, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads(files["manifest.json"])
    change(manifest)
    files["manifest.json"] = json.dumps(manifest).encode()


def test_concepts_travel_whole_from_store_to_store(store: ConceptStore, other: ConceptStore, exported: Path) -> None:
    assert other.import_(exported) == ["billie", "小明"]
    assert other.names() == ["billie", "resident", "小明"]
    assert same(other.get("billie"), store.get("billie")) and same(other.get("小明"), store.get("小明"))


def test_some_names_can_be_exported_alone(store: ConceptStore, other: ConceptStore, tmp_path: Path) -> None:
    assert store.export(tmp_path / "one", names=["<billie>"]) == ["billie"]
    assert other.import_(tmp_path / "one") == ["billie"]
    with pytest.raises(UnknownConceptError):
        store.export(tmp_path / "none", names=["nobody"])
    assert not (tmp_path / "none").exists()


def test_the_same_concepts_give_the_same_bytes(store: ConceptStore, exported: Path, tmp_path: Path) -> None:
    store.export(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == exported.read_bytes()


def test_export_overwrites_only_on_request_and_leaves_nothing_behind_on_failure(
    store: ConceptStore, exported: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.iterdir())
    for target in (exported, tmp_path, tmp_path / "no" / "folder"):
        with pytest.raises(StoreError):
            store.export(target)
    store.export(exported, replace=True)
    assert sorted(tmp_path.iterdir()) == before
    with (
        ConceptStore.open(tmp_path / "concepts.db", namespace="empty") as empty,
        pytest.raises(StoreError, match="no con"),
    ):
        empty.export(tmp_path / "empty")


def test_taken_names_stop_an_import_unless_they_are_to_be_replaced(store: ConceptStore, exported: Path) -> None:
    store.add(concept("billie", 5), replace=True)
    store.forget("小明")
    with pytest.raises(DuplicateConceptError, match="<billie> is in the store"):
        store.import_(exported)
    assert store.names() == ["billie"] and same(store.get("billie"), concept("billie", 5))
    store.import_(exported, replace=True)
    assert same(store.get("billie"), concept("billie", 1, references=2)) and store.names() == ["billie", "小明"]


def hostile(change: Callable[[Files], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        files = unpack(path)
        change(files)
        pack(path, files)

    return apply


def in_manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    return hostile(lambda files: manifest_with(files, change))


def first(**fields: Any) -> Callable[[Path], None]:
    return in_manifest(lambda manifest: manifest["concepts"][0].update(fields))


def encrypted(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.find(magic)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(magic, at + 4)
    path.write_bytes(data)


def unit(width: int) -> torch.Tensor:
    return torch.eye(1, width)[0]


def tokens_like(change: Callable[[ConceptTokens], ConceptTokens]) -> Callable[[Path], None]:
    """Other tokens for the first concept, in bytes that no product's code wrote."""
    bad = change(tokens(1))
    return hostile(lambda files: files.update({TOKENS: save({k: v.contiguous() for k, v in vars(bad).items()})}))


HOSTILE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"dear diary"),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "a flipped byte": lambda path: path.write_bytes(path.read_bytes().replace(b"IHDR", b"IHDX", 1)),
    "encrypted": encrypted,
    "path traversal": hostile(lambda files: files.update({"../../evil.png": b"x"})),
    "absolute path": hostile(lambda files: files.update({"/etc/evil": b"x"})),
    "backslashes": hostile(lambda files: files.update({"..\\evil": b"x"})),
    "a stowaway": hostile(lambda files: files.update({"concepts/0/evil.pkl": b"x"})),
    "no manifest": hostile(lambda files: files.pop("manifest.json")),
    "not JSON": hostile(lambda files: files.update({"manifest.json": b"{"})),
    "deep JSON": hostile(lambda files: files.update({"manifest.json": b"[" * 200_000})),
    "another format": in_manifest(lambda manifest: manifest.update(format="x")),
    "a future version": in_manifest(lambda manifest: manifest.update(version=4)),
    "no list": in_manifest(lambda manifest: manifest.update(concepts={"a": 1})),
    "a twin": in_manifest(lambda manifest: manifest["concepts"].append(manifest["concepts"][0])),
    "an unknown field": first(evil=1),
    "a bad name": first(name="my cat"),
    "a name of another form": first(name="Zoe\u0308"),
    "a number for a name": first(name=7),
    "endless notes": first(notes="x" * 100_001),
    "tokens elsewhere": first(tokens="../../etc/passwd"),
    "a missing reference": first(references=["concepts/0/reference-9.png"]),
    "references of a strange kind": first(references=[["x"]]),
    "no tokens": hostile(lambda files: files.pop(TOKENS)),
    "broken tokens": hostile(lambda files: files.update({TOKENS: b"\xff" * 100})),
    "someone's pickle": hostile(lambda files: files.update({TOKENS: b"\x80\x04cposix\nsystem\n"})),
    "tokens cut off": hostile(lambda files: files.update({TOKENS: files[TOKENS][:-4]})),
    "tokens that are not finite": hostile(lambda files: files.update({TOKENS: files[TOKENS][:-4] + b"\0\0\xc0\x7f"})),
    "endless references": first(references=[REFERENCE] * 1_001),
    "one picture many times": first(references=[REFERENCE] * 900),
    "another's tokens": first(tokens="concepts/1/tokens.safetensors"),
    "half a character": first(notes="\ud800"),
    "half a character in the display name": first(display="\udc00"),
    "a display name without end": first(display="x" * 65),
    "a NUL": first(notes="a\0b"),
    "tokens of another width": tokens_like(lambda t: ConceptTokens(torch.ones(9), torch.ones(9), torch.ones(4, 9), t.key)),
    "another K": tokens_like(lambda t: replace(t, context=t.context[:3])),
    "another key": tokens_like(lambda t: replace(t, key=unit(7))),
    "a key that is not of length 1": tokens_like(lambda t: replace(t, key=3 * t.key)),
    "a word that drowns all others": tokens_like(lambda t: replace(t, word=200 * t.word)),
    "one context row that drowns all others": tokens_like(lambda t: replace(t, context=t.context + 300 * torch.eye(4, 8))),
    "numbers that half precision does not have": tokens_like(lambda t: replace(t, head=t.head + 70_000)),
    "more context than any model has": tokens_like(lambda t: replace(t, context=torch.ones(4_097, 8))),
    "wider than any model": tokens_like(lambda t: replace(t, key=unit(65_537))),
    "tokens that are infinite": tokens_like(lambda t: replace(t, key=t.key / 0)),
    "a reference that is no picture": hostile(lambda files: files.update({REFERENCE: b"x" * 100})),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_or_broken_file_changes_nothing(
    kind: str, exported: Path, other: ConceptStore, tmp_path: Path
) -> None:
    HOSTILE[kind](exported)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError) as caught:
        other.import_(exported, replace=True)
    assert caught.value.hint and len(str(caught.value)) < 700
    assert other.names() == ["resident"] and sorted(tmp_path.rglob("*")) == before


def test_a_missing_file_and_a_folder_are_refused(other: ConceptStore, tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(StoreError):
            other.import_(path)


def test_a_zip_bomb_is_refused_by_its_declared_size(exported: Path, other: ConceptStore) -> None:
    files = unpack(exported)
    files[REFERENCE] = bytes(archive.MAX_ENTRY_BYTES + 1)
    pack(exported, files, compression=zipfile.ZIP_DEFLATED)
    assert exported.stat().st_size < 200_000
    with pytest.raises(StoreError, match="16 MiB"):
        other.import_(exported)


def test_many_entries_or_bytes_in_all_are_refused(
    exported: Path, other: ConceptStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 1000)
    with pytest.raises(StoreError, match="more than any export"):
        other.import_(exported)
    with pytest.raises(StoreError, match="more than one file may hold"):
        other.export(exported, replace=True)
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 10**9)
    monkeypatch.setattr(archive, "MAX_ENTRIES", 3)
    with pytest.raises(StoreError, match="more than any export"):
        other.import_(exported)


def test_an_entry_that_lies_about_its_size_unpacks_to_no_more_than_it_said(exported: Path, other: ConceptStore) -> None:
    files = unpack(exported)
    files[REFERENCE] = bytes(5_000_000)
    pack(exported, files, compression=zipfile.ZIP_DEFLATED)
    data = exported.read_bytes()
    exported.write_bytes(data.replace((5_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    with pytest.raises(StoreError):
        other.import_(exported)


def test_tokens_are_compared_with_what_the_store_has_of_their_aligner(
    exported: Path, other: ConceptStore, tmp_path: Path
) -> None:
    short = replace(tokens(1), context=tokens(1).context[:3])
    with ConceptStore.open(tmp_path / "short.db") as store:
        store.add(replace(concept("kim", 1), tokens=short))
        store.export(tmp_path / "short.plvm")
    with pytest.raises(StoreError, match=r"<kim> are not what its Aligner .* context has the shape \[3, 8\]"):
        other.import_(tmp_path / "short.plvm")
    assert other.names() == ["resident"]
    with ConceptStore.open(tmp_path / "empty.db") as empty:
        assert empty.import_(tmp_path / "short.plvm") == ["kim"], "nothing is known against it here"


def test_two_aligners_may_have_two_shapes(tmp_path: Path, other: ConceptStore) -> None:
    with ConceptStore.open(tmp_path / "both.db") as store:
        store.add(concept("a", 1))
        store.add(replace(concept("b", 2, aligner="aligner-b"), tokens=replace(tokens(2), context=tokens(2).context[:2])))
        store.export(tmp_path / "both.plvm")
    assert other.import_(tmp_path / "both.plvm") == ["a", "b"]


def test_an_archive_of_0_1_has_no_display_names(exported: Path, other: ConceptStore) -> None:
    def old(manifest: dict[str, Any]) -> None:
        manifest.update(version=1)
        for record in manifest["concepts"]:
            del record["display"]

    in_manifest(old)(exported)
    other.import_(exported)
    assert same(other.get("billie"), concept("billie", 1, references=2))


def test_display_names_travel(other: ConceptStore, tmp_path: Path) -> None:
    anna = replace(concept("anna-maria", 3), display="Anna Maria")
    with ConceptStore.open(tmp_path / "one.db") as store:
        store.add(anna)
        store.export(tmp_path / "anna.plvm")
    other.import_(tmp_path / "anna.plvm")
    assert same(other.get("Anna Maria"), anna)


def test_notes_with_half_a_character_are_refused_when_they_are_added(other: ConceptStore) -> None:
    with pytest.raises(RequestError, match="no character"):
        other.add(replace(concept("kim"), notes="\ud800"))
    assert other.names() == ["resident"]
