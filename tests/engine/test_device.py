"""The one place that imports torch, and what it makes of the installs that it meets."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from similarity.engine import Box, device
from similarity.engine.device import (
    ANY_UNITS,
    batch_size_on,
    fill,
    greedy_nms,
    pick_device,
    pick_precision,
    prepare_torch,
    read_tensors,
)
from similarity.engine.errors import WrongWeights

pytestmark = pytest.mark.ml
torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def prepared():
    prepare_torch(threads=1)


@pytest.fixture
def linear():
    return torch.nn.Linear(2, 3)


def overlapping_boxes(count: int):
    rng = np.random.default_rng(count)
    corners = rng.uniform(0, 60, (count, 2))
    boxes = np.hstack([corners, corners + rng.uniform(1, 40, (count, 2))])
    return torch.tensor(boxes), torch.tensor(rng.permutation(count) / count)


def obvious_nms(boxes, scores, most_iou: float) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        box = Box(*boxes[i].tolist())
        if all(box.iou(Box(*boxes[j].tolist())) <= most_iou for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("count", [0, 1, 2, 60])
@pytest.mark.parametrize("most_iou", [0.0, 0.3, 0.7, 1.0])
def test_our_nms_and_torchvisions_both_keep_what_the_obvious_one_keeps(count, most_iou):
    from torchvision.ops import nms

    boxes, scores = overlapping_boxes(count)
    expected = obvious_nms(boxes, scores, most_iou)
    assert greedy_nms(boxes, scores, most_iou).tolist() == expected
    assert nms(boxes, scores, most_iou).tolist() == expected


def test_torchvision_works_in_a_fresh_process_by_whichever_thread_comes_first(in_another_process):
    script = """
import json, threading
from similarity.engine.device import prepare_torch
threads = [threading.Thread(target=prepare_torch) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
import torch
from torchvision.ops import batched_nms
boxes = torch.tensor([[0., 0, 9, 9], [0, 0, 9, 8], [0, 0, 9, 9]])
kept = batched_nms(boxes, torch.tensor([.5, .9, .7]), torch.tensor([0, 0, 1]), .5)
print(json.dumps(kept.tolist()))
"""
    assert in_another_process(script) == [1, 2]


@pytest.mark.slow
def test_compiled_operators_win_where_they_load(in_another_process):
    """A torchvision whose import works is stood in for by one that does nothing."""
    script = """
import json, sys, types
import torch
sys.modules["torchvision"] = types.ModuleType("torchvision")
from similarity.engine.device import prepare_torch
prepare_torch()
print(json.dumps(hasattr(torch.ops.torchvision, "nms")))
"""
    assert in_another_process(script) is False


@pytest.mark.slow
def test_another_failure_of_torchvision_is_not_hidden(in_another_process, tmp_path):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('of another kind')")
    script = """
import json, sys
sys.path.insert(0, sys.argv[1])
from similarity.engine.device import prepare_torch
try:
    prepare_torch()
except RuntimeError as error:
    print(json.dumps(str(error)))
"""
    assert in_another_process(script, tmp_path) == "of another kind"


def test_threads_are_set_when_asked_for():
    prepare_torch(threads=2)
    assert torch.get_num_threads() == 2
    prepare_torch()
    assert torch.get_num_threads() == 2


def test_auto_picks_a_device_that_is_there():
    assert torch.zeros(1, device=pick_device("auto")).item() == 0
    assert pick_device("cpu").type == "cpu"


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="'abacus'"):
        pick_device("abacus")


@pytest.mark.parametrize(
    ("flags", "precision", "of_large_products"),
    [
        ("fpu avx2 avx512_bf16 amx_tile amx_bf16", "bfloat16", "bfloat16"),
        ("fpu avx2 avx512_bf16", "float32", "bfloat16"),  # one crop is slower there, not faster
        ("fpu avx2", "float32", "float32"),
        (None, "float32", "float32"),
    ],
)
def test_bfloat16_is_picked_where_the_processor_has_units_for_it(
    tmp_path, monkeypatch, flags, precision, of_large_products
):
    path = tmp_path / "cpuinfo"
    if flags:
        path.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: amx_bf16_never\n\n")
    found = device._processor_flags.__wrapped__(path)
    monkeypatch.setattr(device, "_processor_flags", lambda: found)
    assert pick_precision("auto") == precision
    assert pick_precision("auto", ANY_UNITS) == of_large_products
    assert pick_precision("float32") == "float32"


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="float8"):
        pick_precision("float8")


def test_a_processor_is_given_few_pictures_at_once():
    assert batch_size_on("cpu") == 8


@pytest.mark.parametrize("wrapped", [False, True])
def test_tensors_are_read_from_a_pth_bare_or_as_training_wraps_them(tmp_path, linear, wrapped):
    state = linear.state_dict()
    if wrapped:
        state = {"model": {f"module.{name}": tensor for name, tensor in state.items()}}
    torch.save(state, tmp_path / "w.pth")
    assert torch.equal(read_tensors(tmp_path / "w.pth")["weight"], linear.weight)


def test_tensors_are_read_from_safetensors(tmp_path, linear):
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file(linear.state_dict(), tmp_path / "w.safetensors")
    assert torch.equal(read_tensors(tmp_path / "w.safetensors")["weight"], linear.weight)


class Trap:
    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self):
        return (Path.touch, (self.sprung,))


def test_a_pickled_object_is_refused_and_not_run(tmp_path):
    trap = Trap(tmp_path / "sprung")
    torch.save({"weight": trap}, tmp_path / "zip.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps({"weight": trap}, protocol=2))
    for name in ("zip.pth", "bare.pth"):
        with pytest.raises(WrongWeights, match=name):
            read_tensors(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WrongWeights, match=name):
        read_tensors(tmp_path / name)


def test_a_file_of_something_else_than_tensors_is_refused(tmp_path):
    torch.save({"weight": "heavy"}, tmp_path / "w.pth")
    with pytest.raises(WrongWeights, match="does not hold tensors"):
        read_tensors(tmp_path / "w.pth")


def test_weights_that_do_not_fit_are_refused_and_named(linear):
    tensors = {"weight": torch.zeros(9, 9), "scale": torch.zeros(1)}
    with pytest.raises(WrongWeights) as refusal:
        fill(linear, tensors, Path("w.pth"))
    message = str(refusal.value)
    assert "lacks bias" in message
    assert "adds scale" in message
    assert "misshapes weight" in message


def test_optional_weights_may_be_absent_or_too_many(linear):
    before = linear.bias.clone()
    tensors = {"weight": torch.ones(3, 2), "label.extra": torch.zeros(1)}
    fill(linear, tensors, Path("w.pth"), optional=("bias", "extra"))
    assert torch.equal(linear.weight, torch.ones(3, 2))
    assert torch.equal(linear.bias, before)


def test_shared_weights_need_only_one_of_their_names(linear):
    twice = torch.nn.ModuleList([linear, linear])
    tensors = {"0.weight": torch.ones(3, 2), "1.bias": torch.ones(3)}
    fill(twice, tensors, Path("w.pth"))
    assert torch.equal(twice[1].weight, torch.ones(3, 2))
    assert torch.equal(twice[0].bias, torch.ones(3))
