"""Whatever goes wrong under /api/, the answer is a problem detail (RFC 9457)."""

import json

import pytest
from rest_framework.test import APIClient

from similarity import services
from tests.api import refused, traces
from tests.pictures import as_base64, as_file, photo

SEARCHES = "/api/v1/searches/"
PRODUCTS = "/api/v1/products/"


def post_raw(client, body, content_type="application/json", **headers):
    return client.generic("POST", SEARCHES, body, content_type=content_type, **headers)


# --- 400 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    ['{"limit": ', "text", "\xff", '{"limit": NaN}', '{"limit": ' + "9" * 5000 + "}"],
    ids=["broken off", "text", "latin-1", "NaN", "a huge number"],
)
def test_malformed_json_is_refused(stranger, db, body):
    refused(post_raw(stranger, body.encode("latin-1")), 400, "parse_error")


def test_json_that_is_nested_too_deeply_is_refused(stranger, db):
    refused(post_raw(stranger, "[" * 100_000), 400, "parse_error")


@pytest.mark.parametrize("body", ["[]", "7", '"text"', "null", "true"])
def test_json_that_is_no_object_is_refused(stranger, db, body):
    refused(post_raw(stranger, body), 400, "invalid")


@pytest.mark.parametrize(
    "asked",
    [
        {"filters": {"brand": ["\ud800"]}},
        {"filters": {"season": ["\udfff"]}},
        {"model": "\ud800"},
        {"\ud800": 1},
    ],
    ids=["a value", "a choice", "a name", "a field"],
)
def test_half_a_character_is_refused(stranger, db, asked):
    body = json.dumps({"image": as_base64(photo()), **asked})
    refused(post_raw(stranger, body), 400, "parse_error")
    refused(post_raw(stranger, body, **{"Idempotency-Key": "k"}), 400, "parse_error")


def test_a_character_that_is_escaped_in_two_halves_is_whole(stranger, db):
    body = json.dumps({"image": as_base64(photo()), "filters": {"brand": ["\U0001f457"]}})
    assert "\\ud83d" in body
    assert post_raw(stranger, body).status_code == 201


def test_a_form_without_a_boundary_is_refused(stranger, db):
    refused(post_raw(stranger, b"--x", "multipart/form-data"), 400, "parse_error")


def test_each_field_that_does_not_fit_is_named(stranger, db):
    body = {"image": as_base64(photo()), "limit": 0, "wait": -1}
    problem = refused(stranger.post(SEARCHES, body), 400, "invalid")
    assert set(problem["errors"]) == {"limit", "wait"}


def test_a_host_that_is_not_ours_is_refused(stranger):
    response = stranger.get("/api/v1/health/live", headers={"Host": "evil.example"})
    refused(response, 400, "bad_request")


# --- 401, 403, 404, 405, 406, 415 -----------------------------------------------------------


def test_a_stranger_who_may_not_is_asked_to_sign_in(stranger, db):
    response = stranger.post(PRODUCTS, {})
    refused(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize("credentials", ["Basic bm9ib2R5Om5vdGhpbmc=", "Basic ???", "Basic"])
def test_wrong_credentials_are_refused(stranger, db, credentials):
    response = stranger.get(PRODUCTS, headers={"Authorization": credentials})
    refused(response, 401, "authentication_failed")


def test_who_may_not_is_told_so(shopper):
    refused(shopper.post(PRODUCTS, {}), 403, "permission_denied")


def test_a_session_without_its_token_changes_nothing(merchandiser):
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(merchandiser.user)
    problem = refused(browser.post(PRODUCTS, {}), 403, "permission_denied")
    assert "CSRF" in problem["detail"]


@pytest.mark.parametrize("path", ["/api/", "/api/v1/", "/api/v1/nothing/", "/api/v2/products/"])
def test_an_unknown_address_is_not_found(stranger, path):
    refused(stranger.get(path), 404, "not_found")


def test_a_method_that_an_address_does_not_have_is_refused(stranger, db):
    response = stranger.put(SEARCHES, {})
    refused(response, 405, "method_not_allowed")
    assert "POST" in response["Allow"]


@pytest.mark.parametrize("path", ["/api/docs/", "/api/schema/"])
def test_pages_and_descriptions_have_their_problems_in_json_too(stranger, db, path):
    refused(stranger.post(path, {}), 405, "method_not_allowed")


def test_an_answer_in_xml_cannot_be_had(stranger, db):
    response = stranger.get(PRODUCTS, headers={"Accept": "application/xml"})
    refused(response, 406, "not_acceptable")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "image/png"])
def test_other_media_types_are_refused(stranger, db, kind):
    refused(post_raw(stranger, photo(), kind), 415, "unsupported_media_type")


# --- 413 ------------------------------------------------------------------------------------


def test_a_request_that_says_it_is_too_large_is_refused_before_it_is_read(stranger, settings):
    settings.MAX_REQUEST_BYTES = 2000
    problem = refused(post_raw(stranger, b"x" * 2001), 413, "request_too_large")
    assert "MB" in problem["detail"]


def test_a_length_that_is_none_is_refused(stranger):
    refused(post_raw(stranger, b"{}", CONTENT_LENGTH="many"), 413, "request_too_large")


def test_too_many_files_are_refused_and_leave_nothing(stranger, db, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = settings.MAX_UPLOAD_FILES = 2
    before = traces()
    files = {"image": [as_file(photo(seed=seed)) for seed in range(3)]}
    problem = refused(stranger.post(SEARCHES, files, "multipart"), 413, "too_many_files")
    assert "2" in problem["detail"]
    assert traces() == before


def test_a_form_with_too_many_fields_is_refused(stranger, db, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 2
    fields = {"image": as_base64(photo()), "limit": 1, "wait": 0}
    refused(stranger.post(SEARCHES, fields, "multipart"), 400, "bad_request")


# --- 500 ------------------------------------------------------------------------------------


def test_an_unforeseen_error_tells_nothing_of_the_inside(db, monkeypatch):
    def fall_over(*_):
        raise RuntimeError("The secret is 42")

    monkeypatch.setattr(services, "start_rebuild", fall_over)
    monkeypatch.setattr(services, "readiness", fall_over)
    client = APIClient(raise_request_exception=False)
    response = client.get("/api/v1/health/ready")
    refused(response, 500, "internal_error")
    assert b"42" not in response.content


@pytest.mark.parametrize("path", ["products/?brand=a%00b", "segments/?label=a%00b"])
def test_a_nul_in_what_is_asked_is_no_error_of_ours(stranger, db, path):
    """PostgreSQL refuses it, and other databases find nothing."""
    assert stranger.get(f"/api/v1/{path}").status_code in {200, 400}
