"""The API, as programs use it: requests sent, statuses and bodies read."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import OriginalImage, Product
from similarity.models import Query, Run


def refused(response, status: int, code: str) -> dict:
    """Make sure that the answer is a problem detail (RFC 9457) of that status and code; gives it.

    Its detail must be words for a person.
    """
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["code"]) == (status, code), problem
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert " " in problem["detail"]
    return problem


def traces() -> tuple[dict[str, int], list[str]]:
    """What requests may leave behind: the number of rows, and the files."""
    rows = {model.__name__: model.objects.count() for model in (OriginalImage, Product, Query, Run)}
    return rows, stored_files()


def stored_files() -> list[str]:
    """The names of all files of the shop's pictures."""
    root = Path(settings.MEDIA_ROOT)
    return sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())


def queries_of(request) -> int:
    """How many database queries a request takes; `request` is called once before, to warm up."""
    request()
    with CaptureQueriesContext(connection) as queries:
        assert request().status_code < 300
    return len(queries)


def references(response) -> list[str]:
    """The products of a list or of a search's results, in their order."""
    items = response.json()["results"]
    return [item.get("product", item)["reference"] for item in items]
