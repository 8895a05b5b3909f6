"""People in sentences: in and out of brackets, beside ordinary words, at the start of a sentence, in any script."""

from __future__ import annotations

import pytest

from plvm.engine.checks import checked_question
from plvm.errors import RequestError, UnknownConceptError
from plvm.naming.mentions import marked
from plvm.naming.ordinary import WORDS, is_ordinary
from plvm.types import Answer, Concept, ConceptTokens, with_display_names

PEOPLE = {
    "anna": "", "anna-maria": "Anna Maria", "billie": "", "o-neill": "O'Neill", "will": "Will", "May": "", "rose": "", "Yes": "",
    "小明": "", "さくら": "", "민준": "", "พิมพ์": "", "محمد": "", "владимир": "", "zoë": "", "R2D2": "", "7": "", "x": "",
    "the-cat": "The Cat", "dr-who": "Dr. Who", "ayşe": "", "mark": "Mark Twain",
}  # fmt: skip

SAID = [
    # without brackets, in any case
    ("Where is billie?", "Where is <billie>?"),
    ("Where is Billie?", "Where is <billie>?"),
    ("WHERE IS BILLIE?", "WHERE IS <billie>?"),
    ("Billie and anna", "<billie> and <anna>"),
    ("(billie), \u201cAnna\u201d: zoë!", "(<billie>), \u201c<anna>\u201d: <zoë>!"),
    ("Is r2d2 here?", "Is <R2D2> here?"),
    ("billie/anna", "<billie>/<anna>"),
    # the longest first, one name in another
    ("Is anna maria with anna?", "Is <anna-maria> with <anna>?"),
    ("Is Anna  Maria here? Anna-Maria?", "Is <anna-maria> here? <anna-maria>?"),
    ("Is Mark Twain here?", "Is <mark> here?"),
    ("Where is Dr. Who?", "Where is <dr-who>?"),
    # possessives, apostrophes, hyphens
    ("Anna's hat and billie\u2019s", "<anna>'s hat and <billie>\u2019s"),
    ("What color is Anna Maria's hat?", "What color is <anna-maria>'s hat?"),
    ("Ayşe'nin saçı", "<ayşe>'nin saçı"),
    ("Is o\u2019neill there, or O'NEILL'S dog?", "Is <o-neill> there, or O'NEILL'S dog?"),
    ("Où est d'Anna?", "Où est d'<anna>?"),
    ("Anna-Lena, Mary-Anna, anna_b", "Anna-Lena, Mary-Anna, anna_b"),
    ("Anna - billie", "<anna> - <billie>"),
    # whole words only
    ("Annabel, Hanna, billies", "Annabel, Hanna, billies"),
    ("anna@home.org anna.jpg x.anna", "anna@home.org anna.jpg x.anna"),
    ("Is that anna.", "Is that <anna>."),
    ("Are there 7 of x?", "Are there 7 of x?"),
    ("Is <7> here?", "Is <7> here?"),
    # names that are ordinary words
    ("Is Will here?", "Is <will> here?"),
    ("will will come?", "will will come?"),
    ("Will Will come?", "Will <will> come?"),
    ("Will she come? Will he?", "Will she come? Will he?"),
    ("And then? May I ask?", "And then? May I ask?"),
    ("Was May here in may?", "Was <May> here in may?"),
    ("Where is the rose?", "Where is the rose?"),
    ("Where is Rose?", "Where is <rose>?"),
    ("\u201cWill it?\u201d", "\u201cWill it?\u201d"),
    ("Say: Yes or no", "Say: Yes or no"),
    ("Who is beside Yes?", "Who is beside <Yes>?"),
    ("Is it WILL or may?", "Is it <will> or may?"),
    ("WHERE IS WILL?", "WHERE IS WILL?"),
    ("Where Is The Rose?", "Where Is The Rose?"),
    ("Is the cat here?", "Is the cat here?"),
    ("Is The Cat here?", "Is <the-cat> here?"),
    ("Is mr. Will here?", "Is mr. Will here?"),
    ("Where is Mr. Will?", "Where is Mr. <will>?"),
    ("Is <will> here?", "Is <will> here?"),
    # brackets
    ("Is <Anna Maria> or <anna  maria>?", "Is <anna-maria> or <anna-maria>?"),
    ("Is <O\u2019Neill> or <BILLIE>?", "Is <o-neill> or <billie>?"),
    ("Is <anna-maria> there?", "Is <anna-maria> there?"),
    ("a < b > c, </s> <image> <s >", "a < b > c, </s> <image> <s >"),
    # scripts with and without blanks
    ("小明在哪里？", "<小明>在哪里？"),
    ("你看见小明和さくら了吗", "你看见<小明>和<さくら>了吗"),
    ("在billie旁边", "在<billie>旁边"),
    ("พิมพ์อยู่ที่ไหน", "<พิมพ์>อยู่ที่ไหน"),
    ("민준은 어디 있어? 민준서", "<민준>은 어디 있어? 민준서"),
    ("Billie는 어디에 있어요?", "<billie>는 어디에 있어요?"),
    ("أين محمد؟", "أين <محمد>؟"),
    ("Где Владимир?", "Где <владимир>?"),
    ("Ｂｉｌｌｉｅ?", "<billie>?"),
]


