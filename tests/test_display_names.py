"""A display name in any script, the word made of it, and who is meant by either."""

from __future__ import annotations

import unicodedata

import pytest

from plvm.errors import ConceptNameError
from plvm.naming.display import check_display, key, nearest_words, resolve, typed, unused, word_and_display, words_for
from plvm.naming.lookalikes import lookalike, refuse_lookalike, skeleton
from plvm.types import check_name

DISPLAYED = [
    ("Anna Maria", "anna-maria"),
    ("O'Neill", "o-neill"),
    ("O\u2019Neill", "o-neill"),
    ("Jean-Luc Picard", "jean-luc-picard"),
    ("Dr. Who", "dr-who"),
    ("Zoë Żak", "zoë-żak"),
    ("Ünal Öz", "ünal-öz"),
    ("İpek Işıl", "ipek-işıl"),
    ("Straße Groß", "straße-groß"),
    ("Nguyễn Văn An", "nguyễn-văn-an"),
    ("Владимир Иванов", "владимир-иванов"),
    ("Ελένη Παπά", "ελένη-παπά"),
    ("ნინო ბერიძე", "ნინო-ბერიძე"),
    ("Անի Սարգսյան", "անի-սարգսյան"),
    ("محمد علي", "محمد-علي"),
    ("علی\u200cرضا محمدی", "علی\u200cرضا-محمدی"),
    ("שרה כהן", "שרה-כהן"),
    ("अनीता देवी", "अनीता-देवी"),
    ("বিপ্লব দাস", "বিপ্লব-দাস"),
    ("தமிழ் செல்வி", "தமிழ்-செல்வி"),
    ("ශ්\u200dරී ලාල්", "ශ්\u200dරී-ලාල්"),
    ("พิมพ์ ใจ", "พิมพ์-ใจ"),
    ("မြင့် မြင့်", "မြင့်-မြင့်"),
    ("ሰላም ተስፋ", "ሰላም-ተስፋ"),
    ("ភារុណ សុខ", "ភារុណ-សុខ"),
    ("ສົມ ຊາຍ", "ສົມ-ຊາຍ"),
    ("రామ్ కుమార్", "రామ్-కుమార్"),
    ("પ્રિયા શાહ", "પ્રિયા-શાહ"),
    ("ਗੁਰੂ ਸਿੰਘ", "ਗੁਰੂ-ਸਿੰਘ"),
    ("ᏣᎳᎩ Ᏼ", "ꮳꮃꭹ-ᏼ"),
    ("བསྟན་འཛིན", "བསྟན-འཛིན"),
    ("小明 王", "小明-王"),
    ("さくら・桜", "さくら-桜"),
    ("김 민준", "김-민준"),
    ("my cat!", "my-cat"),
    ("R2 D2", "r2-d2"),
    ("a_b c", "a-b-c"),
    ("x²", "x"),
    ("Anna 😀", "anna"),
    ("👩\u200d👧 Fam", "fam"),
    ("[INST] \\ `x`", "inst-x"),
]


@pytest.mark.parametrize(("display", "word"), DISPLAYED)
def test_a_name_of_any_script_gets_a_word_that_is_one(display: str, word: str) -> None:
    assert word_and_display(display) == (word, unicodedata.normalize("NFC", display))
    assert word_and_display(f"<{display}>") == word_and_display(display)
    assert check_name(word) == word and check_display(display) == display


@pytest.mark.parametrize("name", ["billie", "Billie", "my-cat", "my_cat", "_x", "7", "Łukasz", "小明", "김민준", "a" * 64])
def test_what_was_a_name_in_0_1_stays_that_word_and_needs_no_display_name(name: str) -> None:
    assert word_and_display(name) == (name, "") == word_and_display(f"<{name}>")


