"""Who may do what: a row for every endpoint and method, or a test fails."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import Permission
from django.db import transaction
from django.urls import URLPattern, get_resolver, reverse
from rest_framework.test import APIClient

from catalog.services import save_product
from shop.models import Import
from similarity import indexing, services, serving
from similarity.models import Run
from tests.conftest import client_of, person
from tests.pictures import as_base64, photo
from tests.shop import add_product

ROLES = (
    "stranger",
    "shopper",
    "merchandiser",
    "staff",
    "administrator",
    "search_key",
    "catalogue_key",
)

TABLE = """
                           stranger shopper merchandiser staff admin search-key catalogue-key
GET    category-list            200     200          200   200   200        200           200
GET    category-detail          200     200          200   200   200        200           200

GET    product-list             200     200          200   200   200        200           200
POST   product-list             401     403          201   201   201        403           201
GET    product-detail           200     200          200   200   200        200           200
PUT    product-detail           401     403          200   200   200        403           200
PATCH  product-detail           401     403          200   200   200        403           200
DELETE product-detail           401     403          204   204   204        403           204
POST   product-batch            401     403          200   200   200        403           200
GET    product-batch            404     404          404   404   404        404           404
PUT    product-batch            401     403          201   201   201        403           201
PATCH  product-batch            401     403          404   404   404        403           404
DELETE product-batch            401     403          404   404   404        403           404
GET    product-similar          200     200          200   200   200        200           403
GET    import-detail            401     403          200   200   200        403           200
POST   event-list               200     200          200   200   200        200           403

GET    image-list               200     200          200   200   200        200           200
GET    image-detail             200     200          200   200   200        200           200
PUT    image-detail             401     403          200   200   200        403           200
PATCH  image-detail             401     403          200   200   200        403           200
DELETE image-detail             401     403          204   204   204        403           204
GET    image-file               200     200          200   200   200        200           200

GET    segment-list             200     200          200   200   200        200           200
GET    segment-detail           200     200          200   200   200        200           200
GET    segment-crop             200     200          200   200   200        200           200
GET    segment-similar          200     200          200   200   200        200           403

GET    upload-list              401     403          200   200   200        403           200
POST   upload-list              401     403          202   202   202        403           202
GET    upload-detail            401     403          200   200   200        403           200
POST   upload-cancel            401     403          200   200   200        403           200
POST   upload-retry             401     403          409   409   409        403           409

GET    search-list              401     200          200   200   200        403           403
POST   search-list              201     201          201   201   201        201           403
GET    search-detail            200     200          200   200   200        200           403
DELETE search-detail            204     204          204   204   204        204           403
POST   search-clear             401     204          204   204   204        403           403
GET    export                   401     200          200   200   200        403           403
POST   search-cancel            200     200          200   200   200        200           403
GET    query-detail             200     200          200   200   200        200           403
GET    query-file               200     200          200   200   200        200           403

POST   prototype-search-list    201     201          201   201   201        201           403
GET    prototype-search-detail  200     200          200   200   200        200           403
POST   prototype-search-cancel  200     200          200   200   200        200           403

GET    index                    200     200          200   200   200        200           200
POST   index-rebuild            401     403          403   202   202        403           403
GET    index-build-list         401     403          403   200   200        403           403
GET    index-build-detail       401     403          403   200   200        403           403
POST   index-build-activate     401     403          403   200   200        403           403

POST   auth-register            201     201          201   201   201        201           201
POST   auth-sign-in             401     401          401   401   401        401           401
POST   auth-refresh             401     401          401   401   401        401           401
POST   auth-sign-out            401     401          401   401   401        401           401
GET    auth-account             401     200          200   200   200        403           403
POST   auth-password            401     400          400   400   400        403           403
POST   auth-delete              401     400          400   400   400        403           403
POST   auth-reset               202     202          202   202   202        202           202
POST   auth-new-password        400     400          400   400   400        400           400

GET    models                   200     200          200   200   200        200           200

GET    auth-settings            401     200          200   200   200        403           403
PATCH  auth-settings            401     200          200   200   200        403           403
POST   query-detect             200     200          200   200   200        200           403

