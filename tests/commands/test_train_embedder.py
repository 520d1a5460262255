"""`manage.py train_embedder`: weights, a card and a checkpoint from labelled photos."""

import json

import pytest
from django.core.management import CommandError, call_command

from similarity.engine import load
from similarity.engine.device import read_metadata, read_tensors
from tests.engine import tiny_models
from tests.engine.training import needs_training
from tests.pictures import COLOURS, photo
from tests.shop import add_photo, add_product

torch = needs_training()

from safetensors.torch import save_file  # noqa: E402

pytestmark = pytest.mark.ml


@pytest.fixture
def output(tmp_path):
    return tmp_path / "models" / "own.safetensors"


def train(output, *arguments, **options):
    options = {"output": output, "epochs": 2, "held_out": 0.4, "device": "cpu"} | options
    call_command("train_embedder", *arguments, **options)


def losses_told(said):
    """The names of the losses in the last line of an epoch."""
    *_, line = (line for line in said.splitlines() if line.startswith("epoch "))
    losses = line.rpartition("(")[2].removesuffix(")")
    return {part.rpartition(" ")[0] for part in losses.split(", ")}


def test_it_writes_weights_that_serve_and_a_card_that_says_what_they_are(
    training_photos, output, capsys
):
    train(output, data=training_photos)
    embedder = load("embedder", "compact", models_dir=output.parent, weights=output.name)
    assert embedder.embed([]).shape == (0, 128)
    card = output.with_suffix(".md").read_text()
    assert "boxed garments: R@1" in card
    assert "seed 0" in card
    assert capsys.readouterr().out.count("epoch ") == 2
    (stage,) = json.loads(read_metadata(output)["lineage"])
    assert stage["started from"] == "random weights"
    assert stage["loss of kinds"] == "contrastive"


def test_the_same_seed_gives_the_same_weights(training_photos, output):
    written = []
    for seed in (1, 1, 2):
        train(output, data=training_photos, seed=seed, epochs=1)
        written.append(read_tensors(output)["kind.weight"])
    assert torch.equal(written[0], written[1])
    assert not torch.equal(written[0], written[2])