def test_blanks_around_and_between_do_not_count() -> None:
    assert word_and_display("  Anna \u00a0  Maria ") == ("anna-maria", "Anna Maria")
    assert len(word_and_display("Ab " * 20)[0]) == 59
    assert word_and_display("ab " * 20) == ("ab-" * 19 + "ab", " ".join(["ab"] * 20))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "empty"),
        (" ", "' '"),
        ("a <b", "'<'"),
        ("Anna\nMaria", r"\n"),
        ("Anna\tMaria", r"\t"),
        ("Anna \x1b[2J", r"\x1b"),
        ("Anna\u200b Maria", r"\u200b"),
        ("an\u200dna Maria", r"\u200d"),
        ("Anna \u202eMaria", r"\u202e"),
        ("Anna\u3164Maria", r"\u3164"),
        ("\ud800nna Maria", r"\ud800"),
        ("Anna \ue000", r"\ue000"),
        ("-r f", "begins"),
        ("\u0301a b", "begins"),
        ("!!!", "neither"),
        ("😀 😀", "neither"),
        ("image", "picture"),
        ("a b" * 21, "63 characters, over 60"),
        ("x y" * 10_000, "30,000"),
    ],
)
def test_what_cannot_be_seen_or_said_is_refused(name: str, said: str) -> None:
    with pytest.raises(ConceptNameError) as caught:
        word_and_display(name)
    assert said in caught.value.message and caught.value.hint and len(caught.value.line) < 500


def test_words_stay_unique() -> None:
    assert words_for([("anna-maria", "Anna Maria"), ("anna-maria", "Anna. Maria")], {}) == ["anna-maria", "anna-maria-2"]
    assert words_for([("anna-maria", "Anna Maria"), ("anna-maria", "")], {}) == ["anna-maria-2", "anna-maria"]
    known = {"anna-maria": "Anna Maria", "anna-maria-2": "Anna. Maria"}
    assert words_for([("anna-maria", "ANNA MARIA"), ("anna-maria", "Anna/Maria")], known) == ["anna-maria", "anna-maria-3"]
    assert words_for([("image", "image!")], {}) == ["image-2"]
    assert len(unused("a" * 64, {"a" * 64})) == 64


def test_a_word_means_itself_and_a_display_name_whoever_has_it() -> None:
    people = {"anna-maria": "Anna Maria", "o-neill": "O'Neill", "billie": "", "Billie": "", "an": "A. N.", "an-2": "a. n."}
    for name in ("anna-maria", "<anna-maria>", "Anna Maria", "<anna maria>", "ANNA  MARIA", "Ａｎｎａ Maria"):
        assert resolve(name, people) == "anna-maria", name
    assert resolve("o\u2019neill", people) == "o-neill"
    assert (resolve("billie", people), resolve("Billie", people), resolve("BILLIE", people)) == ("billie", "Billie", None)
    assert resolve("A. N.", people) is None, "two are called so"
    assert resolve("an", people) == "an"
    assert resolve("anna", people) is None and resolve("Anna-Maria", people) is None
    assert nearest_words("Anna Mari", people) == ["anna-maria"]
    assert nearest_words("bilie", people) == ["Billie", "billie"]


def test_a_name_is_typed_between_quotation_marks_where_a_shell_needs_them() -> None:
    assert (typed("billie"), typed("Anna Maria"), typed("O'Neill")) == ("billie", '"Anna Maria"', '"O\'Neill"')
    assert key("Anna  MARIA") == key("anna maria") != key("annamaria")


@pytest.mark.parametrize(
    "same",
    ["b\u0456llie", "\u0412illie", "billi\u0435", "bil\u200blie", "bil\u2060lie", "billie\ufe0f", "Bi\u00adllie"]
    + ["bi\U0001d425lie"],
)
def test_what_looks_like_billie_has_her_skeleton(same: str) -> None:
    assert skeleton(same).casefold() == "billie"


@pytest.mark.parametrize("other", ["billy", "bıllie", "billié", "Валя", "ビリー", "bi11ie"])
def test_what_looks_otherwise_has_not(other: str) -> None:
    assert skeleton(other).casefold() != "billie" and lookalike(other, {"billie": ""}) is None


def test_a_new_name_must_not_look_like_a_known_one() -> None:
    people = {"billie": "", "anna-maria": "Anna Maria", "мама": ""}
    for name in ("b\u0456llie", "Ann\u0430 Maria", "\u0391nna Maria"):
        with pytest.raises(ConceptNameError, match="looks like"):
            refuse_lookalike(name, people)
    for name in ("Billie", "billy", "мамы", "Anna Mara", "anna-maria"):
        refuse_lookalike(name, people)
