"""`manage.py golden_set`: golden sets as files of JSON lines."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count

from similarity import golden
from similarity.errors import Refused
from similarity.models import GoldenSet


class Command(BaseCommand):
    help = (
        "List golden sets (results that people have marked right or wrong), write one as a file of "
        "JSON lines, or take such a file in, over what was said before."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="the sets that there are")
        for verb, what in (("export", "written"), ("import", "read")):
            one = verbs.add_parser(verb)
            one.add_argument("name", help="of the set")
            one.add_argument("file", help=f"a file that is {what}, or - for the standard stream")

    def handle(self, *_: Any, verb: str, **options: Any) -> None:
        try:
            if verb == "list":
                self._list()
            elif verb == "export":
                self._export(**options)
            else:
                self._import(**options)
        except (Refused, OSError, UnicodeDecodeError) as error:
            raise CommandError(str(error)) from error

    def _list(self) -> None:
        sets = GoldenSet.objects.annotate(
            asked=Count("queries", distinct=True), told=Count("queries__verdicts")
        )
        for one in sets:
            self.stdout.write(f"{one.name}: {one.told} results of {one.asked} queries marked")

    def _export(self, name: str, file: str, **_: Any) -> None:
        golden_set = golden.get(name)
        with _opened(file, "w") as out:
            for line in golden.export(golden_set):
                out.write(line)

    def _import(self, name: str, file: str, **_: Any) -> None:
        """Each line by itself: what is wrong with one keeps no other out, and is told."""
        try:
            golden_set = golden.named(name)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        taken = refused = 0
        with _opened(file, "r") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    taken += golden.take(golden_set, line)
                except golden.BadLine as error:
                    refused += 1
                    self.stderr.write(f"Line {number}: {error}")
        self.stdout.write(f"{taken} marked results taken into {golden_set}.")
        if refused:
            raise CommandError(f"{refused} lines could not be taken.")


@contextmanager
def _opened(file: str, mode: str) -> Iterator[TextIO]:
    if file == "-":
        yield sys.stdout if mode == "w" else sys.stdin
        return
    with Path(file).open(mode, encoding="utf-8") as stream:
        yield stream  # type: ignore[misc]  # a text mode