POST   legacy-relay             200     200          200   200   200        200           403
POST   legacy-split             200     200          200   200   200        200           403
POST   legacy-admin-split       401     403          200   200   200        403           200
POST   legacy-upload            401     403          200   200   200        403           200
POST   legacy-crop-upload       401     403          200   200   200        403           200
POST   legacy-cancel            200     200          200   200   200        200           200
POST   legacy-cancel-upload     200     200          200   200   200        200           200
POST   legacy-cancel-processing 200     200          200   200   200        200           200
GET    legacy-recent            200     200          200   200   200        200           200
GET    legacy-status            200     200          200   200   200        200           200
POST   legacy-cleanup           200     200          200   200   200        200           200
POST   legacy-detail            200     200          200   200   200        200           200
GET    legacy-history           401     200          200   200   200        403           403
POST   legacy-rows              401     403          200   200   200        403           200
GET    legacy-row               200     200          200   200   200        200           200
PUT    legacy-row               401     403          400   400   400        403           400
DELETE legacy-row               401     403          200   200   200        403           200
GET    legacy-original          200     200          200   200   200        200           200
POST   legacy-register          201     201          201   201   201        201           201
POST   legacy-login             401     401          401   401   401        401           401
POST   legacy-refresh           401     401          401   401   401        401           401
POST   legacy-logout            200     200          200   200   200        200           200
GET    legacy-user              401     200          200   200   200        403           403

GET    health-live              200     200          200   200   200        200           200
GET    health-ready             200     200          200   200   200        200           200
GET    schema                   200     200          200   200   200        200           200
GET    docs                     200     200          200   200   200        200           200
"""
"""The status for whoever asks. 409: may, though there is nothing to do (the upload has not failed).
400: may, and has not said what (a password); of auth-sign-in and its like, 401: nobody knows them.
Searches, queries and uploads are one's own; whose they must be is told in the tests of each."""

OF_ALL = {"list", "clear", "batch"}
"""Ends of the names of endpoints that are about all of a kind."""

BODIES = {
    "POST product-list": {"reference": "NEW", "name": "New"},
    "PUT product-detail": {"reference": "D-1", "name": "New"},
    "PATCH product-detail": {"name": "New"},
    "PUT product-batch": {"reference": "batch", "name": "A product of that name"},
    "POST product-batch": {"products": [{"reference": "NEW", "name": "New", "images": []}]},
    "PUT image-detail": {"position": 1},
    "PATCH image-detail": {"position": 1},
    "POST upload-list": {"images": [as_base64(photo("blue"))]},
    "POST search-list": {"product": "D-1"},
    "POST event-list": {"events": [{"kind": "click", "product": "D-1"}]},
    "POST prototype-search-list": {"product": "D-1"},
    "POST auth-register": {"email": "new@shop.example", "password": "blue-linen-9"},
    "POST auth-sign-in": {"email": "nobody", "password": "nothing"},
    "POST auth-refresh": {"refresh_token": "none"},
    "POST auth-sign-out": {"refresh_token": "none"},
    "POST auth-reset": {"email": "nobody@shop.example"},
    "PATCH auth-settings": {"results": 12},
    "POST legacy-relay": {"image_base64": as_base64(photo("blue"))},
    "POST legacy-split": {"image_base64": as_base64(photo("blue"))},
    "POST legacy-admin-split": {"image_base64": as_base64(photo("blue"))},
    "POST legacy-upload": {"image_base64": as_base64(photo("blue"))},
    "POST legacy-crop-upload": {
        "image_base64": as_base64(photo("blue")),
        "original_image_id": "original_1",
        "segment_id": "segment_0",
    },
    "POST legacy-rows": {
        "splitted_image_id": "1_segment_0",
        "splitted_image_path": "1/segment_0.png",
        "original_image_id": "1",
        "splitted_image_data": as_base64(photo("blue")),
    },
    "POST legacy-register": {"email": "new@shop.example", "password": "blue-linen-9"},
    "POST legacy-login": {"email": "nobody", "password": "nothing"},
    "POST legacy-refresh": {"refresh_token": "none"},
    "POST auth-new-password": {"uid": "x", "token": "x", "new_password": "blue-linen-9"},
}


def expected() -> dict[str, tuple[int, ...]]:
    """The table: a status for each role, by method and name of the endpoint."""
    _, *rows = (line.split() for line in TABLE.splitlines() if line)
    return {f"{method} {name}": tuple(map(int, statuses)) for method, name, *statuses in rows}


def endpoints() -> set[str]:
    """Every method of every address under /api/, and of the old paths, as the resolver has them."""
    return {
        f"{method} {pattern.name}"
        for path, pattern in patterns(get_resolver(), "")
        if path.startswith("api/") or str(pattern.name).startswith("legacy-")
        for method in methods(pattern.callback)
    }


def patterns(resolver, prefix):
    for item in resolver.url_patterns:
        path = prefix + str(item.pattern)
        if isinstance(item, URLPattern):
            yield path, item
        else:
            yield from patterns(item, path)


