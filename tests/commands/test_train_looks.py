"""`manage.py train_looks`: a new half for looks, over an embedder that stays as it is."""

import json

import pytest
from django.core.management import CommandError, call_command

from similarity.engine import load
from similarity.engine.device import read_metadata, read_tensors
from similarity.engine.weights import SHIPPED
from tests.engine.training import needs_training
from tests.pictures import COLOURS, photo
from tests.shop import add_photo, add_product

torch = needs_training()

from similarity.engine.networks.compact import read_weights  # noqa: E402
from similarity.engine.training.looks import LooksTask  # noqa: E402

pytestmark = pytest.mark.ml

NAME = "compact_embedder.safetensors"


@pytest.fixture
def output(tmp_path, settings):
    settings.MODELS_DIR = tmp_path / "models"
    return settings.MODELS_DIR / "own.safetensors"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(LooksTask, "steps_per_epoch", 5)


def train(output, **options):
    options = {
        "output": output,
        "epochs": 1,
        "held_out": 0.4,
        "device": "cpu",
        "views": 4,
    } | options
    call_command("train_looks", **options)


def test_looks_alone_are_learnt(training_photos, output):
    train(output, data=training_photos)
    before, after = (read_weights(path) for path in (SHIPPED / NAME, output))
    for name in after:
        same = name in before and torch.equal(after[name], before[name])
        assert same != name.startswith("look."), name


def test_it_writes_weights_that_serve_and_a_card_that_says_what_they_are(
    training_photos, output, capsys
):
    train(output, data=training_photos, epochs=2)
    embedder = load("embedder", "compact", models_dir=output.parent, weights=output.name)
    assert embedder.embed([]).shape == (0, 128)
    assert capsys.readouterr().out.count("epoch ") == 2
    card = output.with_suffix(".md").read_text()
    assert "boxed garments: instance R@1" in card
    shipped = read_metadata(SHIPPED / NAME)
    *earlier, stage = json.loads(read_metadata(output)["lineage"])
    assert earlier == json.loads(shipped["lineage"])
    assert stage["looks alone, views of each garment"] == 4
    assert stage["started from"] == NAME
    assert read_metadata(output)["labels"] == shipped["labels"]


def test_a_garment_is_better_known_again_the_longer_it_learns(
    training_photos, output, monkeypatch, capsys
):
    monkeypatch.setattr(LooksTask, "steps_per_epoch", 100)
    train(output, data=training_photos, epochs=3)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    losses = [float(line.rpartition("looks ")[2].rstrip(")")) for line in lines]
    assert losses[2] < losses[1] < losses[0]


def test_the_same_seed_gives_the_same_weights(training_photos, output):
    written = []
    for seed in (1, 1, 2):
        train(output, data=training_photos, seed=seed)
        written.append(read_tensors(output)["look.1.weight"])
    assert torch.equal(written[0], written[1])
    assert not torch.equal(written[0], written[2])


def test_it_begins_with_the_shops_own_weights_where_it_has_some(training_photos, output):
    output.parent.mkdir()
    own = output.parent / NAME
    call_command("train_embedder", data=training_photos, output=own, epochs=1, device="cpu")
    train(output, data=training_photos)
    assert torch.equal(read_tensors(output)["kind.weight"], read_tensors(own)["kind.weight"])
    assert len(json.loads(read_metadata(output)["lineage"])) == 2


def test_it_goes_on_from_its_checkpoint(training_photos, output):
    train(output, data=training_photos)
    train(output, data=training_photos, epochs=2, resume=True)
    assert json.loads(read_metadata(output)["lineage"])[-1]["steps"] == 10


def test_the_embedders_own_checkpoint_stays(training_photos, output):
    checkpoint = output.with_suffix(".checkpoint")
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"hours of work")
    train(output, data=training_photos)
    assert checkpoint.read_bytes() == b"hours of work"


def test_weights_of_something_else_are_refused_and_nothing_is_written(training_photos, output):
    detector = SHIPPED / "compact_detector.safetensors"
    with pytest.raises(CommandError, match="does not fit the model"):
        train(output, data=training_photos, start_from=detector)
    assert not output.exists()


def test_no_views_at_all_are_refused(training_photos, output):
    with pytest.raises(CommandError, match="not more than 0"):
        call_command(
            "train_looks",
            f"--data={training_photos}",
            f"--output={output}",
            "--epochs=1",
            "--views=0",
        )


@pytest.mark.django_db
def test_it_learns_from_the_shops_own_products(output):
    for number, colour in enumerate(COLOURS):
        garment = add_product(f"p{number}", colour)
        add_photo(photo(colour, seed=1), garment.image.product)
    train(output, from_catalogue=True)
    *_, stage = json.loads(read_metadata(output)["lineage"])
    assert stage["photos"] + stage["held out"] == 2 * len(COLOURS)
