"""fashionsim/locale: each language has all texts of the source, compiled as they are written."""

from __future__ import annotations

import gettext
import os
import re
import shutil
import string
import subprocess
import sys

import pytest
from django.conf import settings
from django.utils.translation import to_locale

from tests.catalogues import FOLDER, entries, header
from tests.scratch import REPOSITORY

SOURCE = "en"
LANGUAGES = [code for code, _ in settings.LANGUAGES if code != SOURCE]
UPDATE = "Run: make messages"


def catalogue(language: str):
    return FOLDER / to_locale(language) / "LC_MESSAGES" / "django.po"


def places(text: str) -> set[str]:
    """The names that are filled in, in either way of writing them, and the tags."""
    braces = {f"{{{name}}}" for _, name, _, _ in string.Formatter().parse(text) if name}
    return braces | set(re.findall(r"%\(\w+\)[sd]|<[^>]+>", text))


def test_there_is_a_catalogue_for_each_language_but_the_source():
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(map(to_locale, LANGUAGES))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_and_nobody_has_guessed(language):
    [forms] = re.findall(r"nplurals=(\d)", header(catalogue(language)))
    for entry in entries(catalogue(language)):
        assert "fuzzy" not in entry.flags, entry
        assert len(entry.forms) == (1 if entry.plural is None else int(forms)), entry
        assert all(form.strip() for form in entry.forms.values()), entry


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_filled_in_is_the_same_in_each_language(language):
    for entry in entries(catalogue(language)):
        *some, last = (places(entry.forms[form]) for form in sorted(entry.forms))
        assert last == places(entry.plural or entry.text), entry
        # A singular may say "one" without its number.
        assert all(places(entry.text) <= form <= last for form in some), entry


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_breaks_out_of_an_attribute(language):
    """Templates put literal texts into attributes, and only variables are escaped."""
    for entry in entries(catalogue(language)):
        if "<a " not in entry.text:
            assert not re.search(r'[<>"]', "".join(entry.forms.values())), entry


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_ends_as_it_does_in_the_source(language):
    ends = {".": ".。", "?": "?？。", ":": ":：", "…": "…"}
    for entry in entries(catalogue(language)):
        if end := ends.get(entry.text[-1]):
            assert all(form[-1] in end for form in entry.forms.values()), entry


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language):
    path = catalogue(language)
    with path.with_suffix(".mo").open("rb") as file:
        compiled = dict(gettext.GNUTranslations(file)._catalog)
    compiled.pop("")
    written = {}
    for entry in entries(path):
        name = entry.text if entry.context is None else f"{entry.context}\x04{entry.text}"
        if entry.plural is None:
            written[name] = entry.forms[0]
        else:
            written |= {(name, form): text for form, text in entry.forms.items()}
    assert compiled == written, UPDATE


def test_the_catalogues_have_the_texts_of_the_source_and_no_others(tmp_path):
    if shutil.which("xgettext") is None:
        assert not os.environ.get("CI"), "CI needs gettext (.ci/run installs it)"
        pytest.skip("GNU gettext is not installed.")
    collected = collect(tmp_path / "source")
    assert len(collected) > 300
    for language in LANGUAGES:
        assert {entry.key for entry in entries(catalogue(language))} == collected, UPDATE


def collect(folder) -> set[tuple]:
    """The texts that are marked in a copy of the source, found as `make messages` finds them."""
    for name in (
        "manage.py",
        "fashionsim",
        "shop",
        "similarity",
        "catalog",
        "accounts",
        "templates",
    ):
        path = REPOSITORY / name
        for source in [path] if path.is_file() else path.rglob("*.*"):
            if source.suffix in {".py", ".html", ".txt"}:
                copied = folder / source.relative_to(REPOSITORY)
                copied.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, copied)
    (folder / "fashionsim/locale").mkdir()
    [options] = re.findall(r"makemessages --all (.*)", (REPOSITORY / "Makefile").read_text())
    done = subprocess.run(
        [sys.executable, "manage.py", "makemessages", "--locale", "de", *options.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"DATA_DIR": str(folder / "var")},
    )
    assert done.returncode == 0, done.stderr
    return {entry.key for entry in entries(folder / "fashionsim/locale/de/LC_MESSAGES/django.po")}
