"""`manage.py benchmark_index`."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from similarity import indexing, serving
from tests.shop import add_product

FIGURES = {"recall", "p50_ms", "p95_ms", "build_s", "bytes", "build_mb", "private_mb", "mapped_mb"}


def compared(capsys, **options) -> str:
    call_command("benchmark_index", **options)
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def data_dir(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    yield
    assert [path for path in tmp_path.iterdir() if path.name.startswith("tmp")] == []


def test_engines_are_compared_in_a_table_as_json_and_in_a_picture(capsys, tmp_path):
    pytest.importorskip("faiss")
    engines, plot = ["exact", "annoy", "faiss_ivf"], tmp_path / "plot.svg"
    found = json.loads(
        compared(capsys, synthetic=3000, dim=16, engines=engines, json=True, plot=plot)
    )
    assert (found["source"], found["count"], found["dim"]) == ("synthetic", 3000, 16)
    exact, annoy, ivf = found["engines"]
    assert [exact["engine"], annoy["engine"], ivf["engine"]] == engines
    assert exact["recall"] == annoy["recall"] == 1.0
    assert 0.95 < ivf["recall"] <= 1.0
    assert ivf["parameters"].keys() == {"cells", "probes", "bits"}
    for trial in found["engines"]:
        assert trial.keys() == FIGURES | {"engine", "parameters"}
        assert trial["bytes"] > 3000 * 16 * 4
        assert 0 < trial["p50_ms"] <= trial["p95_ms"]
        assert trial["build_mb"] > 20
    assert "</svg>" in plot.read_text()


def test_the_catalogue_s_own_vectors_are_what_is_compared_on(db, capsys):
    for colour in ("red", "green", "blue"):
        add_product(colour.upper(), colour)
    head, line = compared(capsys, engines=["exact"]).splitlines()
    assert head.split()[:2] == ["engine", "recall@10"]
    assert line.split()[:2] == ["exact", "1.0000"]
    assert indexing.status(serving.serving_embedder()).serving is None, "nothing is switched"


def test_a_catalogue_without_vectors_is_said(db):
    with pytest.raises(CommandError, match="no vectors"):
        call_command("benchmark_index", engines=["exact"])


def test_an_engine_that_fails_is_said_and_the_others_are_compared(capsys, settings):
    settings.BACKEND_OPTIONS = {"annoy": {"jobs": "many"}}
    with pytest.raises(CommandError, match="1 of 2 engines failed"):
        call_command("benchmark_index", synthetic=40_000, dim=4, engines=["annoy", "exact"])
    said = capsys.readouterr()
    assert "annoy failed to build: TypeError" in said.err
    assert said.out.splitlines()[1].split()[0] == "exact"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"synthetic": 0}, "at least 1"),
        ({"dim": 0}, "at least 1"),
        ({"engines": ["clairvoyance"]}, "no index named 'clairvoyance'"),
        ({"plot": "plot.txt"}, "ends in .svg, .png or .pdf"),
    ],
)
def test_what_makes_no_sense_is_refused(options, said):
    arguments = [f"--{name}={value}" for name, value in options.items() if name != "engines"]
    arguments += ["--engines", *options["engines"]] if "engines" in options else []
    with pytest.raises(CommandError, match=said):
        call_command("benchmark_index", *arguments)
