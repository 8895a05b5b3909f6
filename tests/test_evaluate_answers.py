"""Free answers are read as a person would read them: names, true statements, yes and no."""

from __future__ import annotations

import pytest

from plvm_lab.evaluate.items import Line
from plvm_lab.evaluate.parsing import is_right, who_is_named, yes_or_no


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<billie> is on the left.", "billie"),
        ("Someone I do not know is on the left.", "unknown"),
        ("Someone I do not know is next to <avril>.", "unknown"),
        ("<avril> is next to someone I do not know.", "avril"),
        ("I don't know.", "unknown"),
        ("<zoe> is on the left.", None),
        ("", None),
    ],
)
def test_a_free_answer_says_the_name_it_says_first(text: str, said: str | None) -> None:
    assert who_is_named(text, ["billie", "avril"]) == said


WHERE = Line("where", "?", "<b> is on the left, next to <a>.", ("<b> is on the left.", "<b> is on the far left."))


@pytest.mark.parametrize(
    ("line", "text", "right"),
    [
        (WHERE, "<b> is on the left.", True),
        (WHERE, "<b> is on the left, next to someone I do not know.", True),
        (WHERE, "<b> is on the far left.", False),
        (WHERE, "<b> is not in this photo.", False),
        (WHERE, "Hm.", None),
        (Line("recognize", "?", "No, <b> is not in this photo."), "No.", True),
        (Line("recognize", "?", "No."), "Yes, <b> is.", False),
        (Line("recognize", "?", "No."), "Nobody.", None),
    ],
)
def test_a_scripted_answer_is_right_where_the_true_statement_and_no_other_is_in_it(
    line: Line, text: str, right: bool | None
) -> None:
    assert is_right(line, text) == right


def test_yes_and_no_are_words_of_their_own() -> None:
    assert (yes_or_no(" yes, it is"), yes_or_no("No."), yes_or_no("Not"), yes_or_no("")) == (True, False, None, None)
