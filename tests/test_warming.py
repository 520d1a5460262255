"""Models are loaded ahead of the first search: in each process that uses them, after its fork."""

from __future__ import annotations

import json
import os
import runpy
import socket
import subprocess
from pathlib import Path

import pytest
import urllib3

from tests.pictures import photo
from tests.scratch import Shop, eventually, parent

pytestmark = [pytest.mark.slow, pytest.mark.ml]

OK, CREATED = 200, 201


@pytest.fixture
def shop(open_shop) -> Shop:
    return open_shop(DETECTOR="compact", EMBEDDER="compact", WORKERS=1)


@pytest.fixture
def port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def started(shop: Shop, port: int, *options: str) -> subprocess.Popen[str]:
    """The web server, as the README has it."""
    server = shop.start_program(
        *("-m", "gunicorn", "fashionsim.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "4"),
        *options,
    )
    eventually(lambda: answer(port, "live") is not None or server.poll() is not None)
    return server


def answer(port: int, health: str) -> dict[str, object] | None:
    """What the web server says of its health; None if it does not answer."""
    try:
        response = urllib3.request(
            "GET", f"http://127.0.0.1:{port}/api/v1/health/{health}", retries=False, timeout=30
        )
    except urllib3.exceptions.HTTPError:
        return None
    assert response.status == OK, response.data
    return json.loads(response.data)


def has_torch(pid: int) -> bool:
    """Whether a process has torch's library in its memory."""
    try:
        return "libtorch_cpu" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:  # it has ended
        return False


def with_torch(shop: Shop) -> list[int]:
    return [pid for pid in shop.processes() if has_torch(pid)]


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["usual", "preload"])
def test_a_web_process_loads_its_models_by_itself_and_its_parent_none(shop, port, options):
    server = started(shop, port, *options)
    eventually(lambda: answer(port, "ready") == {"status": "ok", "warm": True})
    [worker] = with_torch(shop)
    assert parent(worker) == server.pid
    response = urllib3.request(
        "POST",
        f"http://127.0.0.1:{port}/api/v1/searches/",
        fields={"image": ("a.jpg", photo("red"), "image/jpeg")},
        timeout=120,
    )
    assert response.status in {OK, CREATED}, response.data
    server.terminate()
    assert server.wait(180) == 0
    assert "Traceback" not in shop.log


def test_a_web_server_that_is_stopped_while_it_warms_up_ends_in_order(shop, port):
    server = started(shop, port)
    server.terminate()
    assert server.wait(180) == 0
    eventually(lambda: not shop.processes())
    assert "Traceback" not in shop.log


def test_a_worker_loads_its_models_after_the_fork_and_no_parent_of_it_does(shop):
    worker = shop.start("worker")
    eventually(lambda: with_torch(shop))
    [loaded] = with_torch(shop)
    above = parent(loaded)
    while above != worker.pid:
        assert not has_torch(above)
        above = parent(above)
    assert not has_torch(worker.pid)
    shop.upload(photo("red"))
    eventually(lambda: [run["state"] for run in shop.runs()] == ["done"])


def test_a_web_process_scans_in_the_thread_that_searches(monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.environ", dict(os.environ))
    runpy.run_path(str(Path(__file__).parents[1] / "gunicorn.conf.py"))
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
