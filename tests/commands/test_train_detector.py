"""`manage.py train_detector`: weights, a card and a checkpoint from labelled photos."""

import json

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from similarity.engine import load
from similarity.engine.device import read_metadata
from similarity.engine.synthetic import KINDS
from tests.engine import tiny_models
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


def test_a_teacher_is_taught_first_and_learnt_from(training_photos, output, tmp_path, capsys):
    tiny_models.write_mobilenet_v2(tmp_path)
    train(output, data=training_photos, teacher=tmp_path, teacher_minutes=0.01)
    [stage] = json.loads(read_metadata(output)["lineage"])
    assert stage["teacher"] == "MobileNetV2, taught for 0.01 minutes"
    of_teacher, of_pupil = capsys.readouterr().out.strip().splitlines()[-3:-1]
    assert "seen" not in of_teacher
    assert "seen" in of_pupil
    assert "told" in of_pupil
    load("detector", "compact", models_dir=output.parent, weights=output.name).detect(
        Image.new("RGB", (60, 90))
    )


@pytest.mark.parametrize("half", [{"teacher": "backbone"}, {"teacher_minutes": 1.0}])
def test_a_teacher_without_its_minutes_is_an_error(training_photos, output, half):
    with pytest.raises(CommandError, match="go together"):
        train(output, data=training_photos, **half)


def test_photos_of_single_garments_alone_are_not_enough_to_measure_boxes(training_photos, output):
    with pytest.raises(CommandError, match="with boxes"):
        train(output, data=training_photos / "clothing")


def test_it_needs_photos(output):
    with pytest.raises(CommandError, match="--data FOLDER"):
        train(output)
