"""What the commands that evaluate have in common: their options, their models, what they save."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from django.conf import settings
from django.core.management.base import CommandError
from PIL.Image import Image
from tqdm import tqdm

from catalog.models import OriginalImage
from similarity import backends
from similarity.engine import datasets, load
from similarity.engine.errors import EngineError
from similarity.engine.evaluation.report import Section, page
from similarity.pipeline import stored

T = TypeVar("T")
Kind = Literal["detector", "embedder"]

CASES = 6
"""Good and bad cases shown of each measure, so many of either."""


@dataclass(frozen=True)
class Model:
    """A detector or an embedder to measure."""

    name: str
    backend: Any


@dataclass(frozen=True)
class Sample:
    """A picture that is opened when it is needed."""

    name: str
    open: Callable[[], Image]


def add_arguments(parser: ArgumentParser, kind: Kind) -> None:
    """The options that both commands take."""
    parser.add_argument(
        f"--{kind}",
        metavar="NAME",
        default=getattr(settings, kind.upper()),
        help="default: the configured one, %(default)s",
    )
    parser.add_argument(
        "--baseline",
        metavar="NAME",
        action="append",
        default=[],
        help=f"another {kind} to print beside it; may be given several times",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, metavar="FOLDER", help="a folder of labelled photos")
    source.add_argument("--catalogue", action="store_true", help="the shop's own pictures")
    if kind == "embedder":
        source.add_argument(
            "--golden", metavar="NAME", help="a golden set: what people have marked right and wrong"
        )
    parser.add_argument(
        "--held-out",
        type=_share,
        default=datasets.HELD_OUT,
        metavar="SHARE",
        help=(
            "measure on the share of the folder's senders that training never sees (default "
            '%(default)s), or on the "whole" of it'
        ),
    )
    parser.add_argument("--json", type=new_file, metavar="PATH", help="save the figures there")
    parser.add_argument("--html", type=new_file, metavar="PATH", help="save a report there")


def models(kind: Kind, options: Mapping[str, Any]) -> list[Model]:
    """The one to measure and its baselines. CommandError if one is unknown or lacks something."""
    names = dict.fromkeys([options[kind], *options["baseline"]])
    try:
        chosen = [Model(name, load(kind, name, **backends.options(name))) for name in names]
    except (EngineError, TypeError, ValueError) as error:
        raise CommandError(str(error)) from error
    if lacking := [sentence for model in chosen for sentence in model.backend.missing()]:
        raise CommandError(" ".join(lacking))
    return chosen


def photos(options: Mapping[str, Any]) -> list[datasets.Photo]:
    """The folder's photos to measure on. CommandError if there are none."""
    try:
        found = datasets.read(options["data"])
    except EngineError as error:
        raise CommandError(str(error)) from error
    if options["held_out"] < 1:
        found = list(datasets.split(found, options["held_out"]).held_out)
    if not found:
        raise CommandError("No photo is held out: the folder is too small. Try --held-out whole.")
    return found


def picture(image: OriginalImage) -> Image:
    """A picture of the catalogue."""
    return stored(image.file)


def visibly(items: Sequence[T], unit: str, name: str) -> Iterable[T]:
    """The items, with a bar of progress on stderr."""
    bar: Iterable[T] = tqdm(items, unit=unit, desc=name, disable=not sys.stderr.isatty())
    return bar


def facts(kind: Kind, options: Mapping[str, Any], chosen: Sequence[Model]) -> dict[str, Any]:
    """What was measured on what, for the head of what is saved."""
    source: dict[str, Any] = {"data": "the catalogue"}
    if options.get("golden"):
        source = {"golden set": options["golden"]}
    elif not options["catalogue"]:
        source = {key: options[key] for key in ("data", "held_out")}
        source["data"] = str(source["data"])
    fingerprints = {model.name: model.backend.fingerprint for model in chosen}
    return {kind: options[kind], **source, "fingerprints": fingerprints}


def save(
    title: str,
    options: Mapping[str, Any],
    head: dict[str, Any],
    measures: dict[str, Any],
    sections: Iterable[Section],
) -> None:
    """Write what --json and --html ask for."""
    if path := options["json"]:
        _write(path, json.dumps({**head, "measures": measures}, indent=2, allow_nan=False) + "\n")
    if path := options["html"]:
        shown = {**head, **{f"weights of {k}": v for k, v in head["fingerprints"].items()}}
        del shown["fingerprints"]
        try:
            text = page(title, {name: str(value) for name, value in shown.items()}, sections)
        except (EngineError, OSError) as error:  # a picture that has gone meanwhile
            raise CommandError(str(error)) from error
        _write(path, text)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from error


def _share(text: str) -> float:
    try:
        share = 1.0 if text == "whole" else float(text)
    except ValueError as error:
        raise ArgumentTypeError(f'{text!r} is neither a share nor "whole".') from error
    if not 0 < share <= 1:
        raise ArgumentTypeError(f"{text} is not between 0 and 1.")
    return share


def new_file(text: str) -> Path:
    """A file in a folder that is there, from a command's line."""
    path = Path(text)
    if not path.parent.is_dir():
        raise ArgumentTypeError(f"{path.parent} is no folder.")
    return path
