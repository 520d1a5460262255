"""Reading translators' catalogues: what a `.po` file says, and what is compiled of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.scratch import REPOSITORY

FOLDER = REPOSITORY / "fashionsim" / "locale"

LINE = re.compile(r'(?:(msgctxt|msgid|msgid_plural|msgstr)(?:\[(\d)\])?\s+)?(".*")')


@dataclass
class Entry:
    """One text of the source with what a language makes of it, a form for each number."""

    context: str | None = None
    text: str = ""
    plural: str | None = None
    forms: dict[int, str] = field(default_factory=dict)
    flags: str = ""

    @property
    def key(self) -> tuple[str | None, str, str | None]:
        return self.context, self.text, self.plural


def entries(catalogue: Path) -> Iterator[Entry]:
    """The entries of a `.po` file but its header; those commented out are passed over."""
    for block in catalogue.read_text(encoding="utf-8").split("\n\n"):
        entry = _entry(block)
        if entry.text:
            yield entry


def header(catalogue: Path) -> str:
    return _entry(catalogue.read_text(encoding="utf-8").split("\n\n", 1)[0]).forms[0]


def _entry(block: str) -> Entry:
    entry, keyword, form = Entry(), "", 0
    for line in block.splitlines():
        if line.startswith("#,"):
            entry.flags += line
        if not (found := LINE.fullmatch(line)):
            continue
        keyword, form = (found[1], int(found[2] or 0)) if found[1] else (keyword, form)
        text = ast.literal_eval(found[3])
        if keyword == "msgctxt":
            entry.context = (entry.context or "") + text
        elif keyword == "msgid":
            entry.text += text
        elif keyword == "msgid_plural":
            entry.plural = (entry.plural or "") + text
        else:
            entry.forms[form] = entry.forms.get(form, "") + text
    return entry
