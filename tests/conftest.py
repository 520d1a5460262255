"""The standing cast, a fresh shop for each test, and pictures to put into it."""

from __future__ import annotations

import os
import signal
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.migrations import RunPython
from hypothesis import HealthCheck
from hypothesis import settings as effort
from rest_framework.test import APIClient

from accounts import keys, roles
from similarity import backends, indexing, prototypes
from tests.loopback import serving
from tests.scratch import migrated, open_shop  # noqa: F401  (fixtures)

# A machine may be slow: how long an example takes is none of what a property says.
effort.register_profile(
    "patient", effort(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
effort.load_profile("patient")


def pytest_configure() -> None:
    """Hear Ctrl-C: a shell's background jobs ignore it, and hand that down to what tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def fresh_shop(settings, tmp_path):
    """Files of the test's own, and nothing remembered from the test before."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.INDEX_DIR = tmp_path / "indexes"
    # What is in the cache counts for this test alone.
    settings.CACHES = {"default": settings.CACHES["default"] | {"KEY_PREFIX": str(tmp_path)}}
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Each test client starts the site anew: it need not look at all static files first.
    settings.WHITENOISE_AUTOREFRESH = True
    backends.forget()
    indexing.forget()
    prototypes.forget()
    yield
    backends.forget()
    indexing.forget()
    prototypes.forget()


GRANTING = (
    "catalog.migrations.0002_roles",
    "catalog.migrations.0008_lookalike_roles",
    "catalog.migrations.0014_quality_roles",
    "catalog.migrations.0016_former_reference_roles",
    "similarity.migrations.0002_roles",
    "similarity.migrations.0009_rule_roles",
    "similarity.migrations.0012_golden_roles",
    "accounts.migrations.0004_enquiries",
    "shop.migrations.0002_roles",
    "shop.migrations.0004_event_roles",
    "shop.migrations.0007_import_job_roles",
)
"""Migrations that give roles permissions."""


def restore_roles() -> None:
    """Make the groups again as the migrations do: tests with real transactions end in a flush."""
    for name in GRANTING:
        for step in import_module(name).Migration.operations:
            if isinstance(step, RunPython):
                step.code(apps, None)


def person(name: str, *groups: str, **attributes):
    if groups and not Group.objects.exists():
        restore_roles()
    user = get_user_model().objects.create_user(name, password=f"{name}-pass-9", **attributes)
    user.groups.set(Group.objects.filter(name__in=groups))
    return user


def client_of(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    client.force_login(user)
    client.user = user
    return client


@pytest.fixture
def stranger(db):
    return APIClient()


@pytest.fixture
def shopper(db):
    return client_of(person("sam"))


@pytest.fixture
def other_shopper(db):
    return client_of(person("olga"))


@pytest.fixture
def merchandiser(db):
    return client_of(person("mona", roles.MERCHANDISER, is_staff=True))


@pytest.fixture
def staff(db):
    return client_of(person("stefan", roles.STAFF, is_staff=True))


@pytest.fixture
def administrator(db):
    return client_of(person("ada", is_staff=True, is_superuser=True))


def program_with(name: str, **scopes: bool) -> APIClient:
    """A shop's program with a key, which it really sends."""
    if not Group.objects.exists():
        restore_roles()
    key, text = keys.make(name, **scopes)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {text}")
    client.key, client.text, client.user = key, text, key.account
    return client


@pytest.fixture
def search_key(db):
    return program_with("Web shop", may_search=True, may_edit=False)


@pytest.fixture
def catalogue_key(db):
    return program_with("Stock system", may_search=False, may_edit=True)


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of real photos, which is no part of this repository."""
    folder = Path(os.environ.get("FASHIONSIM_PHOTOS", "../shared/data"))
    if not (folder / "clothing" / "images").is_dir():
        pytest.skip(f"There are no photos at {folder}: set FASHIONSIM_PHOTOS.")
    return folder


@pytest.fixture
def web():
    """A web server on loopback."""
    with serving() as server:
        yield server


@pytest.fixture
def open_web(web, settings):
    """The same, and the shop may fetch from it and tell it of events."""
    settings.ALLOW_IMAGE_URLS = settings.ALLOW_LOCAL_ADDRESSES = True
    return web
