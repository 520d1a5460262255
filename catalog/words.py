"""From text to the words it is found by: "Dresses", "DRESS" and "dress" are one.

Unicode's compatibility forms, case and accents are folded, and English endings taken off by
Porter's second stemmer (https://snowballstem.org/algorithms/english/stemmer.html). Words joined by
a hyphen count apart and as one: a "t-shirt" is found as "tshirt", too. Chinese, Japanese and Korean
leave no spaces; there, pairs of neighbouring characters stand for words, as in Lucene's
CJKBigramFilter. Whatever else stands in a text only parts its words.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Any, Literal

import snowballstemmer

LONGEST = 40
"""A longer word is cut to so many characters, in products and searches alike."""

INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
"""Soft hyphens, joiners and spaces of no width: no ends of words."""

HYPHENS, APOSTROPHES = "-\u2010", "'\u2019"
"""What may stand inside of a word; compatibility forms make one hyphen of several."""

ACCENTS = re.compile("[\u0300-\u036f]")
"""Latin, Greek and Cyrillic marks. Others, as the voicing of kana, make another letter."""

LETTERS = str.maketrans(
    {"ø": "o", "đ": "d", "ħ": "h", "\u0131": "i", "ł": "l", "æ": "ae", "œ": "oe"}
)
"""Letters that Unicode takes for letters of their own, and keyboards often lack."""

SPACELESS = (
    (0x3005, 0x3007),  # marks among Han characters
    (0x3040, 0x30FF),  # Hiragana and Katakana
    (0x31F0, 0x31FF),  # small Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),  # Hangul
    (0xF900, 0xFAFF),  # Han
    (0x20000, 0x323AF),
)
"""First and last characters of the scripts that are taken in pairs."""

Kind = Literal["spaceless", "word", "other"]


def asked(text: str) -> dict[str, str]:
    """The words that a text asks for, in its order: each as it is kept, and as it was written."""
    words: dict[str, str] = {}
    for kind, run in _runs(text):
        if kind == "spaceless":
            parts = [(pair, pair) for pair in (_pairs(run) or [run])]
        else:
            parts = list(_parts(run))
        for word, written in parts:
            words.setdefault(kept(word), written)
    words.pop("", None)  # of marks that nothing carries
    return words


def listed(text: str) -> Iterator[str]:
    """All words that a product's text is found by, as they are kept, as often as they occur.

    Of scripts without spaces also each character alone, for whoever asks for one alone.
    """
    for kind, run in _runs(text):
        if kind == "spaceless":
            yield from run
            yield from _pairs(run)
        else:
            yield from filter(None, (kept(word) for word, _ in _parts(run)))


@lru_cache(maxsize=20_000)
def kept(word: str) -> str:
    """A word as it is kept and compared: folded, without its ending, not too long."""
    folded = unicodedata.normalize("NFD", word.casefold())
    plain = unicodedata.normalize("NFC", ACCENTS.sub("", folded)).translate(LETTERS)
    stem: str = _stemmer().stemWord(plain[:LONGEST])
    return stem[:LONGEST]


_local = threading.local()


def _stemmer() -> Any:
    """The stemmer of this thread: it keeps a word's state while it is at it."""
    if not hasattr(_local, "stemmer"):
        _local.stemmer = snowballstemmer.stemmer("english")
    return _local.stemmer


def _runs(text: str) -> Iterator[tuple[Kind, str]]:
    """The stretches of a text that are words, or hold them."""
    plain = unicodedata.normalize("NFKC", text.translate(INVISIBLE))
    for kind, characters in groupby(plain, key=_kind):
        if kind != "other":
            yield kind, "".join(characters)


@lru_cache(maxsize=5_000)
def _kind(character: str) -> Kind:
    if any(first <= ord(character) <= last for first, last in SPACELESS):
        return "spaceless"
    if character in HYPHENS or character in APOSTROPHES:
        return "word"
    return "word" if unicodedata.category(character)[0] in "LMN" else "other"


def _pairs(run: str) -> list[str]:
    return ["".join(pair) for pair in pairwise(run)]


def _parts(run: str) -> Iterator[tuple[str, str]]:
    """The words of a stretch, bare and as written: "t-shirt" gives t, shirt and tshirt."""
    parts = [(bare, part) for part in re.split(f"[{HYPHENS}]", run) if (bare := _bare(part))]
    yield from parts
    if len(parts) > 1:
        yield "".join(bare for bare, _ in parts), run


def _bare(word: str) -> str:
    """A word without its apostrophes, and what the English put behind them to own something."""
    word = re.sub(f"[{APOSTROPHES}][sS]$", "", word.strip(APOSTROPHES))
    return re.sub(f"[{APOSTROPHES}]", "", word)
