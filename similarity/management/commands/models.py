"""`manage.py models`: which models there are, and their weights fetched, imported and verified."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from similarity import backends
from similarity.engine import installing
from similarity.engine.errors import EngineError
from similarity.engine.published import CATALOGUE, File, Weights, known


class Command(BaseCommand):
    help = "List the models there are; fetch, import and verify their weights."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="what there is, what is installed and where")
        fetch = verbs.add_parser("fetch", help="download a model's weights, or go on with it")
        fetch.add_argument("name", metavar="NAME")
        fetch.add_argument(
            "--sha256",
            action="append",
            type=_hash,
            default=[],
            metavar="FILE=HEX",
            help="what a file that is not pinned has to be; may be given more than once",
        )
        take = verbs.add_parser(
            "import", help="copy a file of weights, or a folder of a model's files, in if it loads"
        )
        take.add_argument("file", type=Path, metavar="FILE|FOLDER")
        take.add_argument("--name", metavar="NAME", help="the model that it belongs to")
        verbs.add_parser("verify", help="hash and load all that is installed")

    def handle(self, *_: Any, verb: str, **options: Any) -> None:
        verbs: dict[str, Callable[..., None]] = {
            "list": self._list,
            "fetch": self._fetch,
            "import": self._import,
            "verify": self._verify,
        }
        try:
            verbs[verb](**options)
        except EngineError as error:
            raise CommandError(str(error)) from error

    def _list(self, **_: Any) -> None:
        for kind in ("detector", "embedder"):
            self.stdout.write(self.style.MIGRATE_HEADING(f"{kind.upper()}="))
            for weights in CATALOGUE.values():
                if weights.kind == kind:
                    self.stdout.write("\n".join(_described(weights)))
        own = installing.strangers(settings.MODELS_DIR)
        if own:
            self.stdout.write(self.style.MIGRATE_HEADING("Not of the catalogue"))
        for path in own:
            self.stdout.write(f"  {path.name}")

    def _fetch(self, name: str, sha256: list[tuple[str, str]], **_: Any) -> None:
        weights = known(name)
        with ExitStack() as bars:
            fetched = installing.fetch(
                weights,
                settings.MODELS_DIR,
                mirrors=settings.MODELS_MIRROR,
                hashes=dict(sha256),
                begin=lambda file: bars.enter_context(_Bar(file)).show,
            )
        for file in fetched:
            self.stdout.write(f"Installed: {settings.MODELS_DIR / file.path}")
        if not fetched:
            self.stdout.write(f"{name} is there already.")

    def _import(self, file: Path, name: str | None, **_: Any) -> None:
        weights = known(name) if name else None
        if file.is_dir():
            take = installing.import_folder
            paths = take(file.resolve(), settings.MODELS_DIR, backends.options, weights)
        else:
            paths = [installing.import_file(file, settings.MODELS_DIR, backends.options, weights)]
        for path in paths:
            self.stdout.write(f"Installed: {path}")

    def _verify(self, **_: Any) -> None:
        failed = False
        for name, verdict in installing.verified(settings.MODELS_DIR, backends.options):
            if isinstance(verdict, EngineError):
                failed = True
                self.stdout.write(f"{self.style.ERROR('MEND')} {name}: {verdict}")
            else:
                self.stdout.write(f"{self.style.SUCCESS('ok  ')} {name}: {verdict}")
        if failed:
            raise SystemExit(1)


def _described(weights: Weights) -> Iterator[str]:
    places = weights.places(settings.MODELS_DIR)
    absent = [file.name for file, path in places.items() if path is None]
    if not absent:
        state = f"installed in {next(iter(places.values())).parent}"  # type: ignore[union-attr]
    elif len(absent) < len(places):
        state = f"lacks {', '.join(absent)}"
    else:
        state = "not installed"
    yield f"  {weights.name} ({weights.backend}): {state}"
    yield f"      {weights.licence}, {weights.megabytes:,.0f} MB; {weights.purpose}"


def _hash(text: str) -> tuple[str, str]:
    name, _, value = text.rpartition("=")
    if not name or not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise ArgumentTypeError(f"{text} is not FILE=HEX, with 64 hexadecimal digits.")
    return name, value.lower()


class _Bar:
    """A progress bar of one file's bytes on standard error, where that is a terminal."""

    def __init__(self, file: File) -> None:
        self._bar = tqdm(desc=file.name, unit="B", unit_scale=True, disable=not sys.stderr.isatty())

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, done: int, total: int | None) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