def methods(view) -> set[str]:
    names = getattr(view, "actions", None) or [
        name for name in view.cls.http_method_names if hasattr(view.cls, name)
    ]
    return {name.upper() for name in names} - {"OPTIONS", "HEAD"}


def test_every_endpoint_has_a_row():
    assert endpoints() == set(expected())


@dataclass
class Shop:
    """One of everything, and the client of whoever asks for it."""

    client: APIClient
    arguments: dict[str, list[object]]
    bodies: dict[str, dict[str, object]]

    def status(self, endpoint: str) -> int:
        """The answer to a request, which changes nothing."""
        method, name = endpoint.split()
        body = json.dumps(BODIES.get(endpoint, self.bodies.get(endpoint, {})))
        with transaction.atomic():
            response = self.client.generic(
                method, self._address(name), body, content_type="application/json"
            )
            transaction.set_rollback(True)
        return response.status_code

    def _address(self, name: str) -> str:
        thing, _, of_it = name.rpartition("-")
        known = self.arguments.get(name, self.arguments.get(thing, []))
        return reverse(name, args=[] if of_it in OF_ALL else known)


@pytest.fixture(params=ROLES)
def shop(request, db):
    client = request.getfixturevalue(request.param)
    user = getattr(client, "user", None)
    segment = add_product("D-1", "red", category="Dresses")
    query = services.keep_query(services.take_in(photo("green")), user)
    search = Run.objects.create(
        kind=Run.Kind.SEARCH,
        query=query,
        requested_by=user,
        options={"limit": 1, "box": None, "filters": {}},
    )
    upload = Run.objects.create(kind=Run.Kind.UPLOAD, image=segment.image, requested_by=user)
    sort = Run.objects.create(
        kind=Run.Kind.SORT, query=query, requested_by=user, options={"limit": 1, "box": None}
    )
    build = indexing.rebuild(serving.serving_embedder())
    followed = Import.objects.create(kind=Import.Kind.PRODUCT, requested_by=user)
    arguments = {
        "category": ["dresses"],
        "product": ["D-1"],
        "image": [segment.image.identifier],
        "segment": [segment.identifier],
        "upload": [upload.pk],
        "search": [search.pk],
        "prototype-search": [sort.pk],
        "query": [query.pk],
        "index-build": [build.pk],
        "legacy-cancel": [search.pk],
        "legacy-cancel-upload": [upload.pk],
        "legacy-cancel-processing": [upload.pk],
        "legacy-status": [search.pk],
        "legacy-history": [search.pk],
        "legacy-row": [segment.pk],
        "legacy-original": [segment.image.identifier],
        "import": [followed.pk],
    }
    bodies = {"POST legacy-detail": {"splitted_image_id": segment.pk}}
    return Shop(client, arguments, bodies)


def test_each_role_may_do_what_the_table_says(shop, request):
    role = ROLES.index(request.node.callspec.params["shop"])
    allowed = {endpoint: statuses[role] for endpoint, statuses in expected().items()}
    assert {endpoint: shop.status(endpoint) for endpoint in allowed} == allowed


@pytest.mark.parametrize("shop", ["administrator"], indirect=True)
def test_every_endpoint_can_be_asked_what_it_takes(shop):
    names = {endpoint.split()[1] for endpoint in expected()}
    answers = dict.fromkeys(names, 200) | {"docs": 405}
    assert {name: shop.status(f"OPTIONS {name}") for name in names} == answers


# --- How they show who they are -------------------------------------------------------------


def test_a_program_signs_in_with_name_and_password(stranger, db):
    person("paula", is_staff=True, is_superuser=True)
    stranger.credentials(HTTP_AUTHORIZATION="Basic cGF1bGE6cGF1bGEtcGFzcy05")
    response = stranger.post("/api/v1/products/", {"reference": "D-1", "name": "Dress"})
    assert response.status_code == 201


def test_who_is_no_longer_active_is_a_stranger(stranger, db):
    person("paula", is_superuser=True, is_active=False)
    stranger.credentials(HTTP_AUTHORIZATION="Basic cGF1bGE6cGF1bGEtcGFzcy05")
    assert stranger.get("/api/v1/products/").status_code == 401


def test_one_permission_is_enough_without_a_role(db):
    helper = person("hanna")
    helper.user_permissions.add(Permission.objects.get(codename="change_product"))
    save_product("D-1", name="Dress")
    client = client_of(helper)
    assert client.patch("/api/v1/products/D-1/", {"name": "Gown"}).status_code == 200
    assert client.delete("/api/v1/products/D-1/").status_code == 403
