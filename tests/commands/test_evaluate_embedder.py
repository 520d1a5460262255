"""`manage.py evaluate_embedder`."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from catalog.models import OriginalImage, Segment
from similarity.engine import datasets, load
from tests.pictures import photo
from tests.shop import add_photo, add_product


@pytest.fixture
def evaluate(tmp_path, capsys):
    """Run the command; what it printed, what it saved as JSON and as HTML."""

    def run(*arguments):
        saved = tmp_path / "figures.json", tmp_path / "report.html"
        options = ["--embedder", "colour", "--json", str(saved[0]), "--html", str(saved[1])]
        call_command("evaluate_embedder", *map(str, arguments), *options)
        figures, report = (path.read_text(encoding="utf-8") for path in saved)
        return capsys.readouterr().out, json.loads(figures), report

    return run


def test_the_figures_are_those_of_a_search_by_hand(evaluate, labelled_photos):
    _, figures, _ = evaluate("--data", labelled_photos, "--held-out", "whole")
    photos = datasets.read(labelled_photos / "clothing")
    embedder = load("embedder", "colour")
    vectors = embedder.embed([datasets.open_rgb(photo) for photo in photos])
    hits = []
    for row, query in enumerate(photos):
        others = [n for n, other in enumerate(photos) if other.group != query.group]
        best = max(others, key=lambda n: float(vectors[row] @ vectors[n]))
        hits.append(photos[best].garments[0].label == query.garments[0].label)
    clothing = figures["measures"]["clothing"]["colour"]
    assert clothing["recall_at_1"] == pytest.approx(np.mean(hits))
    assert clothing["queries"] == len(photos) == 10
    assert clothing["instance"]["queries"] == 10


def test_what_is_worn_is_measured_apart_from_what_is_laid_flat(evaluate, labelled_photos):
    out, figures, _ = evaluate("--data", labelled_photos, "--held-out", "whole")
    assert list(figures["measures"]) == ["clothing", "street"]
    assert "clothing: 10 queries of 5 labels among 10 garments; 0 left out" in out
    boxed = [
        garment.label
        for shown in datasets.read(labelled_photos / "street")
        for garment in shown.garments
    ]
    street = figures["measures"]["street"]["colour"]
    assert street["queries"] + street["left_out"] == len(boxed)


def test_only_held_out_senders_are_measured_unless_told_otherwise(evaluate, labelled_photos):
    with pytest.raises(CommandError, match="--held-out whole"):
        evaluate("--data", labelled_photos / "street", "--held-out", "0.01")
    _, figures, _ = evaluate("--data", labelled_photos / "street", "--held-out", "0.5")
    held = datasets.split(datasets.read(labelled_photos / "street"), 0.5).held_out
    street = figures["measures"]["street"]["colour"]
    assert street["queries"] + street["left_out"] == sum(len(shown.garments) for shown in held)
    assert figures["held_out"] == 0.5


def test_baselines_are_printed_beside_it(evaluate, labelled_photos, settings):
    settings.BACKEND_OPTIONS = {}
    own = "similarity.engine.embedders.colour:ColourEmbedder"
    out, figures, report = evaluate(
        "--data", labelled_photos, "--held-out", "whole", "--baseline", own
    )
    both = figures["measures"]["clothing"]
    assert both["colour"] == both[own]
    assert figures["fingerprints"] == dict.fromkeys(both, load("embedder", "colour").fingerprint)
    assert own in out
    assert own in report


def test_the_report_needs_nothing_beside_it_and_escapes_what_it_shows(evaluate, labelled_photos):
    _, _, report = evaluate("--data", labelled_photos, "--held-out", "whole")
    assert "<svg" in report
    assert "Good cases" in report
    assert "Bad cases" in report
    assert "data:image/jpeg;base64," in report
    assert 'class="right"' in report
    assert 'src="http' not in report
    assert "<script" not in report
    labels = {shown.garments[0].label for shown in datasets.read(labelled_photos / "clothing")}
    for label in labels:
        assert label.startswith("<")
        assert label not in report
        assert label.replace("<", "&lt;").replace(">", "&gt;") in report


def test_pictures_of_one_product_of_the_catalogue_find_each_other(db, evaluate):
    for colour in ("red", "green", "blue"):
        first = add_product(colour.upper(), colour, category="Things")
        add_photo(photo(colour, seed=9), first.image.product)
    _, figures, _ = evaluate("--catalogue")
    product = figures["measures"]["product"]["colour"]
    assert (product["queries"], product["recall_at_1"]) == (6, 1)
    # The two pictures of the query's own product are no results; all four others are things.
    category = figures["measures"]["category"]["colour"]
    assert (category["queries"], category["mean_average_precision"]) == (6, 1)
    assert list(category["by_label"]) == ["Things"]


def test_only_garments_that_a_search_finds_are_measured(db, evaluate):
    first = add_product("RED", "red")
    add_photo(photo("red", seed=9), first.image.product)
    Segment.objects.create(
        image=first.image, number=7, x0=0, y0=0, x1=20, y1=20, label="shoes", score=1
    )
    OriginalImage.objects.filter(pk=first.image.pk).update(main_segment=first)
    nothing = add_product("BLUE", "blue")
    Segment.objects.filter(pk=nothing.pk).update(detector=Segment.NOTHING_FOUND)
    out, _, _ = evaluate("--catalogue")
    assert "product: 2 queries of 1 labels among 2 garments" in out


def test_products_of_one_picture_and_no_category_are_left_out(db, evaluate):
    add_product("RED", "red")
    add_product("BLUE", "blue")
    out, figures, _ = evaluate("--catalogue")
    assert figures["measures"]["product"]["colour"]["left_out"] == 2
    assert figures["measures"]["category"]["colour"]["queries"] == 0
    assert "2 left out" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "one of the arguments --data --catalogue --golden is required"),
        (["--catalogue", "--data", "."], "not allowed with"),
        (["--catalogue"], "no garments that belong to a product"),
        (["--data", "static"], "neither a labels.csv nor a garments.json"),
        (["--data", "no-such-folder"], "cannot be read"),
        (["--catalogue", "--held-out", "most"], "neither a share nor"),
        (["--catalogue", "--held-out", "1.5"], "not between 0 and 1"),
        (["--catalogue", "--embedder", "magic"], "no embedder named 'magic'"),
        (["--catalogue", "--baseline", "mobilenet_v2"], "mobilenet_v2_imagenet.npz"),
        (["--catalogue", "--json", "no-such-folder/figures.json"], "no-such-folder is no folder"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(db, settings, tmp_path, arguments, complaint):
    settings.BACKEND_OPTIONS = {"mobilenet_v2": {"models_dir": tmp_path}}
    with pytest.raises(CommandError, match=complaint):
        call_command("evaluate_embedder", *arguments)


def test_a_photo_that_cannot_be_read_ends_it_with_its_name(labelled_photos, tmp_path):
    folder = shutil.copytree(labelled_photos / "clothing", tmp_path / "clothing")
    (folder / "images" / "3-1.jpg").write_bytes(b"no photo")
    with pytest.raises(CommandError, match=r"3-1\.jpg cannot be read"):
        call_command("evaluate_embedder", "--data", str(folder), "--held-out", "whole")


@pytest.mark.photos
@pytest.mark.slow
def test_real_clothes_are_found_better_than_by_chance(evaluate, photos):
    _, figures, _ = evaluate("--data", photos / "clothing", "--held-out", "0.05")
    colour = figures["measures"]["clothing"]["colour"]
    chance = 1 / len(colour["by_label"])
    assert chance < colour["recall_at_1"] < 0.5
    assert 0.3 < colour["instance"]["recall_at_1"] < 1
