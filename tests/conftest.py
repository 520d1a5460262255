"""The standing cast, a fresh shop for each test, and pictures to put into it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from rest_framework.test import APIClient

from accounts import roles
from similarity import backends, indexing


@pytest.fixture(autouse=True)
def fresh_shop(settings, tmp_path):
    """Files of the test's own, and nothing remembered from the test before."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.INDEX_DIR = tmp_path / "indexes"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    backends.forget()
    indexing.forget()
    yield
    backends.forget()
    indexing.forget()


def person(name: str, *groups: str, **attributes):
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


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of real photos, which is no part of this repository."""
    folder = Path(os.environ.get("FASHIONSIM_PHOTOS", "../shared/data"))
    if not (folder / "clothing" / "images").is_dir():
        pytest.skip(f"There are no photos at {folder}: set FASHIONSIM_PHOTOS.")
    return folder
