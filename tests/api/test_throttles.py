"""How often one may ask: per stranger's address, person and key, and what comes then."""

from __future__ import annotations

import base64
import datetime as dt
from uuid import UUID

import pytest
from axes.models import AccessAttempt
from django.core.cache import cache, caches
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import checks
from tests.api import refused
from tests.shop import add_product

PRODUCTS = "/api/v1/products/"
SEARCHES = "/api/v1/searches/"
SIGN_IN = "/api/v1/auth/sign-in/"


@pytest.fixture(autouse=True)
def few(settings):
    """Of everything, few in a minute."""
    settings.THROTTLES = {
        "stranger": "2/min",
        "person": "3/min",
        "key": "4/min",
        "search": "2/min",
        "sign-in": "2/min",
    }


def asked(client, times, **headers) -> list[int]:
    return [client.get(PRODUCTS, **headers).status_code for _ in range(times)]


def refused_as_too_often(response):
    refused(response, 429, "throttled")
    assert 0 < int(response["Retry-After"]) <= 60


def test_a_stranger_is_told_when_to_come_back(stranger, db):
    assert asked(stranger, 2) == [200, 200]
    refused_as_too_often(stranger.get(PRODUCTS))


def test_each_address_counts_for_itself(stranger, db):
    assert asked(stranger, 3) == [200, 200, 429]
    assert asked(stranger, 3, REMOTE_ADDR="10.0.0.9") == [200, 200, 429]


def test_all_addresses_of_one_network_count_together(stranger, db):
    """Whoever has one IPv6 address has 2 ** 64."""
    ours = [f"2001:db8:1:2::{n}" for n in range(3)]
    assert [asked(stranger, 1, REMOTE_ADDR=one) for one in ours] == [[200], [200], [429]]
    assert asked(stranger, 1, REMOTE_ADDR="2001:db8:1:3::1") == [200]
    mapped = [f"::ffff:10.0.0.{n}" for n in (1, 1, 1, 2)]
    assert [asked(stranger, 1, REMOTE_ADDR=one) for one in mapped] == [[200], [200], [429], [200]]


def test_an_address_cannot_be_made_up(stranger, db):
    answers = [
        stranger.get(PRODUCTS, headers={"X-Forwarded-For": f"10.0.0.{n}"}).status_code
        for n in range(3)
    ]
    assert answers == [200, 200, 429]


def test_behind_a_proxy_of_ours_the_address_that_it_saw_counts(stranger, db, settings):
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
    for seen in ("10.0.0.1", "10.0.0.2"):
        answers = [
            stranger.get(PRODUCTS, headers={"X-Forwarded-For": f"6.6.6.{n}, {seen}"}).status_code
            for n in range(3)
        ]
        assert answers == [200, 200, 429]


def test_a_person_counts_for_themselves_wherever_they_are(shopper, other_shopper):
    assert asked(shopper, 2) + asked(shopper, 2, REMOTE_ADDR="10.0.0.9") == [200, 200, 200, 429]
    assert asked(other_shopper, 1) == [200]


def test_a_key_counts_for_itself(search_key, catalogue_key):
    assert asked(search_key, 5) == [200] * 4 + [429]
    assert asked(catalogue_key, 1) == [200]


def test_searches_are_fewer_and_looking_at_them_is_not_searching(shopper, settings):
    settings.THROTTLES = settings.THROTTLES | {"person": None}
    segment = add_product("D-1", "red")
    similar = f"/api/v1/segments/{segment.identifier}/similar/"
    run = shopper.post(SEARCHES, {"product": "D-1"}).json()
    assert [shopper.get(run["link"]).status_code for _ in range(3)] == [200] * 3
    assert shopper.get(similar).status_code == 200
    refused_as_too_often(shopper.post(SEARCHES, {"product": "D-1"}))
    refused_as_too_often(shopper.get(similar))


def test_a_shop_s_key_searches_for_many(search_key):
    add_product("D-1", "red")
    answers = [search_key.post(SEARCHES, {"product": "D-1"}).status_code for _ in range(5)]
    assert answers == [201] * 4 + [429]


