"""What can be a concept's name, and how a refusal reads."""

from __future__ import annotations

import unicodedata

import pytest

from plvm.errors import ConceptNameError
from plvm.types import check_name, nearest_names


def refusal(name: str) -> ConceptNameError:
    with pytest.raises(ConceptNameError) as caught:
        check_name(name)
    assert caught.value.hint and len(str(caught.value)) < 400, "short, whatever was typed"
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    "name",
    ["billie", "Billie", "my-cat", "my_cat", "_x", "R2D2", "7", "sks", "a" * 64]
    + ["Łukasz", "Zoë", "Đặng", "小明", "さくら", "Владимир", "Ελένη", "محمد", "שרה", "ნინო", "ሰላም", "김민준"],
)
def test_names_of_every_script_are_kept_as_they_are(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["अनीता", "श्रीदेवी", "พิมพ์", "ทักษิณ", "தமிழ்", "বিপ্লব", "မြင့်", "ශ්‍රී", "علی‌رضا"])
def test_scripts_that_write_marks_and_joiners_keep_them(name: str) -> None:
    assert any(unicodedata.category(c) in ("Mn", "Mc", "Cf") for c in name), "or this test shows nothing"
    assert check_name(name) == name


def test_one_name_typed_in_two_ways_is_one_name() -> None:
    composed, decomposed = "Zo\u00eb", "Zoe\u0308"
    assert composed != decomposed
    assert check_name(decomposed) == check_name(composed) == composed
    assert check_name("e\u0308" * 64) == "\u00eb" * 64, "the limit counts composed letters"


def test_the_brackets_of_a_question_may_come_along() -> None:
    assert check_name("<billie>") == "billie"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "empty"),
        ("<>", "'<'"),
        ("my cat", "' '"),
        ("a<b", "'<'"),
        ("<<a>>", "'<'"),
        ("a>", "'>'"),
        ("a\nb", r"\n"),
        ("a\tb", r"\t"),
        ("a\0b", r"\x00"),
        ("a.b", "'.'"),
        ("a/b", "'/'"),
        ("[INST]", "'['"),
        ("-rf", "begins"),
        ("\u0301a", "begins"),
        ("😀", r"\U0001f600"),
        ("a\u200bb", r"\u200b"),
        ("a\u200db", r"\u200d"),
        ("a\u200c", r"\u200c"),
        ("a\u202eb", r"\u202e"),
        ("x²", r"\xb2"),
        ("image", "picture"),
        ("<image>", "picture"),
    ],
)
def test_what_cannot_stand_in_a_sentence_is_refused_by_its_character(name: str, words: str) -> None:
    assert words in refusal(name).message


def test_ten_thousand_characters_are_counted_not_printed() -> None:
    assert "10,000" in refusal("x" * 10_000).message
    assert "10,000" in refusal(" <\n>" * 2_500).message


def test_a_refusal_suggests_a_name_that_would_do() -> None:
    assert '"my-cat"' in refusal("my cat").hint
    assert '"my-cat"' in refusal(" my.cat! ").hint
    assert check_name("my-cat")


def test_the_nearest_names_come_first_and_strangers_do_not_come() -> None:
    known = ["billie", "Avril", "billy", "zoe"]
    assert nearest_names("bilie", known) == ["billie", "billy"]
    assert nearest_names("avril", known) == ["Avril"]
    assert nearest_names("quetzalcoatl", known) == []
