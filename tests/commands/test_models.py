"""`manage.py models`: list, fetch, import and verify."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from similarity.engine import published
from similarity.engine.published import CATALOGUE, File, Weights
from similarity.engine.registry import BACKENDS
from similarity.engine.weights import SHIPPED
from tests.engine import tiny_models
from tests.weights_server import serving

DATA = b"weights" * 10_000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def models_dir(settings, tmp_path, monkeypatch):
    """An empty folder of models, for the settings and for the backends' options."""
    folder = tmp_path / "models"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    settings.MODELS_DIR = folder
    settings.MODELS_MIRROR = []
    settings.BACKEND_OPTIONS = {
        name: options | ({"models_dir": folder} if "models_dir" in options else {})
        for name, options in settings.BACKEND_OPTIONS.items()
    }
    return folder


@pytest.fixture
def server():
    with serving() as server:
        server.files = {"/a/one.bin": DATA, "/a/two.json": b"{}"}
        yield server


@pytest.fixture
def toy(server, monkeypatch):
    """A model of the catalogue whose publisher is the server: one file pinned, one not."""
    weights = Weights(
        name="toy",
        kind="embedder",
        backend="resnet50",
        files=(
            File("toy/one.bin", 0.07, f"{server.url}/a/one.bin", SHA256),
            File("toy/two.json", 0.01, f"{server.url}/a/two.json"),
        ),
        licence="MIT",
        purpose="a toy",
    )
    monkeypatch.setitem(CATALOGUE, "toy", weights)
    return weights


TWO = f"two.json={hashlib.sha256(b'{}').hexdigest()}"


def said(capsys, *arguments, **options) -> str:
    call_command("models", *arguments, no_color=True, **options)
    return capsys.readouterr().out


# --- The catalogue --------------------------------------------------------------------------


def test_every_backend_that_has_weights_has_an_entry():
    without = {"whole_image", "colour"}
    for kind in ("detector", "embedder"):
        entries = {weights.backend for weights in CATALOGUE.values() if weights.kind == kind}
        assert entries == BACKENDS[kind].keys() - without


def test_what_is_fetched_comes_by_https_with_a_hash_that_may_be_one():
    for weights in CATALOGUE.values():
        for file in weights.files:
            assert not file.url or file.url.startswith("https://")
            assert file.sha256 is None or (file.url and len(bytes.fromhex(file.sha256)) == 32)
            assert ".." not in file.path
            assert not Path(file.path).is_absolute()


def test_a_hash_agrees_with_the_part_of_it_in_pytorchs_file_names():
    for weights in CATALOGUE.values():
        for file in weights.files:
            if file.url.startswith(published._PYTORCH):
                assert file.sha256.startswith(Path(file.name).stem.rpartition("-")[2])


# --- list -----------------------------------------------------------------------------------


def test_the_list_says_of_each_model_what_it_is_and_where(capsys, models_dir):
    models_dir.mkdir()
    (models_dir / "resnet50-11ad3fa6.pth").touch()
    (models_dir / "bert-base-uncased").mkdir()
    (models_dir / "bert-base-uncased" / "vocab.txt").touch()
    (models_dir / "own.safetensors").touch()
    out = said(capsys, "list")
    for weights in CATALOGUE.values():
        assert f"{weights.name} ({weights.backend})" in out
        assert f"{weights.licence}, {weights.megabytes:,.0f} MB; {weights.purpose}" in out
    assert f"compact_embedder (compact): installed in {SHIPPED}" in out
    assert f"resnet50 (resnet50): installed in {models_dir}" in out
    assert "vit_b_16 (vit_b_16): not installed" in out
    assert "groundingdino (groundingdino): lacks groundingdino_swint_ogc.pth, config.json" in out
    assert out.endswith("Not of the catalogue\n  own.safetensors\n")


# --- fetch ----------------------------------------------------------------------------------


def test_a_model_is_fetched_and_then_it_is_there(toy, models_dir, capsys):
    out = said(capsys, "fetch", "toy", "--sha256", TWO)
    assert (models_dir / "toy" / "one.bin").read_bytes() == DATA
    assert (models_dir / "toy" / "two.json").read_bytes() == b"{}"
    assert str(models_dir / "toy" / "one.bin") in out
    assert "toy is there already" in said(capsys, "fetch", "toy")
    assert "toy (resnet50): installed" in said(capsys, "list")


