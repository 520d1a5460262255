"""docs/shop-server.md: its examples do what it says, against a real server and worker."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.loopback import serving
from tests.pictures import COLOURS, encoded, picture
from tests.scratch import INHERITED, REPOSITORY, Shop, eventually, shop_in

pytestmark = pytest.mark.slow

PAGE = (REPOSITORY / "docs" / "shop-server.md").read_text()

MAKE_KEY = """
from accounts.keys import make
from accounts.roles import MERCHANDISER
print(make("Examples", may_search=True, may_edit=True)[1])
"""

MAKE_WEBHOOK = """
from shop.models import Webhook
print(Webhook.objects.create(name="Receiver", url=sys.argv[1]).secret)
"""


def blocks(language: str) -> list[str]:
    """The page's code in a language: the examples, then the receiver of webhooks."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Server:
    shop: Shop
    folder: Path
    env: dict[str, str]

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr + self.shop.log
        return done.stdout

    def receive(self, *command: str) -> tuple[subprocess.Popen[str], Path]:
        """Start a receiver of webhooks of which the shop knows."""
        port = free_port()
        secret = self.shop.python(MAKE_WEBHOOK, f"http://127.0.0.1:{port}/events").strip()
        log = self.folder / f"received-{port}"
        env = self.env | {"PORT": str(port), "WEBHOOK_SECRET": secret}
        with log.open("w") as out:
            process = subprocess.Popen(
                command, cwd=self.folder, env=env, stdout=out, stderr=subprocess.STDOUT, text=True
            )
        eventually(lambda: listens(port))
        return process, log


@pytest.fixture(scope="module")
def server(migrated, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("work"), free_port()
    settings = {"ALLOW_IMAGE_URLS": "true", "ALLOW_LOCAL_ADDRESSES": "true", "WORKERS": 1}
    with serving() as photos, shop_in(tmp_path_factory.mktemp("shop"), **settings) as shop:
        shutil.copy(migrated, shop.folder / "fashionsim.sqlite3")
        for colour in COLOURS:
            data = encoded(picture(colour), "JPEG")
            (folder / f"{colour}.jpg").write_bytes(data)
            photos.show(f"/{colour}.jpg", data)
        shop.start("runserver", "--noreload", f"127.0.0.1:{port}")
        shop.start("worker")
        eventually(lambda: listens(port))
        env = {name: value for name, value in os.environ.items() if name in INHERITED}
        key = shop.python(MAKE_KEY).strip()
        env |= {"SHOP": f"http://127.0.0.1:{port}", "KEY": key, "PHOTOS": photos.url}
        yield Server(shop, folder, env)


def test_the_examples_do_what_the_page_says(server):
    (curl,), (example, receiver) = blocks("bash"), blocks("python")
    process, log = server.receive(sys.executable, "-c", receiver)
    try:
        said = server.run("bash", "-euo", "pipefail", "-c", curl)
        assert '"reference":"D-2"' in said
        products = server.shop.query("SELECT reference FROM catalog_product ORDER BY 1")
        assert products == [("D-1",), ("D-2",)]
        said = server.run(sys.executable, "-c", example)
        assert {line.split()[0] for line in said.splitlines()} == {"D-1", "D-2"}
        eventually(lambda: log.read_text().count("import.finished {'total'") == 3)
    finally:
        process.kill()
        process.wait()


def test_the_examples_in_javascript_do_what_the_page_says(server):
    node = shutil.which("node")
    if node is None:
        pytest.skip("There is no node.")
    example, receiver = blocks("javascript")
    process, log = server.receive(node, "-e", receiver)
    try:
        said = server.run(node, "-e", example).splitlines()
        assert said[:2] == ["J-1 created", "no spaces please rejected"]
        eventually(lambda: "import.failed" in log.read_text())
    finally:
        process.kill()
        process.wait()
