"""Products and photos from files: looked through first, then taken in, by the worker.

A job's row is the truth, as a run's is. A worker claims it, works for a while, reports after each
few rows, and gives it back; whoever comes next goes on after the last row that was reported. A row
that was taken in twice is no harm: what it says is put, whatever there was.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath
from typing import IO, Any, cast

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile, File
from django.core.validators import URLValidator
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import F
from django.utils import timezone
from django_q.tasks import async_task

from accounts import audit
from accounts.models import User
from catalog import word_index
from catalog.models import OriginalImage, Product
from catalog.services import Picture, images_of, products_called
from shop import services, sheets
from shop.archives import Archive, BadArchive
from shop.models import ImportJob, ImportProblem
from shop.services import Listed
from shop.sheets import BadCell, BadSheet
from similarity import intake
from similarity import services as similarity
from similarity.engine.errors import EngineError
from similarity.errors import Refused

logger = logging.getLogger("shop.exchange")

LEASE = dt.timedelta(minutes=5)
"""A worker that has told nothing for so long is gone."""

UNCLAIMED = dt.timedelta(seconds=30)
"""A job that waits for so long is put into the queue once more."""

MOST_ATTEMPTS = 3
"""Workers that may be lost at one place of a job, which memory or time do not suffice for."""

SLICE_SECONDS = 20.0
"""A worker gives a job back after so long, for others to have their turn."""

BATCH = 50
"""Rows between two reports."""

SHOWN = 200
"""Differences that are kept to be looked at before anything is changed."""

KEPT = dt.timedelta(days=30)
"""Jobs, and their files, are kept for so long."""

State = ImportJob.State


class CannotDo(Refused):
    """A job is not in the state for that (any more)."""

    code = "import_not_in_that_state"


class NoLongerOurs(Exception):
    """A job was stopped, or taken over by another worker."""


# --- What is asked for ----------------------------------------------------------------------


def start(
    file: File[bytes],
    *,
    photos: bool,
    archive: File[bytes] | None = None,
    asked_by: User | None = None,
) -> ImportJob:
    """Keep a file to be taken in. Raises BadSheet, BadArchive, and keeps nothing then."""
    name = PurePosixPath(file.name or "file").name
    columns: dict[str, str] = {}
    if photos:
        _judge(file)
    else:
        columns = sheets.guessed(sheets.head(cast(IO[bytes], file.file), name))
    if archive is not None:
        _judge(archive)
    job = ImportJob(
        kind=ImportJob.Kind.PHOTOS if photos else ImportJob.Kind.PRODUCTS,
        name=name[:200],
        columns=columns,
        requested_by=asked_by,
    )
    kind = "zip" if photos else "xlsx" if sheets.is_xlsx(name) else "csv"
    file.seek(0)
    job.file.save(f"{job.pk}.{kind}", file, save=False)
    if archive is not None:
        archive.seek(0)
        job.archive.save(f"{job.pk}-pictures.zip", archive, save=False)
    job.save(force_insert=True)
    return job


def _judge(file: File[bytes]) -> None:
    with Archive(cast(IO[bytes], file.file)):
        pass


def columns_of(job: ImportJob) -> list[str]:
    """The names of a sheet's columns; raises BadSheet."""
    with job.file.open("rb") as file:
        return sheets.head(cast(IO[bytes], file.file), job.file.name or "")


FRESH = {"position": 0, **dict.fromkeys(ImportJob.COUNTS, 0), "finished_at": None}


def check(job: ImportJob, columns: Mapping[str, str] | None = None) -> None:
    """Look through a file, changing nothing; `columns` says which of a sheet's is which.

    Raises CannotDo, BadSheet.
    """
    if job.state not in {State.NEW, State.CHECKED}:
        raise CannotDo("It is under way, or done.")
    chosen = {} if columns is None else {ours: name for ours, name in columns.items() if name}
    if job.kind == ImportJob.Kind.PRODUCTS:
        _refuse_bad_columns(chosen, columns_of(job))
    changes: dict[str, Any] = {**FRESH, "columns": chosen, "differences": [], "problem": ""}
    _turn(job, State.CHECKING, **changes)


def _refuse_bad_columns(chosen: Mapping[str, str], there: Sequence[str]) -> None:
    if "reference" not in chosen:
        raise BadSheet("Choose the column of the reference: products are known by it.")
    if unknown := sorted({*chosen} - {*sheets.COLUMNS} | {*chosen.values()} - {*there}):
        raise BadSheet(f"There is no column {', '.join(unknown)}.")
    if len(set(chosen.values())) < len(chosen):
        raise BadSheet("One column is chosen twice.")


