"""`manage.py evaluate_detector`."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from similarity.engine import Box, Detection, datasets, synthetic
from similarity.engine.evaluation import detection
from tests.pictures import encoded
from tests.shop import add_photo, add_product

pytest.importorskip("cv2")


@pytest.fixture
def evaluate(tmp_path, capsys):
    """Run the command; what it printed, what it saved as JSON and as HTML."""

    def run(*arguments):
        saved = tmp_path / "figures.json", tmp_path / "report.html"
        options = ["--detector", "whole_image", "--json", str(saved[0]), "--html", str(saved[1])]
        call_command("evaluate_detector", *map(str, arguments), *options)
        figures, report = (path.read_text(encoding="utf-8") for path in saved)
        return capsys.readouterr().out, json.loads(figures), report

    return run


def test_boxed_garments_are_measured_by_average_precision(evaluate, labelled_photos):
    out, figures, _ = evaluate("--data", labelled_photos / "street", "--held-out", "whole")
    photos = datasets.read(labelled_photos / "street")
    whole = [[Detection(Box.whole(datasets.open_rgb(photo)), "garment", 1.0)] for photo in photos]
    expected = detection.evaluate([photo.garments for photo in photos], whole)
    street = figures["measures"]["street"]["whole_image"]
    assert street == json.loads(json.dumps(expected.as_dict()))
    assert street["detections"] == 2
    assert street["class_agnostic"]["garments"] == sum(len(photo.garments) for photo in photos)
    assert f"street: {street['class_agnostic']['garments']} garments in 2 photos" in out


def test_garments_laid_flat_are_measured_by_what_the_best_box_holds(evaluate, labelled_photos):
    out, figures, _ = evaluate("--data", labelled_photos / "clothing", "--held-out", "whole")
    flat = figures["measures"]["flat-lay"]["whole_image"]
    assert flat["photos"] + flat["left_out"] == 10
    assert flat["photos"] >= 5
    assert flat["held"] == flat["iou50"]  # the whole photo covers everything
    assert 0 < flat["mean_iou"] < 1
    assert f"flat-lay: {flat['photos']} photos; {flat['left_out']} left out" in out


def test_the_report_shows_the_boxes_and_needs_nothing_beside_it(evaluate, labelled_photos):
    _, figures, report = evaluate("--data", labelled_photos, "--held-out", "whole")
    assert list(figures["measures"]) == ["street", "flat-lay"]
    assert report.count("Good cases") == report.count("Bad cases") == 2
    assert report.count("data:image/jpeg;base64,") >= 6
    assert "<svg" in report
    assert 'src="http' not in report


def test_the_catalogues_pictures_of_products_are_taken_as_laid_flat(db, evaluate):
    segment = add_product("ONE")
    scene = synthetic.photo(5, 0)
    add_photo(encoded(scene.image.reduce(3)), segment.image.product)
    _, figures, _ = evaluate("--catalogue")
    flat = figures["measures"]["flat-lay"]["whole_image"]
    # A picture of one colour has no garment that could be told from its background.
    assert (flat["photos"], flat["left_out"]) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "one of the arguments --data --catalogue is required"),
        (["--catalogue"], "no pictures of products"),
        (["--data", "static"], "neither a labels.csv nor a garments.json"),
        (["--catalogue", "--detector", "magic"], "no detector named 'magic'"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(db, arguments, complaint):
    with pytest.raises(CommandError, match=complaint):
        call_command("evaluate_detector", *arguments)