def test_a_file_that_is_not_pinned_needs_a_hash_before_anything_is_fetched(toy, server):
    with pytest.raises(CommandError, match=r"--sha256 two.json="):
        call_command("models", "fetch", "toy")
    assert server.asked == []


def test_a_wrong_hash_is_refused(toy, models_dir):
    with pytest.raises(CommandError, match="SHA-256"):
        call_command("models", "fetch", "toy", "--sha256", f"two.json={'0' * 64}")
    assert not (models_dir / "toy" / "two.json").exists()


@pytest.mark.parametrize("text", ["two.json", "two.json=12", "=" + "0" * 64])
def test_what_is_no_hash_is_refused(toy, text):
    with pytest.raises(CommandError, match="FILE=HEX"):
        call_command("models", "fetch", "toy", "--sha256", text)


def test_mirrors_are_asked_first_by_the_path_that_files_have_here(toy, server, settings):
    with serving() as mirror:
        mirror.files = {"/pub/toy/one.bin": DATA}
        settings.MODELS_MIRROR = [f"{mirror.url}/pub/"]
        call_command("models", "fetch", "toy", "--sha256", TWO)
        assert [path for path, _ in mirror.asked] == ["/pub/toy/one.bin", "/pub/toy/two.json"]
    assert [path for path, _ in server.asked] == ["/a/two.json"]


def test_what_went_wrong_with_each_source_is_said(toy, server, settings):
    server.files.clear()
    settings.MODELS_MIRROR = ["http://127.0.0.1:1"]
    with pytest.raises(CommandError, match=r"127.0.0.1:1/toy/one.bin broke off.*status 404"):
        call_command("models", "fetch", "toy", "--sha256", TWO)


def test_an_unknown_model_and_one_that_nobody_publishes_are_refused():
    with pytest.raises(CommandError, match=r"Known: .*resnet50"):
        call_command("models", "fetch", "nothing")
    with pytest.raises(CommandError, match="make triplet"):
        call_command("models", "fetch", "triplet")


# --- import ---------------------------------------------------------------------------------


@pytest.mark.ml
def test_weights_are_imported_once_they_are_known_to_serve(tmp_path, models_dir, capsys):
    pytest.importorskip("torch")
    tiny_models.write_triplet(tmp_path)
    own = (tmp_path / "triplet.safetensors").rename(tmp_path / "epoch-7.safetensors")
    out = said(capsys, "import", own, "--name", "triplet")
    assert str(models_dir / "triplet.safetensors") in out
    assert (models_dir / "triplet.safetensors").read_bytes() == own.read_bytes()
    assert [path.name for path in models_dir.iterdir()] == ["triplet.safetensors"]
    assert "triplet: loads" in said(capsys, "verify")


@pytest.mark.ml
def test_a_folder_of_a_model_s_files_is_imported_as_one(tmp_path, models_dir, capsys):
    pytest.importorskip("open_clip")
    source = tiny_models.write_open_clip(tmp_path, "our-clip")
    (source / "notes").mkdir()
    out = said(capsys, "import", source)
    assert out.count("Installed: ") == len([path for path in source.iterdir() if path.is_file()])
    assert (models_dir / "our-clip" / "open_clip_model.safetensors").is_file()
    assert not (models_dir / "our-clip" / "notes").exists()
    assert "our-clip: loads as a model of open_clip" in said(capsys, "verify")


@pytest.mark.ml
def test_a_folder_that_does_not_load_is_not_imported(tmp_path, models_dir):
    pytest.importorskip("open_clip")
    source = tiny_models.write_open_clip(tmp_path, "our-clip")
    _of_another_model(source / "open_clip_model.safetensors")
    with pytest.raises(CommandError, match="does not fit"):
        call_command("models", "import", source)
    (tmp_path / "empty").mkdir()
    for more, complaint in (((), "say with --name"), (("--name", "groundingdino"), "has none of")):
        with pytest.raises(CommandError, match=complaint):
            call_command("models", "import", tmp_path / "empty", *more)
    assert not models_dir.exists() or list(models_dir.iterdir()) == []


@pytest.mark.ml
def test_weights_of_nobodys_name_are_imported_under_their_own(tmp_path, models_dir):
    torch = pytest.importorskip("torch")
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "own.pth")
    call_command("models", "import", tmp_path / "own.pth")
    assert (models_dir / "own.pth").is_file()