def take_in(job: ImportJob) -> None:
    """Take in what was looked through, or go on where that was stopped. Raises CannotDo."""
    if job.state == State.CHECKED:
        _turn(job, State.RUNNING, **FRESH)
    elif job.state == State.CANCELLED:
        _turn(job, State.RUNNING, finished_at=None)
    else:
        raise CannotDo("It has to be looked through first.")


def cancel(job: ImportJob) -> None:
    """Stop a job; what it has taken in stays. Raises CannotDo."""
    if job.state == State.CHECKING:
        _turn(job, State.NEW)
    elif job.state == State.RUNNING:
        _turn(job, State.CANCELLED, finished_at=timezone.now())
    else:
        raise CannotDo("It is not under way.")


def _turn(job: ImportJob, state: State, **changes: Any) -> None:
    with transaction.atomic():
        if not ImportJob.objects.turn(job, state, **changes):
            raise CannotDo("Somebody else was faster. Look again.")
        if changes.get("position") == 0:
            ImportProblem.objects.filter(job=job).delete()
        if state in ImportJob.AT_WORK:
            enqueue(job.pk)
    job.refresh_from_db()


def enqueue(pk: uuid.UUID) -> None:
    """Let a worker know of a job. A message that is lost is found again by its row."""
    transaction.on_commit(lambda: async_task("shop.tasks.work_on", str(pk)), robust=True)


def sweep() -> None:
    """Put jobs that nobody is at into the queue again, and delete those of long ago."""
    now = timezone.now()
    for pk in ImportJob.objects.waiting().filter(due_at__lt=now - UNCLAIMED).values_list("pk"):
        ImportJob.objects.waiting().filter(pk=pk[0]).update(due_at=now)
        enqueue(pk[0])
    old = ImportJob.objects.exclude(state__in=ImportJob.AT_WORK)
    old.filter(created_at__lt=now - KEPT).delete()


# --- What a worker does ---------------------------------------------------------------------


@dataclass(slots=True)
class Outcome:
    """What has become of some rows, or would."""

    counts: Counter[str] = field(default_factory=Counter)
    differences: list[dict[str, Any]] = field(default_factory=list)
    problems: list[ImportProblem] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        self.counts += other.counts
        self.differences += other.differences
        self.problems += other.problems

    def refuse(self, job: ImportJob, number: int, name: str, detail: str) -> None:
        self.counts["refused"] += 1
        problem = ImportProblem(job=job, number=number, name=name[:300], detail=detail[:500])
        self.problems.append(problem)


def work(pk: uuid.UUID) -> None:
    """Go on with a job for a while; nothing happens if it is not to be had."""
    job = ImportJob.objects.claim(pk, LEASE)
    if job is None:
        return
    if job.attempts > MOST_ATTEMPTS:
        _end(job, State.FAILED, problem=_lost(job))
        return
    try:
        with audit.quietly():
            has_ended = _work(job)
    except (Refused, EngineError) as error:
        _end(job, State.FAILED, problem=str(error)[:300])
    except Exception:
        logger.exception("The import %s failed", job.pk)
        _end(job, State.FAILED, problem="Something went wrong here. The server's log says what.")
    else:
        given_back = {"due_at": timezone.now(), "attempts": 0}
        if not has_ended and ImportJob.objects.mine(job).update(**given_back):
            enqueue(job.pk)


def _lost(job: ImportJob) -> str:
    """What is told of a job that nobody has got on with."""
    return (
        f"Its worker was lost {MOST_ATTEMPTS} times after row or photo {job.position}: what comes "
        "next takes too much memory or time. Make it smaller, or send the file in parts."
    )


def _work(job: ImportJob) -> bool:
    """Whether it has ended, or is no longer ours; False if it is to go on."""
    until = time.monotonic() + SLICE_SECONDS
    if not _prepare(job):
        return True
    with ExitStack() as files:
        source = (Photos if job.kind == ImportJob.Kind.PHOTOS else Rows)(job, files)
        if job.position == 0:
            ImportJob.objects.mine(job).update(total=source.count())
        items: Iterator[Any] = source.items()
        while batch := list(islice(items, BATCH)):
            if not _report(job, len(batch), source.look(batch)):
                return True
            if time.monotonic() > until:
                return False
    _end(job, State.CHECKED if job.state == State.CHECKING else State.DONE)
    return True


