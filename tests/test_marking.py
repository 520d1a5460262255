"""Whatever shoppers read is marked for translation: in templates, and in the scripts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.base import Lexer, TokenType

from tests.markup import texts
from tests.scratch import REPOSITORY

TEMPLATES = sorted(
    path
    for path in (REPOSITORY / "templates").rglob("*.*")
    if "admin" not in path.relative_to(REPOSITORY / "templates").parts
)
SCRIPTS = sorted((REPOSITORY / "static" / "js").glob("*.js"))

NAMES = {"API", "Admin", "FashionSim", "ZIP"}
"""What is called the same in every language."""

TAG = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for a tag or a variable of a template."""

WORD = re.compile(r"[^\W\d_]+")
LITERAL = re.compile(r""""([^"]*)"|'([^']*)'""")
DATE = re.compile(r"""\|date:["'](?!\w+_FORMAT|c["']).*""")
"""A date that is not written as the language has it, nor for machines."""

SPOKEN = re.compile(r"^[A-Z][a-z]+|[A-Za-z]+ [a-z]{2,}")
"""How a literal for people begins, or goes on; names of files, addresses and fields do not."""

FOR_MACHINES = {
    *("Accept", "Accept-Language", "Api-Key ", "Content-Type", "X-CSRFToken"),
    *("ArrowDown", "ArrowLeft", "ArrowRight", "ArrowUp", "Enter", "Escape"),
    *("AbortError", "Files", "light dark"),
}
"""Literals that look like it: headers, keys of the keyboard, kinds of errors and of data."""


def unmarked(template: str) -> list[str]:
    """The texts of a template that no translator gets to see."""
    markup, literals, dates, within = [], [], [], False
    for token in Lexer(template).tokenize():
        if token.token_type is TokenType.TEXT:
            markup.append("" if within else token.contents)
        elif token.token_type is not TokenType.COMMENT:
            tag = token.contents.split()[0]
            within = (within or tag == "blocktranslate") and tag != "endblocktranslate"
            if tag not in {"translate", "blocktranslate", "load"}:
                literals += [one or other for one, other in LITERAL.findall(token.contents)]
                dates += DATE.findall(token.contents)
            markup.append(TAG)
    plain = (text for text in texts("".join(markup)) if set(WORD.findall(text)) - NAMES)
    return [*plain, *(text for text in literals if is_for_people(text)), *dates]


def is_for_people(literal: str) -> bool:
    return bool(SPOKEN.search(literal)) and literal not in FOR_MACHINES


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_text_that_is_not_marked(path):
    assert unmarked(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "template",
    [
        "<p>Hello</p>",
        "<p>{{ count }} found</p>",
        '<a title="Hello">{% translate "x" %}</a>',
        '<img alt="{% if x %}A hat{% endif %}">',
        '{{ day|date:"j M Y" }}',
        '{% include "a.html" with title="A hat" %}',
        "{% blocktranslate %}x{% endblocktranslate %} more",
        '<meta name="description" content="Hats">',
        '<input type="submit" value="Go">',
    ],
)
def test_an_unmarked_text_is_found(template):
    assert unmarked(template)


# --- Scripts --------------------------------------------------------------------------------

TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/"
    r"""|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`""",
    re.DOTALL,
)


def spoken(script: str) -> list[str]:
    """The literals of a script that are for people."""
    literals = ("".join(groups) for groups in TOKEN.findall(script))
    plain = (re.sub(r"\$\{[^}]*\}", "", literal) for literal in literals)
    return [text for text in plain if is_for_people(text)]


def in_six_languages(script: str) -> tuple[str, str]:
    """The drop-in element's words, and its script without them and without its styles."""
    [words] = re.findall(r"const WORDS = {.*?^};", script, re.DOTALL | re.MULTILINE)
    styles = re.findall(r"const STYLES = `.*?`;", script, re.DOTALL)
    return words, script.replace(words, "").replace(styles[0], "")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_says_nothing_that_is_not_translated(path):
    script = path.read_text(encoding="utf-8")
    if path.name == "similar-items.js":
        script = in_six_languages(script)[1]
        # On the console of the page that it stands in, for who looks after that.
        script = script.replace("The shop answered ${response.status}.", "")
    assert spoken(script) == []


@pytest.mark.parametrize("script", ['tell("Hello")', "tell(`${count} are found`)", "tell('a hat')"])
def test_an_untranslated_literal_is_found(script):
    assert spoken(script)


def test_the_drop_in_element_speaks_all_languages():
    script = Path(REPOSITORY / "static/js/similar-items.js").read_text(encoding="utf-8")
    words, _ = in_six_languages(script)
    said = {
        language: dict(re.findall(r'(\w+): "([^"]+)"', rest))
        for language, rest in re.findall(r"^  (\w+): {(.*)}", words, re.MULTILINE)
    }
    assert said.keys() == {code.partition("-")[0] for code, _ in settings.LANGUAGES}
    assert all(one.keys() == said["en"].keys() for one in said.values())


def test_the_page_brings_along_what_its_scripts_say():
    brought = (REPOSITORY / "templates/search/texts.html").read_text(encoding="utf-8")
    scripts = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    assert set(re.findall(r'data-text="([\w-]+)"', brought)) == set(
        re.findall(r'\btext\("([\w-]+)"', scripts)
    )
