"""catalog.words: what text is made of, in any script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.words import LONGEST, asked, listed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Dresses", "dress"),
        ("SHOES", "shoe"),
        ("été", "ETE"),
        ("Straße", "strasse"),
        ("ＲＥＤ", "red"),
        ("ŁÓDŹ", "lodz"),
        ("ﾄﾞﾚｽ", "ドレス"),
        ("T-Shirt", "tshirt"),
        ("women's", "women"),
        ("Levi’s", "levis"),
        ("L'Oréal", "loreal"),
        ("wo\u00admen", "women"),
        ("e\u0301toile", "étoile"),
        ("Ёлка", "елка"),
    ],
)
def test_what_reads_alike_is_found_alike(one, other):
    assert set(asked(other)) <= set(listed(one))
    assert asked(one).keys() & set(listed(other))


@pytest.mark.parametrize(
    ("one", "other"), [("red", "red wine bar"[4:]), ("か", "が"), ("裙", "裤")]
)
def test_what_is_another_word_is_not_found(one, other):
    assert not asked(one).keys() & set(listed(other))


def test_scripts_without_spaces_are_taken_in_pairs():
    assert list(asked("红色连衣裙")) == ["红色", "色连", "连衣", "衣裙"]
    assert set(asked("连衣裙")) <= set(listed("红色连衣裙"))
    assert set(asked("裙")) <= set(listed("红色连衣裙")), "one alone, too"
    assert set(asked("ドレス")) <= set(listed("フローラルドレス"))
    assert list(asked("red裙子dress")) == ["red", "裙子", "dress"]


def test_words_are_told_as_they_were_written():
    assert list(asked("Red DRESSES").values()) == ["Red", "DRESSES"]
    assert list(asked("V-Necks").values()) == ["V", "Necks", "V-Necks"]


@pytest.mark.parametrize(
    "signs", ["", " ", "!!!", "%_';--\"\\*()", "👗", "- ' -", "\u0301", "\ud800"]
)
def test_signs_are_no_words(signs):
    assert asked(signs) == {}
    assert list(listed(signs)) == []


@given(st.text(max_size=60))
def test_any_text_has_words_that_find_itself(text):
    words = asked(text)
    assert set(words) <= set(listed(text))
    assert all(0 < len(word) <= LONGEST for word in words)
    assert asked(text.swapcase().swapcase()) is not None
