"""`manage.py evaluate_duplicates`."""

from __future__ import annotations

import json
import shutil

import pytest
from django.core.management import CommandError, call_command

from tests import labelled

pytestmark = pytest.mark.django_db


def test_it_tells_what_is_known_again_and_what_is_taken_for_another(tmp_path, capsys):
    labelled.write_clothing(tmp_path / "data", products=3, senders=1)
    images = tmp_path / "data" / "images"
    shutil.copy(images / "0-0.jpg", images / "1-0.jpg")  # one photo under two names
    options = {"data": tmp_path / "data", "altered": 2, "json": tmp_path / "figures.json"}
    call_command("evaluate_duplicates", **options)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["photos"] == 3
    assert [pair["of"] for pair in figures["flagged_pairs"]] == [["0-0.jpg", "1-0.jpg"]]
    assert figures["known_again"]["JPEG of quality 40"] == {"hash": 1.0, "flagged": 1.0}
    out = capsys.readouterr().out
    assert "half the size" in out
    assert "0-0.jpg  1-0.jpg  0  1.000" in out


def test_a_folder_without_labels_is_refused(tmp_path):
    with pytest.raises(CommandError, match="holds neither"):
        call_command("evaluate_duplicates", data=tmp_path)
