"""Sites of other origins: those that the settings name may ask, and no others."""

from __future__ import annotations

import pytest

from tests.pictures import as_base64, photo

FRONT = "http://localhost:3000"
PATHS = ["/api/v1/searches/", "/api/v1/uploads/", "/relay_image", "/upload_image", "/api/auth/user"]


@pytest.fixture
def allowed(settings):
    settings.CORS_ALLOWED_ORIGINS = [FRONT]


def preflight(client, path, origin=FRONT, headers="authorization,content-type"):
    return client.options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": headers,
        },
    )


@pytest.mark.parametrize("path", PATHS)
def test_a_preflight_is_answered_before_anybody_has_signed_in(stranger, db, allowed, path):
    response = preflight(stranger, path)
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == FRONT
    methods = response["Access-Control-Allow-Methods"].split(", ")
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= set(methods)
    assert {"authorization", "content-type"} <= set(
        response["Access-Control-Allow-Headers"].split(", ")
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3001", "null"])
def test_other_origins_are_not_let_in(stranger, db, allowed, path, origin):
    assert "Access-Control-Allow-Origin" not in preflight(stranger, path, origin)
    response = stranger.get(path, headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in response


def test_by_default_there_is_nobody(stranger, db, settings):
    assert settings.CORS_ALLOWED_ORIGINS == []
    assert "Access-Control-Allow-Origin" not in preflight(stranger, "/relay_image")


def test_answers_can_be_read_also_when_they_are_refusals(stranger, db, allowed, settings):
    settings.MAX_REQUEST_BYTES = 1024
    headers = {"Origin": FRONT}
    for response in (
        stranger.get("/api/v1/products/", headers=headers),
        stranger.get("/api/auth/user", headers=headers),
        stranger.post("/relay_image", {"image_base64": as_base64(photo())}, headers=headers),
    ):
        assert response["Access-Control-Allow-Origin"] == FRONT
    assert response.status_code == 413


def test_cookies_are_not_for_other_sites(stranger, db, allowed):
    assert "Access-Control-Allow-Credentials" not in preflight(stranger, "/relay_image")
