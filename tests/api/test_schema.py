"""/api/schema/: the OpenAPI description is whole and true."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
import schemathesis
from django.contrib.admindocs.views import simplify_regex
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.urls import get_resolver
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fashionsim.wsgi import application
from similarity import indexing, services, serving
from similarity.models import Run
from tests.api.test_permissions import methods, patterns
from tests.pictures import as_base64, encoded, photo, picture
from tests.shop import add_product

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def description(tmp_path_factory):
    """The description, validated, as `manage.py spectacular` writes it; a warning is an error."""
    path = tmp_path_factory.mktemp("schema") / "openapi.json"
    options = {"validate": True, "fail_on_warn": True, "format": "openapi-json"}
    call_command("spectacular", file=str(path), **options)
    return schemathesis.openapi.from_path(path).raw_schema


def test_the_description_is_valid_and_without_warnings(description):
    assert description["openapi"].startswith("3.1")


OF_A_PRODUCT_NAMED_BATCH = {
    (method, "/api/v1/products/batch/") for method in ("GET", "PUT", "PATCH", "DELETE")
}
"""Described as any other product's: products/{reference}/."""


def test_every_address_is_described_with_its_methods(description):
    assert {
        (method.upper(), re.sub(r"{\w+}", "<>", path))
        for path, operations in description["paths"].items()
        for method in operations
    } == {
        (method, re.sub(r"<\w+>", "<>", simplify_regex(path)))
        for path, pattern in patterns(get_resolver(), "")
        if path.startswith("api/v1/")
        for method in methods(pattern.callback)
    } - OF_A_PRODUCT_NAMED_BATCH


# --- Put to the test ------------------------------------------------------------------------


@pytest.fixture
def unlimited(settings):
    """So many requests as these nobody may send."""
    settings.THROTTLES = dict.fromkeys(settings.THROTTLES)


@pytest.fixture
def one_connection():
    """Requests leave the test's database connection open, as they do with Django's own client."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture(params=["stranger", "shopper", "administrator"])
def caller(request, db):
    """Who asks, and the headers that say so."""
    user = getattr(request.getfixturevalue(request.param), "user", None)
    if user is None:
        return None, {}
    credentials = as_base64(f"{user.username}:{user.username}-pass-9".encode())
    return user, {"Authorization": f"Basic {credentials}"}


@dataclass
class Known:
    """What there is in the shop, for requests to ask for: without it they would find nothing."""

    parameters: dict[str, list[object]]
    bodies: dict[str, list[object]]


@pytest.fixture
def known(caller):
    """A shop with one of everything."""
    user, _ = caller
    segment = add_product("D-1", "red", category="Dresses")
    other = add_product("D-2", "blue", category="Coats")
    query = services.keep_query(services.take_in(photo("green")), user)
    search = services.search(query=query, limit=5, asked_by=user)
    upload = Run.objects.create(kind=Run.Kind.UPLOAD, image=other.image, requested_by=user)
    build = indexing.rebuild(serving.serving_embedder())
    image = as_base64(encoded(picture("pink", (16, 16)), "JPEG"))
    sources = [
        {"image": image, "filters": {"category": ["coats"], "price_max": 9}},
        {"query": str(query.pk), "box": [0, 0, 50, 50]},
        {"segment": segment.identifier, "limit": 1},
        {"product": "D-1", "model": "colour"},
        {"text": "red thing", "without": "coat", "unlike": [other.identifier]},
        {"query": str(query.pk), "text": "thing", "like": [segment.identifier]},
    ]
    return Known(
        parameters={
            "path.reference": ["D-1", "D-2"],
            "path.identifier": [segment.identifier, segment.image.identifier],
            "path.slug": ["dresses"],
            "path.id": [str(query.pk), str(search.pk), str(upload.pk), build.pk],
        },
        bodies={
            "POST /api/v1/searches/": sources,
            "POST /api/v1/uploads/": [{"images": [image]}, {"images": [image, "x"]}],
            "PUT /api/v1/products/{reference}/": [{"reference": "D-1", "name": "Dress"}],
        },
    )


@pytest.fixture
def api(one_connection, unlimited, known):
    """The described API; most addresses in its cases are of things that there are."""
    names = {name: name.replace(".", "-") for name in known.parameters}
    config = {
        "dictionaries": {names[name]: {"values": known.parameters[name]} for name in names},
        "parameters": {
            name: {"dictionary": dictionary, "probability": 0.8}
            for name, dictionary in names.items()
        },
    }
    return schemathesis.openapi.from_wsgi(
        "/api/schema/", application, config=schemathesis.Config.from_dict(config)
    )


@pytest.mark.slow
def test_the_api_does_what_its_description_says(api, known, caller, subtests):
    _, headers = caller
    for operation in (result.ok() for result in api.get_all_operations()):
        with subtests.test(operation.label):
            put_to_the_test(operation, known.bodies.get(operation.label, []), headers)


def put_to_the_test(operation, bodies, headers):
    """Send requests that keep to the description, and such that do not; none changes anything."""
    good = [operation.as_strategy(body=body, media_type="application/json") for body in bodies]

    @seed(1)
    @settings(max_examples=20, deadline=None, database=None, suppress_health_check=HealthCheck)
    @given(st.one_of(*map(operation.as_strategy, GenerationMode), *good))
    def answers_as_described(case):
        with transaction.atomic():
            case.call_and_validate(headers=headers, checks=CHECKS)
            transaction.set_rollback(True)

    answers_as_described()