def _prepare(job: ImportJob) -> bool:
    """Let a sheet be CSV from now on: of that any row is found quickly. False if the job was
    stopped, or taken over, meanwhile."""
    before = job.file.name or ""
    if job.kind != ImportJob.Kind.PRODUCTS or not sheets.is_xlsx(before):
        return True
    try:
        with job.file.open("rb") as file:
            data = sheets.as_csv(cast(IO[bytes], file.file), lambda: _keep(job))
    except NoLongerOurs:
        return False
    # Of this worker alone: another may be at the same, since the job was stopped and begun anew.
    job.file.save(f"{job.pk}-{job.worker}.csv", ContentFile(data), save=False)
    ours = bool(ImportJob.objects.mine(job).update(file=job.file.name, attempts=1))
    job.file.storage.delete(before if ours else job.file.name or "")
    return ours


def _keep(job: ImportJob) -> None:
    """Have nobody else take the job for a while. Raises NoLongerOurs."""
    if not ImportJob.objects.mine(job).update(due_at=timezone.now() + LEASE):
        raise NoLongerOurs


def _report(job: ImportJob, looked_at: int, outcome: Outcome) -> bool:
    """Write what has become of some rows; False if the job was stopped, or taken over."""
    shown = [*job.differences, *outcome.differences][:SHOWN]
    counts = {name: F(name) + count for name, count in outcome.counts.items()}
    with transaction.atomic():
        reported = ImportJob.objects.mine(job).update(
            position=F("position") + looked_at,
            differences=shown,
            due_at=timezone.now() + LEASE,
            attempts=1,  # this worker's, who goes on from here
            **counts,
        )
        if reported:
            ImportProblem.objects.bulk_create(outcome.problems)
    job.differences = shown
    return bool(reported)


def _end(job: ImportJob, state: State, problem: str = "") -> None:
    ended = None if state == State.CHECKED else timezone.now()
    ImportJob.objects.mine(job).update(state=state, problem=problem, worker=None, finished_at=ended)


# --- Rows of products -----------------------------------------------------------------------

Row = tuple[int, dict[str, str]]
"""Its number in the file, the header being the first; and its cells, by our names."""

is_address = URLValidator(schemes=["http", "https"])

LONGEST_ADDRESS = 500


@dataclass(slots=True)
class Wanted:
    """What a row asks for, read and found to be possible."""

    number: int
    reference: str
    details: dict[str, Any]
    pictures: list[Listed] | None
    differences: dict[str, tuple[str, str]]
    is_new: bool

    @property
    def outcome(self) -> str:
        return "created" if self.is_new else "changed"

    @property
    def told(self) -> dict[str, Any]:
        """What it would change, to be looked at before."""
        return {
            "number": self.number,
            "name": self.reference,
            "is_new": self.is_new,
            "changes": [[name, *pair] for name, pair in self.differences.items()],
        }


