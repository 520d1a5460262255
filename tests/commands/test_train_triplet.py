"""`manage.py train_triplet`: weights that the embedder `triplet` serves."""

import json

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from similarity.engine import load
from similarity.engine.device import read_metadata, read_tensors
from tests.engine import tiny_models
from tests.engine.training import needs_training

torch = needs_training()

pytestmark = pytest.mark.ml


@pytest.fixture
def output(tmp_path):
    return tmp_path / "models" / "triplet.safetensors"


def train(output, *arguments, **options):
    options = {"output": output, "epochs": 1, "held_out": 0.4, "device": "cpu"} | options
    call_command("train_triplet", "--size", "48x64", *arguments, **options)


def test_it_writes_weights_that_serve_at_the_size_they_were_trained_at(
    training_photos, output, capsys
):
    train(output, data=training_photos)
    embedder = load("embedder", "triplet", models_dir=output.parent, device="cpu")
    assert embedder.missing() == []
    assert embedder.embed([Image.new("RGB", (90, 150), "navy")]).shape == (1, 128)
    assert embedder.pixels(Image.new("RGB", (90, 150))).shape == (3, 64, 48)
    card = output.with_suffix(".md").read_text()
    assert "boxed garments: R@1" in card
    assert "size 48x64" in card
    assert capsys.readouterr().out.count("epoch ") == 1


def test_it_starts_from_torchvisions_weights_all_but_the_head(training_photos, output, tmp_path):
    tiny_models.write_resnet50(tmp_path)
    published = tmp_path / "resnet50-11ad3fa6.pth"
    train(output, data=training_photos, start_from=published)
    before, after = read_tensors(published), read_tensors(output)
    assert after["fc.weight"].shape == (128, 2048)
    change = (after["layer4.2.conv3.weight"].float() - before["layer4.2.conv3.weight"]).abs()
    assert 0 < change.max() < 0.01, "it was learnt from there, not made anew"
    (stage,) = json.loads(read_metadata(output)["lineage"])
    assert stage["started from"] == published.name


@pytest.mark.parametrize("size", ["48", "48x", "8x64", "48x4000", "axb"])
def test_a_size_that_is_none_is_refused(training_photos, output, size):
    with pytest.raises(CommandError, match="32 to 1024"):
        call_command("train_triplet", "--size", size, "--epochs", "1", data=training_photos)