def test_the_search_page_counts_with_the_api(db, settings):
    settings.THROTTLES = settings.THROTTLES | {"stranger": None}
    add_product("D-1", "red")
    browser = Client()
    assert browser.post("/", {"product": "D-1"}).status_code == 302
    assert browser.post(SEARCHES, {"product": "D-1"}).status_code == 201
    response = browser.post("/", {"product": "D-1"})
    assert (response.status_code, response["Retry-After"].isdecimal()) == (429, True)
    assert "Try again in a minute" in response.text
    assert browser.get("/").status_code == 200


def test_looking_at_pages_counts_with_the_api(stranger, db):
    browser = Client()
    assert [browser.get(path).status_code for path in ("/", "/support/")] == [200, 200]
    response = browser.get("/support/")
    assert (response.status_code, response["Retry-After"].isdecimal()) == (429, True)
    assert "Try again in a minute" in response.text
    refused_as_too_often(stranger.get(PRODUCTS))


def test_no_page_is_left_out(db):
    places = {"pk": UUID(int=1), "identifier": "x", "uidb64": "x", "token": "x"}
    pages = [
        reverse(pattern.name, kwargs={name: places[name] for name in pattern.pattern.converters})
        for pattern in get_resolver().url_patterns
        if isinstance(pattern, URLPattern) and not str(pattern.pattern).startswith("api/")
    ]
    browser = Client()
    for _ in range(2):
        browser.get("/")
    assert len(pages) > 20
    assert {page: browser.get(page).status_code for page in pages} == dict.fromkeys(pages, 429)


def test_pages_that_search_count_as_searches(shopper, settings):
    settings.THROTTLES = settings.THROTTLES | {"person": None}
    segment = add_product("D-1", "red")
    run = shopper.post(SEARCHES, {"product": "D-1"}).json()
    page = f"/garments/{segment.identifier}/"
    assert shopper.get(page).status_code == 200
    for searching in (page, f"/searches/{run['id']}/outfit/"):
        response = shopper.get(searching)
        assert (response.status_code, response["Retry-After"].isdecimal()) == (429, True)
        assert "Try again in a minute" in response.text
    refused_as_too_often(shopper.post(SEARCHES, {"product": "D-1"}))
    assert shopper.get("/", {"search": run["id"]}).status_code == 200


def test_no_limit_is_no_limit(stranger, db, settings):
    settings.THROTTLES = dict.fromkeys(settings.THROTTLES)
    assert asked(stranger, 20) == [200] * 20


def test_health_is_always_told(stranger, db):
    assert {stranger.get("/api/v1/health/live").status_code for _ in range(5)} == {200}


# --- Signing in -----------------------------------------------------------------------------


def test_tries_to_sign_in_are_few_for_an_address_whatever_the_name(stranger, db, settings):
    settings.THROTTLES = settings.THROTTLES | {"stranger": None}
    for name in ("sam", "olga"):
        response = stranger.post(SIGN_IN, {"email": name, "password": "x"})
        refused(response, 401, "wrong_credentials")
    refused_as_too_often(stranger.post(SIGN_IN, {"email": "paula", "password": "x"}))
    new = {"email": "new@shop.example", "password": "blue-linen-9"}
    refused_as_too_often(stranger.post("/api/v1/auth/register/", new))
    assert Client().post("/sign-in/", {"username": "sam", "password": "x"}).status_code == 429
    assert Client().post("/register/", new).status_code == 429
    assert Client().get("/sign-in/").status_code == 200


@pytest.fixture
def patient(settings):
    """No limit but that of wrong passwords."""
    settings.THROTTLES = dict.fromkeys(settings.THROTTLES)
    settings.AXES_FAILURE_LIMIT = 3


def try_api(name, password, **extra):
    return APIClient().post(SIGN_IN, {"email": name, "password": password}, **extra)


def try_basic(name, password, **extra):
    credentials = base64.b64encode(f"{name}:{password}".encode()).decode()
    return APIClient().get(PRODUCTS, HTTP_AUTHORIZATION=f"Basic {credentials}", **extra)


def try_page(name, password, **extra):
    return Client().post("/sign-in/", {"username": name, "password": password}, **extra)