class Rows:
    """A sheet's rows, each of which is put as a product that is asked for over the API is."""

    def __init__(self, job: ImportJob, files: ExitStack) -> None:
        self.job = job
        self._file = cast(IO[bytes], files.enter_context(job.file.open("rb")).file)
        self._archive: Archive | None = None
        if job.archive:
            data = cast(IO[bytes], files.enter_context(job.archive.open("rb")).file)
            self._archive = files.enter_context(Archive(data))
        self._seen: dict[str, int] = {}

    def count(self) -> int:
        return max(0, sum(1 for _ in self._read()) - 1)

    def _read(self) -> Iterator[list[str]]:
        self._file.seek(0)
        return sheets.read_csv(self._file)

    def items(self) -> Iterator[Row]:
        """The rows that have not been looked at yet."""
        rows = self._read()
        places = {name.strip(): place for place, name in enumerate(next(rows, []))}
        chosen = {  # in our order: some databases keep none
            name: places[self.job.columns[name]]
            for name in sheets.COLUMNS
            if name in self.job.columns
        }
        for number, row in enumerate(rows, start=2):
            # Spreadsheets leave out empty cells at a row's end.
            cells = {name: row[place] if place < len(row) else "" for name, place in chosen.items()}
            if number - 2 >= self.job.position:
                yield number, cells
            elif reference := sheets.unguarded(cells["reference"]).strip():
                self._seen.setdefault(reference, number)

    def look(self, batch: Sequence[Row]) -> Outcome:
        """What rows would change; while the job is running, they change it."""
        outcome = Outcome()
        references = {sheets.unguarded(cells["reference"]).strip() for _, cells in batch}
        known = {row.reference: row for row in sheets.with_all().filter(reference__in=references)}
        ready: list[Wanted] = []
        for number, cells in batch:
            if not any(cell.strip() for cell in cells.values()):
                outcome.counts["unchanged"] += 1  # an empty row
                continue
            with self._refusing(outcome, number, cells["reference"]):
                wanted = self._read_row(number, cells, known)
                if wanted.differences:
                    ready.append(wanted)
                else:
                    outcome.counts["unchanged"] += 1
        if self.job.state == State.RUNNING:
            outcome.add(self._put_together(ready))
        else:
            outcome.differences = [wanted.told for wanted in ready]
            outcome.counts.update(wanted.outcome for wanted in ready)
        return outcome

    @contextmanager
    def _refusing(self, outcome: Outcome, number: int, name: str) -> Iterator[None]:
        """Have a row refused that cannot be taken, for the reason that it raises."""
        try:
            yield
        except (BadCell, Refused, EngineError) as error:
            outcome.refuse(self.job, number, name, str(error))
        except ValidationError as error:
            outcome.refuse(self.job, number, name, _sentence(error))

    def _read_row(self, number: int, cells: dict[str, str], known: Mapping[str, Product]) -> Wanted:
        reference = sheets.reference_of(cells)
        first = self._seen.setdefault(reference, number)
        if first != number:
            raise BadCell(f"The same reference stands in row {first}.")
        return self._wanted(number, reference, cells, known.get(reference))

    def _put_together(self, ready: Sequence[Wanted]) -> Outcome:
        """Put rows in one transaction: one by one, the disk and the words take several times as
        long. If somebody else changes the same at once, each is put by itself all the same.
        """
        try:
            with transaction.atomic(), word_index.once():
                return self._put(ready)
        except OperationalError:
            return self._put(ready)

    def _put(self, ready: Sequence[Wanted]) -> Outcome:
        outcome = Outcome()
        for wanted in ready:
            with self._refusing(outcome, wanted.number, wanted.reference):
                listed = wanted.pictures if sheets.PICTURES in wanted.differences else None
                asked_by = self.job.requested_by
                services.put_product(wanted.reference, wanted.details, listed, asked_by)
                outcome.counts[wanted.outcome] += 1
        return outcome

    def _wanted(
        self, number: int, reference: str, cells: dict[str, str], known: Product | None
    ) -> Wanted:
        """What a row asks for; raises BadCell, ValidationError, Refused, EngineError."""
        details = sheets.details_of(cells)
        _refuse_bad_values(reference, details, known)
        before = dict.fromkeys(sheets.COLUMNS, "") if known is None else sheets.cells_of(known)
        after = {name: _cell(name, value) for name, value in details.items()}
        pictures = None
        if (names := sheets.pictures_of(cells)) is not None:
            pictures, after[sheets.PICTURES] = self._pictures(names, known)
        if known is None:
            after["reference"] = reference
        differences = {
            name: (before[name], value) for name, value in after.items() if before[name] != value
        }
        return Wanted(number, reference, details, pictures, differences, known is None)

    def _pictures(self, names: Sequence[str], known: Product | None) -> tuple[list[Listed], str]:
        """The pictures of a row, each once, and how they would stand in a cell when they are in."""
        has = [] if known is None else list(known.images.all())
        by_identifier = {image.identifier: image for image in has}
        listed: dict[str, Listed] = {}
        for name in names:
            if name.startswith(sheets.KNOWN_PICTURE):
                image = by_identifier.get(name.removeprefix(sheets.KNOWN_PICTURE))
                if image is None:
                    raise BadCell(f"{name} is no picture of this product.")
                listed[name] = Listed(known=image.sha256)
            elif name.lower().startswith(("http://", "https://")):
                if name not in {image.source_url for image in has}:
                    _refuse_bad_address(name)
                listed[name] = Listed(url=name)
            else:
                data = self._file_named(name)
                image = _image_of(data)
                if image is not None and known is not None and image.product_id == known.pk:
                    stands_as = image.source_url or f"{sheets.KNOWN_PICTURE}{image.identifier}"
                    listed[stands_as] = Listed(known=image.sha256)
                else:
                    file = PurePosixPath(name).name
                    listed[name] = Listed(picture=intake.take_in(data), name=file)
        return list(listed.values()), sheets.joined(listed)

    def _file_named(self, name: str) -> bytes:
        path = None if self._archive is None else self._archive.find(name)
        if self._archive is None or path is None:
            raise BadCell(f"There is no picture {name} in the ZIP file that came along.")
        return self._archive.read(path)


