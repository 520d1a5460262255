"""`manage.py index_check` of builds on disk; tests/pipeline/test_live.py has live engines'."""

from __future__ import annotations

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from similarity import indexing, serving
from similarity.models import Embedding
from tests.shop import add_product

pytestmark = pytest.mark.django_db


@pytest.fixture
def build():
    for colour in ("red", "green", "blue"):
        add_product(colour.upper(), colour)
    return indexing.rebuild(serving.serving_embedder())


def checked(capsys, *arguments: str) -> str:
    call_command("index_check", *arguments)
    return capsys.readouterr().out


def test_an_index_that_is_up_to_date_is_said_to_be(capsys, build):
    told = f"{build.name}: 3 vectors compared with the database, 0 are wrong, 0 are newer"
    assert checked(capsys).startswith(told)


def test_without_a_build_all_is_scanned(capsys):
    add_product("RED", "red")
    assert "all 1 vectors are scanned" in checked(capsys)


def test_what_the_tail_holds_and_what_has_gone_is_no_ailment(capsys, build):
    add_product("PINK", "pink")
    Embedding.objects.first().delete()
    told = checked(capsys, "--repair")
    assert "2 vectors compared with the database, 0 are wrong, 1 are newer, and scanned" in told
    assert "1 have gone from the database" in told
    assert "Repaired" not in told


def test_a_wrong_vector_is_told_by_the_exit_code(capsys, build):
    row = Embedding.objects.first()
    Embedding.objects.filter(pk=row.pk).update(vector=np.roll(row.vector, 1))
    with pytest.raises(CommandError, match="rebuild_index"):
        call_command("index_check")
    assert "1 are wrong" in capsys.readouterr().out
