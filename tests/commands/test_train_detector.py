"""`manage.py train_detector`: weights, a card and a checkpoint from labelled photos."""

import json

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from similarity.engine import load
from similarity.engine.device import read_metadata
from similarity.engine.synthetic import KINDS
from tests.engine.training import needs_training
from tests.scratch import Shop

needs_training()

pytestmark = pytest.mark.ml


@pytest.fixture
def output(tmp_path):
    return tmp_path / "models" / "own.safetensors"


def train(output, **options):
    options = {"output": output, "epochs": 1, "held_out": 0.4, "device": "cpu"} | options
    call_command("train_detector", **options)


def test_it_writes_weights_that_serve_and_a_card_that_says_what_they_are(
    training_photos, output, capsys
):
    train(output, data=training_photos)
    detector = load("detector", "compact", models_dir=output.parent, weights=output.name)
    detector.detect(Image.new("RGB", (60, 90)))
    said = read_metadata(output)
    assert json.loads(said["labels"]) == list(KINDS)
    assert 0 < json.loads(said["threshold"]) < 1
    assert "AP50, mean" in output.with_suffix(".md").read_text()
    assert "AP50, any label" in capsys.readouterr().out


@pytest.mark.slow
def test_it_runs_in_a_process_that_has_not_met_torch_before(training_photos, output, tmp_path):
    done = Shop(tmp_path / "shop").manage(
        "train_detector", "--data", training_photos, "--output", output,
        "--epochs", 1, "--held-out", 0.4, "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert output.is_file()


def test_it_takes_over_the_backbone_of_an_embedder(training_photos, output):
    embedder = output.with_name("embedder.safetensors")
    call_command(
        "train_embedder", output=embedder, epochs=1, held_out=0.4, data=training_photos,
        device="cpu",
    )  # fmt: skip
    train(output, data=training_photos, start_from=embedder)
    stages = json.loads(read_metadata(output)["lineage"])
    assert [stage["started from"] for stage in stages] == ["random weights", embedder.name]


def test_it_goes_on_from_its_checkpoint(training_photos, output):
    train(output, data=training_photos)
    train(output, data=training_photos, epochs=2, resume=True)
    assert json.loads(read_metadata(output)["lineage"])[0]["steps"] == 2


def test_photos_of_single_garments_alone_are_not_enough_to_measure_boxes(training_photos, output):
    with pytest.raises(CommandError, match="with boxes"):
        train(output, data=training_photos / "clothing")


def test_it_needs_photos(output):
    with pytest.raises(CommandError, match="--data FOLDER"):
        train(output)