def _refuse_bad_values(reference: str, details: dict[str, Any], known: Product | None) -> None:
    """Raises ValidationError for what the product's fields do not take."""
    product = Product(reference=reference)
    for name in (*sheets.TEXTS, *sheets.NUMBERS, *sheets.CHOICES):
        if name in details or known is not None:
            setattr(product, name, details.get(name, getattr(known, name, None)))
    product.clean_fields(exclude={"category"})
    product.clean()
    if len(details.get("category", "")) > LONGEST_CATEGORY:
        raise BadCell(f"category: it has more than {LONGEST_CATEGORY} characters.")


LONGEST_CATEGORY = 100


def _refuse_bad_address(address: str) -> None:
    intake.refuse_urls_if_off()
    is_address(address)
    if len(address) > LONGEST_ADDRESS:
        raise BadCell(f"An address may have {LONGEST_ADDRESS} characters.")


def _cell(name: str, value: Any) -> str:
    """What a value stands as in a cell, once it is saved."""
    if name in sheets.NUMBERS:
        return sheets.number_text(name, value)
    if name in sheets.LISTS:
        return sheets.joined(sorted(set(value)))
    return str(value)


def _sentence(error: ValidationError) -> str:
    if hasattr(error, "error_dict"):
        told = error.message_dict.items()
        return " ".join(f"{name}: {' '.join(messages)}" for name, messages in told)
    return " ".join(error.messages)


# --- Photos of products ---------------------------------------------------------------------

Photo = tuple[int, str]
"""Its place in the archive, from 1, and its path there."""


class Photos:
    """A ZIP's photos, each of the product that its folder or its own name names."""

    def __init__(self, job: ImportJob, files: ExitStack) -> None:
        self.job = job
        data = cast(IO[bytes], files.enter_context(job.file.open("rb")).file)
        self._archive = files.enter_context(Archive(data))

    def count(self) -> int:
        return len(self._archive)

    def items(self) -> Iterator[Photo]:
        """The photos that have not been looked at yet."""
        return islice(enumerate(self._archive, start=1), self.job.position, None)

    def look(self, batch: Sequence[Photo]) -> Outcome:
        """What photos would be of; while the job is running, they go in."""
        outcome = Outcome()
        names = {name for _, path in batch for name in named_by(path)}
        keys = products_called(names)
        rows = Product.objects.in_bulk(keys.values())
        products = {name: rows[key] for name, key in keys.items() if key in rows}
        for number, path in batch:
            try:
                self._take(number, path, products, outcome)
            except (BadCell, BadArchive, EngineError) as error:
                outcome.refuse(self.job, number, path, str(error))
        return outcome

    def _take(
        self, number: int, path: str, products: Mapping[str, Product], outcome: Outcome
    ) -> None:
        product = next((products[name] for name in named_by(path) if name in products), None)
        if product is None:
            raise BadCell("Neither its name nor its folder's is a product's reference.")
        data = self._archive.read(path)
        known = _image_of(data)
        if known is not None and known.product not in {None, product}:
            raise BadCell(f"It is a picture of {known.product}, and stays it.")
        if known is not None and known.product == product:
            outcome.counts["unchanged"] += 1
            return
        picture = intake.take_in(data)  # says what is wrong with it before anything is changed
        if self.job.state == State.RUNNING:
            self._add(picture, PurePosixPath(path).name, product)
        else:
            changes = [["images", "", PurePosixPath(path).name]]
            outcome.differences.append(
                {"number": number, "name": product.reference, "is_new": False, "changes": changes}
            )
        outcome.counts["pictures"] += 1

    def _add(self, picture: Picture, name: str, product: Product) -> None:
        owner = self.job.requested_by
        try:
            similarity.start_upload(picture, source_name=name, owner=owner, product=product)
        except IntegrityError as error:
            if Product.objects.filter(pk=product.pk).exists():
                raise
            raise BadCell("Its product has been deleted.") from error


def _image_of(data: bytes) -> OriginalImage | None:
    """The image that the catalogue has of a file, or has merged it into."""
    digest = hashlib.sha256(data).hexdigest()
    return images_of({digest}).get(digest)


def named_by(path: str) -> list[str]:
    """The references that a photo's path may mean, the likeliest first: its folder, its name, its
    name without a number at the end."""
    parts = PurePosixPath(path)
    folders = reversed(parts.parts[:-1])
    plain = re.sub(r"[ _-]*\(?\d{1,3}\)?$", "", parts.stem)
    return list(dict.fromkeys([*folders, parts.stem, plain]))