def _pickled(path):
    torch = pytest.importorskip("torch")
    torch.save({"model": CATALOGUE["resnet50"]}, path)


def _cut_off(path):
    path.write_bytes((SHIPPED / "compact_embedder.safetensors").read_bytes()[:1000])


def _of_another_model(path):
    shutil.copy(SHIPPED / "compact_detector.safetensors", path)


@pytest.mark.ml
@pytest.mark.parametrize(
    ("spoil", "name", "complaint"),
    [
        (_pickled, "own.pth", "cannot be read"),
        (_cut_off, "own.safetensors", "cannot be read"),
        (_of_another_model, "triplet.safetensors", "does not fit"),
        (_of_another_model, "compact_embedder.safetensors", "does not fit"),
        (_of_another_model, "resnet50-11ad3fa6.pth", "not the published file"),
        (_of_another_model, "weights.txt", "is none of"),
    ],
)
def test_what_does_not_load_is_not_imported(tmp_path, models_dir, spoil, name, complaint):
    pytest.importorskip("torch")
    spoil(tmp_path / name)
    with pytest.raises(CommandError, match=complaint) as refused:
        call_command("models", "import", tmp_path / name)
    assert str(models_dir) not in str(refused.value), "it names the file that was given"
    assert not models_dir.exists() or list(models_dir.iterdir()) == []


@pytest.mark.ml
def test_an_import_that_fails_leaves_what_was_there(tmp_path, models_dir):
    pytest.importorskip("torch")
    models_dir.mkdir()
    shutil.copy(SHIPPED / "compact_embedder.safetensors", models_dir)
    before = (models_dir / "compact_embedder.safetensors").read_bytes()
    _of_another_model(tmp_path / "compact_embedder.safetensors")
    with pytest.raises(CommandError, match="does not fit"):
        call_command("models", "import", tmp_path / "compact_embedder.safetensors")
    assert (models_dir / "compact_embedder.safetensors").read_bytes() == before


def test_a_file_that_is_not_there_or_of_no_model_is_refused(tmp_path):
    with pytest.raises(CommandError, match="There is no file"):
        call_command("models", "import", tmp_path / "nothing.pth")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(CommandError, match="is none of them"):
        call_command("models", "import", tmp_path / "notes.txt", "--name", "groundingdino")


def test_a_configuration_of_any_model_is_not_taken_for_that_of_one(tmp_path):
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(CommandError, match="is none of"):
        call_command("models", "import", tmp_path / "open_clip_config.json")


# --- verify ---------------------------------------------------------------------------------


@pytest.mark.ml
def test_all_that_is_installed_is_hashed_and_loaded(models_dir, capsys):
    torch = pytest.importorskip("torch")
    models_dir.mkdir()
    tiny_models.write_mobilenet_v2(models_dir)
    torch.save({"layer.weight": torch.zeros(2)}, models_dir / "own.pth")
    lines = said(capsys, "verify").splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "ok   compact_detector",
        "ok   compact_embedder",
        "ok   mobilenet_v2",
        "ok   own.pth",
    ]
    assert "holds 1 tensors" in lines[-1]


@pytest.mark.ml
def test_what_is_damaged_is_named_and_the_exit_code_tells(models_dir, capsys):
    pytest.importorskip("torch")
    models_dir.mkdir()
    (models_dir / "resnet50-11ad3fa6.pth").write_bytes(b"half of it")
    _cut_off(models_dir / "compact_embedder.safetensors")
    (models_dir / "own.safetensors").write_bytes(b"nothing")
    with pytest.raises(SystemExit) as ended:
        call_command("models", "verify", no_color=True)
    assert ended.value.code == 1
    verdicts = {line[5:].partition(":")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert verdicts["compact_detector"].startswith("ok")
    assert "not the published file" in verdicts["resnet50"]
    assert "cannot be read" in verdicts["compact_embedder"]
    assert verdicts["own.safetensors"].startswith("MEND")


@pytest.mark.ml
def test_any_model_of_open_clip_in_a_folder_of_its_own_is_loaded(models_dir, capsys):
    pytest.importorskip("torch")
    tiny_models.write_open_clip(models_dir, "my-clip")
    assert "my-clip: loads as a model of open_clip" in said(capsys, "verify")
