"""Searches go on while another embedder is filled, takes over, and hands back: over real HTTP."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from tests.pictures import COLOURS, as_base64, photo
from tests.pipeline.backends import HERE
from tests.scratch import REPOSITORY, Shop, eventually

pytestmark = pytest.mark.slow

OTHER = f"{HERE}:ThumbnailEmbedder"
CLIENTS = 8

EXPECTED = """
import json
from catalog.models import Segment
from similarity import services
garment = Segment.objects.get(identifier=sys.argv[1])
found = services.similar(garment, limit=5, model=sys.argv[2])
names = dict(Segment.objects.values_list("pk", "identifier"))
print(json.dumps([[names[item.segment_id], round(item.similarity, 6)] for item in found]))
"""

Answer = tuple[int, str | None, list[list[object]]]
"""Status, the embedder that has answered if that is told, garments with their likeness."""


class Site:
    """The shop's web server, as an operator starts it: two processes with four threads each."""

    def __init__(self, shop: Shop) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        log = (shop.folder / "log").open("a")
        command = ["gunicorn", "fashionsim.wsgi", "--bind", self.address]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command, "--workers", "2", "--threads", "4"],
            cwd=REPOSITORY,
            env=shop.env,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ask(self, path: str, body: object = None) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://{self.address}/api/v1/{path}", data, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                status, answer = response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, None, [[error.read().decode()]]
        hits = [[hit["segment"], round(hit["similarity"], 6)] for hit in answer.get("results", [])]
        return status, answer.get("model"), hits

    def is_up(self) -> bool:
        try:
            return self.ask("health/ready")[0] == 200
        except OSError:
            return False


@pytest.fixture
def shop(open_shop, tmp_path) -> Iterator[Shop]:
    shop = open_shop(THROTTLE_STRANGERS="", THROTTLE_SEARCHES="")
    (folder := tmp_path / "pictures").mkdir()
    for colour in COLOURS:
        (folder / f"{colour}.png").write_bytes(photo(colour))
    assert shop.manage("ingest_folder", folder).returncode == 0
    return shop


def test_eight_clients_see_no_error_and_no_mixture_through_the_whole_change(shop):
    site, is_over = Site(shop), Event()
    eventually(site.is_up)
    [(garment,)] = shop.query("SELECT MIN(identifier) FROM catalog_segment")
    by_photo = {"image": as_base64(photo("red", seed=9)), "limit": 5}
    seen: set[str | None] = set()

    def search(number: int) -> list[Answer]:
        """Half of the clients send photos, half ask for more like a garment."""
        answers = []
        while not is_over.is_set():
            if number % 2:
                answer = site.ask("searches/", by_photo)
                seen.add(answer[1])
            else:
                answer = site.ask(f"segments/{garment}/similar/?limit=5")
            answers.append(answer)
            time.sleep(0.05)  # two cores are for all of them, the commands included
        return answers

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(search, number) for number in range(CLIENTS)]
        try:
            for command in (
                ("embed_catalogue", "--embedder", OTHER),
                ("switch_model", OTHER, "--yes"),
            ):
                done = shop.manage(*command)
                assert done.returncode == 0, done.stderr
            assert site.ask("searches/", by_photo)[1] == OTHER, "at once, without a restart"
            assert shop.manage("switch_model", "--back").returncode == 0
            assert [site.ask("searches/", by_photo)[1] for _ in range(8)] == ["colour"] * 8
        finally:
            is_over.set()
        found = [client.result() for client in clients]
    photos = [answer for client in found[1::2] for answer in client]
    garments = [answer for client in found[::2] for answer in client]
    assert min(map(len, found)) >= 10
    assert {status for status, *_ in photos} == {201}
    assert {status for status, *_ in garments} == {200}
    assert seen == {"colour", OTHER}
    lists = {
        name: json.loads(shop.python(EXPECTED, garment, name).strip()) for name in ("colour", OTHER)
    }
    assert {tuple(map(tuple, hits)) for *_, hits in garments} == {
        tuple(map(tuple, hits)) for hits in lists.values()
    }
    likeness = {
        name: {tuple(map(tuple, hits)) for _, model, hits in photos if model == name}
        for name in ("colour", OTHER)
    }
    assert {name: len(answers) for name, answers in likeness.items()} == {"colour": 1, OTHER: 1}
    assert likeness["colour"].isdisjoint(likeness[OTHER])
    assert "Traceback" not in shop.log