@pytest.mark.parametrize(("said", "meant"), SAID)
def test_who_is_named_is_marked(said: str, meant: str) -> None:
    assert marked(said, PEOPLE) == meant
    assert marked(meant, PEOPLE) == meant, "a second time nothing is found"


@pytest.mark.parametrize(("said", "meant"), [row for row in SAID if "<" not in row[0]])
def test_exact_names_leave_plain_words_alone(said: str, meant: str) -> None:
    assert marked(said, PEOPLE, exact=True) == said


def test_exact_names_still_take_a_display_name_between_brackets() -> None:
    assert marked("Is <Anna Maria> with Anna?", PEOPLE, exact=True) == "Is <anna-maria> with Anna?"


def test_nothing_is_found_where_nobody_is_known() -> None:
    assert marked("Where is Billie or <anna>?", {}) == "Where is Billie or <anna>?"


def test_two_who_differ_by_case_are_told_apart_or_asked_about() -> None:
    two = {"billie": "", "Billie": ""}
    assert marked("Is billie with Billie?", two) == "Is <billie> with <Billie>?"
    with pytest.raises(RequestError, match="2 people") as caught:
        marked("Is BILLIE here?", two)
    assert "<billie>" in caught.value.hint and "<Billie>" in caught.value.hint


def test_the_ordinary_words_are_ordinary() -> None:
    assert {"will", "may", "rose", "yes", "mark", "grace", "art", "bill", "drew", "hope", "dog", "hat", "where"} <= WORDS
    assert all(word.islower() and word.isascii() for word in WORDS)
    assert not any(map(is_ordinary, ["billie", "Anna Maria", "小明", "Will Smithson", "avril"]))
    assert is_ordinary("The Cat")


@pytest.mark.parametrize(
    ("question", "said", "near"),
    [
        ("Where is <bilie>?", "Nobody here is called <bilie>", "<billie>"),
        ("Where is <Anna Mari>?", "Nobody here is called <Anna Mari>", "<anna-maria>"),
        ("Where is <b\u0456llie>?", "CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I", "<billie>"),
        ("Where is <bil\u200blie>?", "ZERO WIDTH SPACE (U+200B)", "<billie>"),
        ("Where is b\u0456llie?", "CYRILLIC SMALL LETTER", "<billie>"),
        ("Where is \u0412illie's hat?", "CYRILLIC CAPITAL LETTER VE", "<billie>"),
        ("Where is bil\u200blie?", "ZERO WIDTH SPACE", "<billie>"),
        ("Where is Anna M\u0430ria?", "CYRILLIC SMALL LETTER A", "<anna-maria>"),
        ("Where is \u03bf-neill?", "GREEK SMALL LETTER OMICRON", "<o-neill>"),
        ("Where is <so\u200bme one>?", "Nobody here is called", "plvm add"),
    ],
)
def test_unknown_and_disguised_names_are_refused_with_the_nearest(question: str, said: str, near: str) -> None:
    with pytest.raises(UnknownConceptError) as caught:
        checked_question(question, PEOPLE)
    assert said in caught.value.message and near in caught.value.hint
    assert "\u200b" not in caught.value.message.replace("<so\u200bme one>", "")
    checked_question(question, PEOPLE, strict_names=False)


@pytest.mark.parametrize(
    "text", ["Где Анна?", "Это \u0441\u043e\u0440", "naïve café", "Is 小明明 here?", "a <y= z> b", "x <1> y"]
)
def test_words_of_other_languages_are_no_disguise(text: str) -> None:
    assert checked_question(text, {"billie": "", "cop": "", "1": ""})


def test_an_answer_is_shown_with_display_names_or_as_it_is() -> None:
    tokens = ConceptTokens(None, None, None, None)  # type: ignore[arg-type]
    anna, billie = Concept("anna-maria", tokens, "a", display="Anna Maria"), Concept("billie", tokens, "a")
    answer = Answer("<anna-maria> is beside <billie> and <other>.")
    assert answer.shown([anna, billie]) == "Anna Maria is beside billie and <other>."
    assert answer.shown([]) == answer.text
    assert with_display_names("<billie>'s", [billie]) == "billie's"
    assert (anna.shown, billie.shown) == ("Anna Maria", "billie")
