"""Many concepts in a store: added together, listed in pages, the nearest of them found."""

from __future__ import annotations

import pytest

from concepts import concept, same, tokens
from plvm.errors import DuplicateConceptError, UnknownConceptError
from plvm.store import ConceptStore
from test_store import Place
from test_store import store as store


def test_many_are_added_together_or_not_at_all(store: ConceptStore) -> None:
    store.add(concept("billie", 1))
    with pytest.raises(DuplicateConceptError):
        store.add_all([concept("avril", 2), concept("billie", 3)])
    assert store.names() == ["billie"]
    store.add_all([concept("avril", 2), concept("billie", 3)], replace=True)
    assert same(store.get("avril"), concept("avril", 2)) and same(store.get("billie"), concept("billie", 3))
    with pytest.raises(DuplicateConceptError, match="twice"):
        store.add_all([concept("mia", 4), concept("mia", 5)], replace=True)
    assert store.names() == ["avril", "billie"]


# ---- many


def test_pages_are_sorted_and_searched_by_both_names_and_miss_nobody(store: ConceptStore) -> None:
    names = [f"p{number:02d}" for number in range(25)]
    store.add_all([concept(name, number) for number, name in enumerate(names)])
    store.add(concept("Anna Maria", 90))
    assert [store.page(10).total, store.page(10).more, store.page(100).more] == [26, True, False]
    met: list[str] = []
    while (page := store.page(10, after=met[-1] if met else None)).entries:
        met += [entry.name for entry in page.entries]
    assert met == sorted([*names, "anna-maria"]) == store.names()
    assert [entry.name for entry in store.page(search="na MA").entries] == ["anna-maria"]
    assert [entry.name for entry in store.page(1, search="P1", after="p11").entries] == ["p12"]
    assert store.page(search="nobody").total == 0 and not store.page(search="nobody").entries


def test_what_a_page_says_is_what_the_list_says_after_every_change(
    store: ConceptStore, place: Place, secret: bytes | None
) -> None:
    def agree() -> bool:
        return list(store.page(100).entries) == list(store.entries()) and store.names() == [c.name for c in store.list()]

    with ConceptStore.open(place, secret=secret) as other:
        for who in (store, other):
            who.add(concept(f"a{id(who)}", 1))
            assert agree()
        other.rename(f"a{id(other)}", "bob")
        assert agree() and store.entry("bob").name == "bob"
        other.add(concept("bob", 5), replace=True)
        assert agree() and same(store.get("bob"), concept("bob", 5))
        other.forget("bob")
        assert agree()
        with pytest.raises(UnknownConceptError):
            store.entry("bob")


def test_the_nearest_are_those_that_a_product_of_all_keys_finds(store: ConceptStore) -> None:
    people = [concept(f"p{number}", number) for number in range(60)]
    store.add_all([*people, concept("stranger", 3, aligner="aligner-b")])
    for key in (tokens(500).key, people[7].tokens.key):
        expected = sorted(people, key=lambda one: -float(one.tokens.key @ key))[:5]
        found = store.nearest(key, 5, aligner="aligner-a")
        assert [name for name, _ in found] == [one.name for one in expected]
        assert [round(likeness, 4) for _, likeness in found] == [round(float(one.tokens.key @ key), 4) for one in expected]
    assert store.nearest(tokens(0).key[:3], aligner="aligner-a") == [], "keys of another width are nobody's"


def test_the_nearest_follow_every_change_and_nothing_crosses_namespaces(
    store: ConceptStore, place: Place, secret: bytes | None
) -> None:
    def nearest(seed: int) -> str:
        return store.nearest(tokens(seed).key, 1, aligner="aligner-a")[0][0]

    store.add_all([concept("a", 1), concept("b", 2), concept("c", 3)])
    assert [nearest(1), nearest(2), nearest(3)] == ["a", "b", "c"]
    with (
        ConceptStore.open(place, secret=secret) as other,
        ConceptStore.open(place, secret=secret, namespace="other") as elsewhere,
    ):
        elsewhere.add(concept("stranger", 9))
        other.forget("c")
        other.add(concept("d", 2))
        other.forget("b")
        other.rename("a", "e")
        assert [nearest(1), nearest(2)] == ["e", "d"] and len(store.nearest(tokens(9).key, aligner="aligner-a")) == 2
        other.add(concept("d", 9), replace=True)
        assert nearest(9) == "d"


# ---- consent
