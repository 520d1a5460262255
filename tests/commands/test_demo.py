"""`manage.py demo`, as a process of its own."""

from __future__ import annotations

import base64
import http.cookiejar
import json
import os
import re
import signal
import socket
import subprocess
import urllib.parse
import urllib.request
from urllib.error import HTTPError, URLError

import pytest

from tests.scratch import Shop, command, eventually, parent

pytestmark = pytest.mark.slow

PEOPLE = ("shopper", "merchandiser", "staff", "admin")


@pytest.fixture
def port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def shop(open_shop) -> Shop:
    shop = open_shop(WORKERS=1)
    (shop.folder / "fashionsim.sqlite3").unlink()  # the demonstration makes its own
    return shop


def started(shop: Shop, port: int) -> subprocess.Popen[str]:
    """A demonstration that has said where it is."""
    before = shop.log.count("FashionSim is at")
    demo = shop.start("demo", "--port", port, "--items", 3)
    eventually(
        lambda: shop.log.count("FashionSim is at") > before or demo.poll() is not None, within=300
    )
    assert demo.poll() is None, shop.log
    return demo


def stopped(demo: subprocess.Popen[str], shop: Shop, number: int = signal.SIGTERM) -> None:
    """Stop it, and wait until the last of its processes has ended."""
    demo.send_signal(number)
    eventually(lambda: not shop.processes())
    assert demo.wait(180) == 0, shop.log


def get(port: int, path: str, person: str = "") -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if person:
        credentials = base64.b64encode(f"{person}:demo".encode()).decode()
        request.add_header("Authorization", f"Basic {credentials}")
    with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310  (our own)
        return response.read().decode()


def signed_in(port: int, person: str) -> str:
    """The page that a person gets to see after filling in the form."""
    url = f"http://127.0.0.1:{port}/sign-in/"
    cookies = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    page = browser.open(url, timeout=120).read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    form = {"csrfmiddlewaretoken": token, "username": person, "password": "demo"}
    answer = browser.open(url, urllib.parse.urlencode(form).encode(), timeout=120)
    assert "sessionid" in {cookie.name for cookie in cookies}, person
    return answer.read().decode()


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_demonstration_serves_signs_in_stops_and_keeps_what_it_has(shop, port):
    demo = started(shop, port)
    assert json.loads(get(port, "/api/v1/health/ready"))
    assert "<html" in get(port, "/")
    assert json.loads(get(port, "/api/v1/products/"))["count"] == 3
    for person in PEOPLE:
        assert person in signed_in(port, person)
    with pytest.raises(HTTPError, match="403"):
        get(port, "/api/v1/uploads/", "shopper")
    assert json.loads(get(port, "/api/v1/uploads/", "merchandiser"))["count"] == 0
    for line in (f"http://127.0.0.1:{port}/", *PEOPLE):
        assert line in shop.log
    garments = shop.count("similarity_embedding")
    assert garments > 0

    stopped(demo, shop)
    assert is_free(port)
    assert "Traceback" not in shop.log

    again = started(shop, port)
    assert json.loads(get(port, "/api/v1/products/"))["count"] == 3
    assert shop.count("similarity_embedding") == garments
    assert shop.count("accounts_user") == len(PEOPLE)
    stopped(again, shop, signal.SIGINT)


def test_a_taken_port_is_an_error_and_nothing_is_left_running(shop, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        demo = shop.start("demo", "--port", port, "--items", 1)
        assert demo.wait(300) != 0
    assert f"does not answer at http://127.0.0.1:{port}/" in shop.log
    assert "Is the port taken?" in shop.log
    eventually(lambda: not shop.processes())


@pytest.mark.parametrize("part", ["gunicorn", "manage.py worker"])
def test_when_a_part_of_it_ends_the_rest_ends_too(shop, port, part):
    demo = started(shop, port)
    children = [pid for pid in shop.processes() if parent(pid) == demo.pid]
    [child] = [pid for pid in children if part in command(pid)]
    os.kill(child, signal.SIGKILL)
    assert demo.wait(300) != 0
    eventually(lambda: not shop.processes())  # a cluster finishes what it is at
    with pytest.raises(URLError):
        get(port, "/")