def try_admin(name, password, **extra):
    return Client().post("/admin/login/", {"username": name, "password": password}, **extra)


DOORS = [try_api, try_basic, try_page, try_admin]


@pytest.mark.parametrize("door", DOORS)
def test_too_many_wrong_passwords_and_even_the_right_one_has_to_wait(patient, shopper, door):
    answers = [door("sam", "wrong").status_code for _ in range(3)]
    assert 429 not in answers[:2]
    response = door("sam", "sam-pass-9")
    assert response.status_code == 429
    assert 890 < int(response["Retry-After"]) <= 900


def test_the_wait_is_over_when_it_was_said_to_be(patient, shopper):
    for _ in range(3):
        try_api("sam", "wrong")
    AccessAttempt.objects.update(attempt_time=timezone.now() - dt.timedelta(minutes=14))
    response = try_api("sam", "sam-pass-9")
    refused(response, 429, "throttled")
    assert int(response["Retry-After"]) <= 60
    AccessAttempt.objects.update(attempt_time=timezone.now() - dt.timedelta(minutes=15))
    assert try_api("sam", "sam-pass-9").status_code == 200


def test_wrong_passwords_at_one_door_count_at_the_others(patient, shopper):
    for door in (try_api, try_basic, try_page):
        door("Sam" if door is try_page else "sam", "wrong")
    refused(try_api("sam", "sam-pass-9"), 429, "throttled")
    assert try_page("sam", "sam-pass-9").status_code == 429


def test_nobody_locks_somebody_else_out_from_afar(patient, shopper):
    for _ in range(4):
        try_api("sam", "wrong", REMOTE_ADDR="10.0.0.9")
    assert try_api("sam", "sam-pass-9").status_code == 200
    assert try_api("sam", "sam-pass-9", REMOTE_ADDR="10.0.0.9").status_code == 429


def test_another_address_of_the_same_network_gives_no_new_tries(patient, shopper):
    for number in range(3):
        try_api("sam", "wrong", REMOTE_ADDR=f"2001:db8::{number}")
    assert try_api("sam", "sam-pass-9", REMOTE_ADDR="2001:db8::9").status_code == 429
    assert try_api("sam", "sam-pass-9", REMOTE_ADDR="2001:db8:9::1").status_code == 200


def test_the_right_password_in_time_starts_the_count_anew(patient, shopper):
    for _ in range(2):
        for _ in range(2):
            try_api("sam", "wrong")
        assert try_api("sam", "sam-pass-9").status_code == 200


def test_wrong_passwords_count_though_the_cache_forgets(patient, shopper):
    for _ in range(3):
        try_api("sam", "wrong")
        cache.clear()
    assert try_api("sam", "sam-pass-9").status_code == 429


# --- Where it counts ------------------------------------------------------------------------


def test_a_deployment_without_a_shared_cache_is_warned(settings):
    settings.REDIS_URL = ""
    assert [warning.id for warning in checks.check_cache()] == ["accounts.W001"]
    settings.REDIS_URL = "redis://127.0.0.1:6379/0"
    assert checks.check_cache() == []


@pytest.mark.servers
@pytest.mark.django_db
def test_with_redis_all_processes_count_together(settings):
    redis = pytest.importorskip("redis")
    try:
        redis.Redis("127.0.0.1").ping()
    except redis.ConnectionError:
        pytest.skip("There is no Redis on 127.0.0.1.")
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:6379/0",
            "KEY_PREFIX": settings.CACHES["default"]["KEY_PREFIX"],
        }
    }
    assert asked(APIClient(), 3) == [200, 200, 429]
    # Another process has a connection of its own, and the same counters.
    del caches["default"]
    assert asked(APIClient(), 1) == [429]


def test_who_comes_from_no_address_counts_among_their_like(stranger, db):
    assert asked(stranger, 3, REMOTE_ADDR="") == [200, 200, 429]


def test_a_sign_in_from_no_address_is_counted(db):
    wrong = {"username": "sam", "password": "wrong"}
    assert Client(REMOTE_ADDR="").post("/sign-in/", wrong).status_code == 200
    assert AccessAttempt.objects.get().ip_address is None