def test_it_goes_on_from_its_checkpoint_as_if_it_had_not_stopped(training_photos, output):
    train(output, data=training_photos, epochs=1)
    train(output, data=training_photos, epochs=2, resume=True)
    card = output.with_suffix(".md").read_text()
    assert "steps 1," not in card
    assert json.loads(read_metadata(output)["lineage"])[0]["steps"] == 2


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"seed": 5}, "other --seed"),
        ({"loss": "triplet"}, "other --loss"),
        ({"held_out": 0.6}, "other photos"),
        ({"start_from": True, "seed": 5}, "other --seed and --start-from"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(training_photos, output, other, named):
    train(output, data=training_photos, epochs=1)
    if "start_from" in other:
        other = other | {"start_from": output}
    with pytest.raises(CommandError, match=named):
        train(output, data=training_photos, resume=True, **other)


@pytest.mark.parametrize(
    "spoilt", [lambda data: data[:2000], lambda data: b"\x80\x02garbage", lambda data: b""]
)
def test_a_damaged_checkpoint_is_refused_and_the_weights_stay(training_photos, output, spoilt):
    train(output, data=training_photos, epochs=1)
    before = output.read_bytes()
    checkpoint = output.with_suffix(".checkpoint")
    checkpoint.write_bytes(spoilt(checkpoint.read_bytes()))
    with pytest.raises(CommandError, match="does not fit this training"):
        train(output, data=training_photos, resume=True)
    assert output.read_bytes() == before


def test_it_starts_from_weights_and_remembers_what_they_went_through(training_photos, output):
    train(output, data=training_photos, epochs=1)
    further = output.with_name("further.safetensors")
    train(further, data=training_photos, epochs=1, start_from=output, loss="triplet")
    stages = json.loads(read_metadata(further)["lineage"])
    assert [stage["started from"] for stage in stages] == ["random weights", output.name]
    assert stages[1]["loss of kinds"] == "triplet"


def test_what_it_started_from_may_be_blended_in(training_photos, output, capsys):
    train(output, data=training_photos, epochs=1)
    further, blended = (output.with_name(f"{name}.safetensors") for name in ("further", "blended"))
    train(further, data=training_photos, epochs=1, start_from=output, seed=1)
    train(blended, data=training_photos, epochs=1, start_from=output, seed=1, blend=0.25)
    before, after, between = map(read_tensors, (output, further, blended))
    for name, tensor in between.items():
        wanted = torch.lerp(before[name].float(), after[name].float(), 0.25)
        torch.testing.assert_close(tensor.float(), wanted, atol=2e-3, rtol=2e-3)
    stages = json.loads(read_metadata(blended)["lineage"])
    assert stages[1]["share of what was learnt"] == 0.25
    assert "share of what was learnt" not in stages[0]
    printed = capsys.readouterr().out.splitlines()
    (told,) = (line for line in printed if line.startswith("blended: "))
    figures = dict(part.rsplit(" ", 1) for part in told.removeprefix("blended: ").split(", "))
    for name, value in figures.items():
        assert f"| {name} | {value} |" in blended.with_suffix(".md").read_text()


def test_only_weights_of_the_same_network_are_blended_which_is_known_before_hours_of_work(
    training_photos, output
):
    train(output, data=training_photos, epochs=1)
    backbone = {k: v for k, v in read_tensors(output).items() if k.startswith("backbone.")}
    half, further = (output.with_name(f"{name}.safetensors") for name in ("half", "further"))
    save_file(backbone, half)
    with pytest.raises(CommandError, match="very same network"):
        train(further, data=training_photos, epochs=1, start_from=half, blend=0.5)
    assert not further.with_suffix(".checkpoint").exists()


def test_a_teacher_is_listened_to(training_photos, output, tmp_path, capsys):
    tiny_models.write_mobilenet_v2(tmp_path)
    train(output, data=training_photos, epochs=1, teacher=tmp_path)
    assert {"seen", "relations"} <= losses_told(capsys.readouterr().out)


def test_a_teacher_may_be_taught_the_labels_first(training_photos, output, tmp_path, capsys):
    tiny_models.write_mobilenet_v2(tmp_path)
    options = {"data": training_photos, "epochs": 1, "teacher": tmp_path, "teacher_minutes": 0.001}
    train(output, **options)
    said = capsys.readouterr().out
    assert said.count("epoch 1,") == 2, "the teacher's and the pupil's"
    assert {"seen", "relations", "told"} <= losses_told(said)
    (stage,) = json.loads(read_metadata(output)["lineage"])
    assert stage["teacher"] == "MobileNetV2, taught for 0.001 minutes"
    train(output, resume=True, **options)
    assert capsys.readouterr().out == f"Written: {output} and its card.\n", (
        "nothing is learnt twice"
    )


@pytest.mark.django_db
def test_it_learns_from_the_shops_own_products(output):
    for number, colour in enumerate(COLOURS):
        garment = add_product(f"p{number}", colour)
        add_photo(photo(colour, seed=1), garment.image.product)
    train(output, from_catalogue=True, epochs=1)
    (stage,) = json.loads(read_metadata(output)["lineage"])
    assert stage["photos"] + stage["held out"] == 2 * len(COLOURS)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "--data FOLDER"),
        ({"resume": True}, "no checkpoint"),
        ({"start_from": "nowhere.safetensors"}, "no weights"),
        ({"blend": 0.5}, "--blend needs --start-from"),
        ({"teacher": "nowhere"}, "does not hold mobilenet"),
        ({"teacher_minutes": 5.0}, "--teacher-minutes needs --teacher"),
        ({"held_out": 0.01}, "too few"),
        ({"device": "tpu"}, "no device 'tpu'"),
        ({"output": "."}, "no name for weights"),
        ({"output": "own.pth"}, "no name for weights"),
        ({"output": "a file/own.safetensors"}, "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_before_hours_of_work(
    training_photos, output, tmp_path, options, complaint
):
    (tmp_path / "a file").touch()
    paths = {
        name: tmp_path / value if name in {"start_from", "teacher", "output"} else value
        for name, value in options.items()
    }
    data = {"data": training_photos} if options else {}
    with pytest.raises(CommandError, match=complaint):
        train(**({"output": output} | data | paths))


def test_a_folder_without_labels_is_refused(output, tmp_path):
    with pytest.raises(CommandError, match="neither a labels"):
        train(output, data=tmp_path)
