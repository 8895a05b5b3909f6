"""What happens to a store when bits of it change: nothing damaged is used, everything else is."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from concepts import concept, same
from damaged import SMALL, flipped, run_sql, small_store, spoil, tokens_of
from plvm.errors import DamagedStoreError, StoreError, UnknownConceptError
from plvm.store import ConceptStore
from plvm.store.database import Database
from plvm.store.schema import _shape
from plvm.store.seal import is_whole, mended, seal
from plvm.store.sqlite_pages import Pages

OLD = Path(__file__).with_name("data") / "0.1" / "concepts.db"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "concepts.db"
    small_store(path)
    return path


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def spoiled(path: Path, warnings: list[str]) -> Iterator[ConceptStore]:
    """A store whose <billie> has a wrong bit in its tokens."""
    spoil(path, tokens_of(SMALL["billie"]))
    with ConceptStore.open(path, warn=warnings.append) as store:
        yield store


# ---- one damaged concept


def test_a_damaged_concept_is_named_and_left_out_and_the_others_answer(
    spoiled: ConceptStore, warnings: list[str]
) -> None:
    assert [c.name for c in spoiled.list()] == ["avril", "mia"] and spoiled.names() == ["avril", "billie", "mia"]
    assert all(same(spoiled.get(name), SMALL[name]) for name in ("avril", "mia"))
    assert [damage.name for damage in spoiled.damaged] == ["billie"]
    assert len(warnings) == 1 and "<billie>" in warnings[0] and "tokens" in warnings[0] and "--repair" in warnings[0]


def test_a_listing_marks_the_damaged(spoiled: ConceptStore, warnings: list[str]) -> None:
    entries = spoiled.entries()
    assert [(entry.name, bool(entry.damage)) for entry in entries] == [("avril", False), ("billie", True), ("mia", False)]
    assert [entry.display for entry in entries] == ["", "", "Mia Maria"] and len(entries[1].references) == 2
    assert spoiled.damaged == (entries[1],) and len(warnings) == 1 and "<billie>" in warnings[0]


def test_asking_for_a_damaged_concept_says_what_to_do(spoiled: ConceptStore) -> None:
    for verb in (spoiled.get, lambda name: spoiled.rename(name, "kim"), lambda name: spoiled.export("x", [name])):
        with pytest.raises(StoreError, match="<billie> is damaged: its tokens changed") as caught:
            verb("billie")
        assert "plvm store check --repair" in caught.value.hint
    with pytest.raises(UnknownConceptError):
        spoiled.get("nobody")


def test_a_damaged_concept_can_be_replaced_or_forgotten(spoiled: ConceptStore, path: Path) -> None:
    spoiled.add(concept("billie", 7), replace=True)
    assert same(spoiled.get("billie"), concept("billie", 7)) and spoiled.check().whole
    spoiled.close()
    spoil(path, concept("billie", 7).references[0][200:300])
    spoiled.forget("billie")
    assert spoiled.names() == ["avril", "mia"] and spoiled.check().whole


def test_an_export_leaves_the_damaged_out_and_says_so(
    spoiled: ConceptStore, warnings: list[str], tmp_path: Path
) -> None:
    assert spoiled.export(tmp_path / "out.plvm") == ["avril", "mia"]
    assert len(warnings) == 1 and "<billie>" in warnings[0]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("UPDATE plvm_concepts SET notes = 'x' WHERE name = 'billie'", "name, notes"),
        ("UPDATE plvm_concepts SET display = 'Kim' WHERE name = 'billie'", "name, notes"),
        ("UPDATE plvm_concepts SET aligner = 'x' WHERE name = 'billie'", "name, notes"),
        ("UPDATE plvm_concepts SET created = '' WHERE name = 'billie'", "name, notes"),
        ("UPDATE plvm_concepts SET id = 77 WHERE name = 'billie'", "name, notes"),
        ("UPDATE plvm_concepts SET tokens = x'0011' WHERE name = 'billie'", "tokens"),
        ("UPDATE plvm_concepts SET tokens_seal = NULL WHERE name = 'billie'", "tokens"),
        ("UPDATE plvm_concepts SET tokens = (SELECT tokens FROM plvm_concepts WHERE id = 3) WHERE id = 2", "tokens"),
        ("UPDATE plvm_references SET picture = x'00' WHERE concept_id = 2 AND position = 1", "picture changed"),
        ("UPDATE plvm_references SET position = 9 WHERE concept_id = 2 AND position = 1", "picture changed"),
        ("DELETE FROM plvm_references WHERE concept_id = 2 AND position = 1", "picture is missing"),
        ("UPDATE plvm_concepts SET notes = CAST(x'ff' AS TEXT) WHERE name = 'billie'", "name, notes"),
    ],
)  # fmt: skip
def test_every_kind_of_change_is_noticed(path: Path, change: str, part: str) -> None:
    run_sql(path, change)
    with ConceptStore.open(path) as store:
        assert [c.name for c in store.list()] == ["avril", "mia"]
        (damage,) = store.damaged
        assert damage.name == "billie" and part in str(damage)
        assert not store.check().whole


def test_a_picture_that_is_given_to_another_is_noticed(path: Path) -> None:
    run_sql(path, "UPDATE plvm_references SET concept_id = 3, position = 2 WHERE concept_id = 2 AND position = 1")
    with ConceptStore.open(path) as store:
        assert [c.name for c in store.list()] == ["avril"]


def test_a_concept_that_is_not_to_be_found_is_missed(path: Path, warnings: list[str]) -> None:
    run_sql(path, "DELETE FROM plvm_references WHERE concept_id = 2", "DELETE FROM plvm_concepts WHERE id = 2")
    with ConceptStore.open(path, warn=warnings.append) as store:
        assert [c.name for c in store.list()] == ["avril", "mia"] and store.check().missing == 1
        assert "1 of its concepts is not to be found" in warnings[0]
        with pytest.raises(StoreError, match="not to be found"):
            store.get("billie")


def test_a_name_with_a_wrong_bit_is_still_known_by_the_right_one(path: Path) -> None:
    run_sql(path, "UPDATE plvm_concepts SET name = 'bimlie' WHERE name = 'billie'")  # l and m differ in one bit
    with ConceptStore.open(path) as store, pytest.raises(StoreError, match="<billie> is damaged"):
        store.get("billie")


def test_damage_of_another_namespace_is_a_number_and_nothing_else(path: Path) -> None:
    with ConceptStore.open(path, namespace="other") as other:
        other.add(concept("zoe", 9))
    spoil(path, tokens_of(SMALL["billie"]))
    with ConceptStore.open(path, namespace="other") as other:
        health = other.check()
        assert (health.concepts, health.damaged, health.elsewhere) == (1, (), 1) and "billie" not in repr(health)


def test_bits_in_free_pages_are_harmless(path: Path) -> None:
    run_sql(path, "CREATE TABLE x (y)", "INSERT INTO x VALUES (randomblob(20000))", "DROP TABLE x")
    data = path.read_bytes()
    free = data[-8000:]
    assert set(free) == {0} or len(data) > 40_000
    path.write_bytes(flipped(data, 8 * (len(data) - 5000)))
    with ConceptStore.open(path) as store:
        assert len(store.list()) == 3


# ---- a damaged file


def test_a_damaged_header_is_refused_clearly_and_everyone_is_saved(path: Path) -> None:
    for place in (0, 17, 18, 19, 21, 31, 47, 59, 100, 103):
        bad = path.with_name(f"{place}.db")
        bad.write_bytes(flipped(path.read_bytes(), 8 * place + 2))
        with pytest.raises(DamagedStoreError) as caught, ConceptStore.open(bad) as store:
            store.list()
        assert "plvm store check --repair" in caught.value.hint and len(str(caught.value)) < 500, place
        result = ConceptStore.salvage(bad)
        with ConceptStore.open(bad) as store:
            assert store.check().whole and all(same(store.get(name), c) for name, c in SMALL.items()), place
        assert result.concepts == 3 and result.old.exists()


def test_table_definitions_that_are_no_text_any_more_are_refused_clearly(path: Path) -> None:
    data = path.read_bytes()
    place = data.index(b"CREATE TABLE plvm_concepts") + 9
    for bit in range(8 * place, 8 * place + 64):
        path.write_bytes(flipped(data, bit))
        with pytest.raises(DamagedStoreError) as caught, ConceptStore.open(path) as store:
            store.list()
        assert "plvm store check --repair" in caught.value.hint


def test_two_pages_of_rubbish_cost_only_who_was_on_them(tmp_path: Path) -> None:
    path = tmp_path / "concepts.db"
    people = {f"p{i:02d}": concept(f"p{i:02d}", i, side=64) for i in range(30)}
    with ConceptStore.open(path) as store:
        store.add_all(list(people.values()))
    data = bytearray(path.read_bytes())
    for page in (5, 40):
        data[4096 * page : 4096 * (page + 1)] = random.Random(page).randbytes(4096)
    path.write_bytes(data)
    notes = ConceptStore.salvage(path).notes
    with ConceptStore.open(path) as store:
        whole = [c for c in store.list() if same(c, people[c.name])]
        assert len(whole) >= 20 and len(whole) + sum("lost" in note for note in notes) == len(store.list())


def test_nothing_to_save_is_said_and_nothing_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "concepts.db"
    path.write_bytes(b"dear diary\n" * 999)
    with pytest.raises(StoreError, match="No concept was found"):
        ConceptStore.salvage(path)
    assert path.read_bytes() == b"dear diary\n" * 999 and list(tmp_path.iterdir()) == [path]


def killed_with_a_log(path: Path, folder: Path) -> Path:
    """A copy of the store to which <kim> came, in the log alone."""
    with ConceptStore.open(path) as store:
        store._database.empty_log = lambda: False  # type: ignore[method-assign]
        store.add(concept("kim", 5))
        for ending in ("", "-wal"):
            shutil.copy(f"{path}{ending}", folder / f"killed.db{ending}")
    return folder / "killed.db"


def test_what_is_committed_in_the_log_alone_is_saved_too(path: Path, tmp_path: Path) -> None:
    killed = killed_with_a_log(path, tmp_path)
    killed.write_bytes(flipped(killed.read_bytes(), 3))
    ConceptStore.salvage(killed)
    with ConceptStore.open(killed) as store:
        assert store.names() == ["avril", "billie", "kim", "mia"] and same(store.get("kim"), concept("kim", 5))


def test_a_wrong_page_number_in_the_log_asks_for_no_room(path: Path, tmp_path: Path) -> None:
    killed = killed_with_a_log(path, tmp_path)
    log = Path(f"{killed}-wal")
    log.write_bytes(flipped(log.read_bytes(), 8 * 32 + 6))  # the first frame's page is over 2^30 now
    assert len(Pages(killed)._pages) < 1000
    assert ConceptStore.salvage(killed).concepts >= 3


def test_the_forgotten_do_not_come_back_by_salvage(path: Path) -> None:
    with ConceptStore.open(path) as store:
        store._database.scrub = lambda: None  # type: ignore[method-assign]
        store.forget("billie")
    path.write_bytes(flipped(path.read_bytes(), 3))
    ConceptStore.salvage(path)
    with ConceptStore.open(path) as store:
        assert store.names() == ["avril", "mia"]


# ---- seals


def test_a_seal_tells_values_orders_and_borders_apart() -> None:
    values = [7, b"ab", b"", b"cd"]
    others = [[7, b"ab", b"cd", b""], [7, b"a", b"b", b"cd"], [8, b"ab", b"", b"cd"], [b"7", b"ab", b"", b"cd"]]
    assert is_whole(values, seal(values)) and not any(is_whole(other, seal(values)) for other in others)
    assert not is_whole(values, None) and not is_whole(values, seal(values)[:-1])


def test_one_wrong_bit_is_mended_and_two_are_not() -> None:
    chance = random.Random(0)
    for _ in range(100):
        values = [chance.randrange(1000), chance.randbytes(chance.randrange(1, 2000)), b"", "é".encode()]
        found = seal(values)
        one = [values[0], flipped(values[1], chance.randrange(8 * len(values[1]))), *values[2:]]
        assert mended(one, found) == values == mended([values[0] ^ 4, *values[1:]], found)
        assert mended(values, flipped(found, chance.randrange(8 * len(found)))) == values
        assert mended([one[0], one[1], b"", flipped(values[3], 3)], found) is None


# ---- older stores


def as_version_2(path: Path) -> None:
    """Make a store what plvm 0.2 wrote before there were keys."""
    run_sql(path, "DROP TABLE plvm_keys", "DROP TABLE plvm_uses", "UPDATE plvm_store SET value = '2' WHERE key = 'schema'")
    run_sql(path, "DELETE FROM plvm_store WHERE key LIKE 'edition:%'")
    with Database.open(path.with_name("new.db")) as new, new.transaction(write=True) as connection:
        for table in ("keys", "uses"):
            connection.exec_driver_sql(f"DROP TABLE plvm_{table}")
        shape = _shape(connection)
    run_sql(path, f"UPDATE plvm_store SET value = '{shape}' WHERE key = 'shape'")


def test_a_store_without_keys_gets_them_and_its_damage_stays_damage(path: Path) -> None:
    spoil(path, SMALL["billie"].references[0][200:300])
    as_version_2(path)
    with ConceptStore.open(path) as store:
        assert [c.name for c in store.list()] == ["avril", "mia"] and store.damaged[0].name == "billie"
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM plvm_keys").fetchone() == (3,)
    assert connection.execute("SELECT key FROM plvm_keys WHERE concept_id = 1").fetchone() == (
        SMALL["avril"].tokens.key.numpy().tobytes(),
    )
    connection.close()


def test_a_store_of_0_1_is_sealed_when_it_is_opened(tmp_path: Path) -> None:
    path = Path(shutil.copy(OLD, tmp_path))
    with ConceptStore.open(path) as store:
        before = store.list()
        assert [c.name for c in before] == ["billie", "zoë"] and store.check().whole
    spoil(path, before[0].references[0][500:600])
    with ConceptStore.open(path) as store:
        assert [c.name for c in store.list()] == ["zoë"] and store.damaged[0].name == "billie"


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(shutil.copy(OLD, tmp_path))
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise StoreError("no more", "")

    monkeypatch.setattr("plvm.store.writer.add_to_count", fail)
    with pytest.raises(StoreError, match="no more"):
        ConceptStore.open(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    with ConceptStore.open(path) as store:
        assert store.names() == ["billie", "zoë"]


def test_tokens_of_0_1_that_are_none_are_set_aside(tmp_path: Path) -> None:
    path = Path(shutil.copy(OLD, tmp_path))
    run_sql(path, "UPDATE plvm_concepts SET tokens = x'0011' WHERE name = 'billie'")
    with ConceptStore.open(path) as store:
        assert [c.name for c in store.list()] == ["zoë"]
        (entry,) = store.damaged
        assert entry.can_be_made_again and entry.references
