"""No library calls a hub: every backend runs where each connection off this machine fails."""

from __future__ import annotations

import json

import pytest

from similarity.engine import BACKENDS
from tests.engine import tiny_models
from tests.engine.conftest import skip_without

KINDS = ("detector", "embedder")

RUN_ALL = """
import ipaddress, json, os, socket, sys

attempts = []

def is_here(host):
    try:
        return host in (None, "", "localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

def guarded(call):
    def guard(first, *rest, **named):
        address = rest[0] if isinstance(first, socket.socket) else first
        host = address[0] if isinstance(address, tuple) else address
        if not is_here(host):
            attempts.append(str(host))
            raise OSError(f"There is no network, and {host} was asked.")
        return call(first, *rest, **named)
    return guard

socket.socket.connect = guarded(socket.socket.connect)
socket.socket.connect_ex = guarded(socket.socket.connect_ex)
socket.getaddrinfo = guarded(socket.getaddrinfo)

from PIL import Image
from similarity.engine import TextEmbedder, load
from similarity.engine.errors import WrongWeights
from tests.engine import tiny_models

every, of_a_hub = map(json.loads, sys.argv[1:])
picture, ran = Image.new("RGB", (90, 120), "tan"), []
for kind, name, options in every:
    if name == "groundingdino":
        tiny_models.register_tiny_dino()
    if name == "vit_b_16":
        tiny_models.register_tiny_vits()
    backend = load(kind, name, **options)
    backend.detect(picture) if kind == "detector" else backend.embed([picture])
    if isinstance(backend, TextEmbedder):
        backend.embed_texts(["dress"])
    ran.append(name)

refused = False
try:
    load("embedder", "open_clip", **of_a_hub).embed([picture])
except WrongWeights:
    refused = True

asked = list(attempts)
try:
    socket.create_connection(("192.0.2.1", 80), 1)
except OSError:
    pass
print(json.dumps({
    "ran": ran, "asked": asked, "refused": refused, "guarded": attempts != asked,
    "offline": [os.environ.get(name) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")],
}))
"""


@pytest.mark.slow
@pytest.mark.ml
def test_every_backend_loads_and_runs_without_a_network(
    options, in_another_process, tmp_path, monkeypatch
):
    for package in ("torch", "groundingdino", "open_clip", "timm"):
        skip_without(package)
    of_a_hub = tmp_path / "of-a-hub"  # its text tower is to be had elsewhere
    of_a_hub.mkdir()
    (of_a_hub / "open_clip_model.safetensors").touch()
    config = {"embed_dim": 32, "vision_cfg": {}, "text_cfg": {"hf_model_name": "roberta-base"}}
    (of_a_hub / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    tiny_models.write_open_clip(tmp_path, "siglip", tiny_models.TINY_SIGLIP)

    every = [(kind, name, options(name)) for kind in KINDS for name in BACKENDS[kind]]
    every.append(("embedder", "open_clip", {"models_dir": tmp_path, "model": "siglip"}))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")  # whatever the machine's owner has set
    done = in_another_process(
        RUN_ALL,
        json.dumps(every, default=str),
        json.dumps({"models_dir": str(tmp_path), "model": "of-a-hub"}),
    )
    assert done["ran"] == [name for _, name, _ in every]
    assert done["guarded"], "a connection off this machine is noticed"
    assert done["asked"] == []
    assert done["refused"], "what would have to be fetched is an error"
    assert done["offline"] == ["1", "1"]
