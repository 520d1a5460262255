"""Fetching by URL: what comes back, and above all where it does not go."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest

from similarity.engine.errors import FetchRefused
from similarity.engine.fetch import WEB_PORTS, fetch, is_public

LOOPBACK = ip_address("127.0.0.1")
PICTURE = bytes(range(256)) * 8

Answer = Callable[[BaseHTTPRequestHandler], None]


def sending(body: bytes, status: int = 200, **headers: str) -> Answer:
    """An answer with that body; a header's underscore stands for a hyphen."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def dripping(data: bytes) -> Answer:
    """An answer of raw bytes, one every 50 ms, without end."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(data)
        for _ in range(200):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    return answer


class Shop(ThreadingHTTPServer):
    """A web server on loopback; `answers` says what it sends, `seen` holds what it was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Answer] = {"/": sending(PICTURE)}
        self.seen: list[Any] = []

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.server_port}{path}"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.append(SimpleNamespace(path=self.path, headers=self.headers))
        self.server.answers[self.path](self)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Names:
    """A resolver: each host has a list of answers, the last of which stays."""

    def __init__(self, **hosts: list[list[str]]) -> None:
        self.hosts = {name.replace("_", "."): answers for name, answers in hosts.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, _port: int) -> list[str]:
        self.asked.append(host)
        answers = self.hosts.get(host, [[host]])
        return answers.pop(0) if len(answers) > 1 else answers[0]


def from_loopback(url: str, **options: Any) -> bytes:
    """`fetch`, which may go to 127.0.0.1 and to any port."""
    defaults = {"max_bytes": 10_000, "seconds": 5.0, "ports": range(1, 65536)}
    return fetch(url, **defaults | {"allow": lambda address: address == LOOPBACK} | options)


def refusal(call: Callable[..., bytes], *args: Any, **options: Any) -> str:
    with pytest.raises(FetchRefused) as caught:
        call(*args, **options)
    return caught.value.code


# --- What comes back ---


def test_the_body_comes_back_as_it_was_sent(shop: Shop) -> None:
    assert from_loopback(shop.url()) == PICTURE


def test_the_path_and_query_are_asked_for_and_the_fragment_is_not(shop: Shop) -> None:
    shop.answers["/a%20b.jpg?size=2"] = sending(PICTURE)
    assert from_loopback(shop.url("/a b.jpg?size=2#top")) == PICTURE


def test_the_host_header_names_the_host_and_not_the_address(shop: Shop) -> None:
    from_loopback(shop.url(host="shop.example"), resolve=Names(shop_example=[["127.0.0.1"]]))
    assert shop.seen[0].headers["Host"] == f"shop.example:{shop.server_port}"


def test_compression_is_not_asked_for_and_not_undone(shop: Shop) -> None:
    shop.answers["/"] = sending(b"as sent", Content_Encoding="gzip")
    assert from_loopback(shop.url()) == b"as sent"
    assert shop.seen[0].headers["Accept-Encoding"] == "identity"


def test_a_proxy_in_the_environment_is_not_used(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert from_loopback(shop.url()) == PICTURE


def test_a_host_is_reached_by_its_second_address_when_the_first_is_dead(shop: Shop) -> None:
    names = Names(shop_example=[["127.0.0.2", "127.0.0.1"]])
    url = shop.url(host="shop.example")
    assert from_loopback(url, resolve=names, allow=lambda address: address.is_loopback) == PICTURE


# --- Where it does not go ---


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0177.0.0.1",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "%31%32%37.0.0.1",
        "localhost",
        "0.0.0.0",  # noqa: S104
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[fc00::1]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
    ],
)
def test_a_host_that_is_not_public_is_refused_however_it_is_written(host: str) -> None:
    assert refusal(fetch, f"http://{host}/", max_bytes=10) == "address_not_allowed"


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


def test_an_address_mapped_into_ipv6_is_as_public_as_what_it_maps() -> None:
    assert is_public(ip_address("::ffff:8.8.8.8"))
    assert is_public(ip_address("2002:808:808::"))
    assert not is_public(ip_address("::ffff:10.0.0.1"))


@pytest.mark.parametrize("address", ["192.0.0.8", "192.88.99.1", "3fff::1", "2001:db8::1"])
def test_addresses_kept_for_special_purposes_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    names = Names(shop_example=[["8.8.8.8", "10.0.0.1"]])
    code = refusal(fetch, "http://shop.example/", max_bytes=10, resolve=names)
    assert code == "address_not_allowed"


def test_the_refusal_does_not_tell_the_private_address() -> None:
    names = Names(intranet_example=[["10.20.30.40"]])
    with pytest.raises(FetchRefused, match=r"intranet\.example") as caught:
        fetch("http://intranet.example/", max_bytes=10, resolve=names)
    assert "10.20" not in str(caught.value)


def test_a_name_that_changes_its_address_after_the_check_gains_nothing(shop: Shop) -> None:
    names = Names(shop_example=[["127.0.0.1"], ["10.0.0.1"]])
    assert from_loopback(shop.url(host="shop.example"), resolve=names) == PICTURE
    assert names.asked == ["shop.example"]


def test_a_name_that_changes_its_address_before_a_redirect_is_checked_again(shop: Shop) -> None:
    shop.answers["/"] = sending(b"", 302, Location="/next")
    names = Names(shop_example=[["127.0.0.1"], ["10.0.0.1"]])
    code = refusal(from_loopback, shop.url(host="shop.example"), resolve=names)
    assert code == "address_not_allowed"
    assert [request.path for request in shop.seen] == ["/"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example/a.jpg",
        "//shop.example/a.jpg",
        "http://",
        "http:///a.jpg",
        "file:///etc/passwd",
        "gopher://shop.example/",
        "ftp://shop.example/a.jpg",
        "javascript:alert(1)",
        "http://user:secret@shop.example/",
        "http://user@shop.example/",
        "http://shop.example:99999/",
        "http://[::1/",
        "http://a b/",
        "http://shop.example\r\nX-Header: 1/",
    ],
)
def test_what_is_not_a_plain_web_address_is_refused_unresolved(url: str) -> None:
    names = Names()
    assert refusal(fetch, url, max_bytes=10, resolve=names) == "bad_url"
    assert names.asked == []


@pytest.mark.parametrize("port", [0, 22, 6379, 8080])
def test_a_port_that_is_not_the_web_s_is_refused(port: int) -> None:
    assert port not in WEB_PORTS
    url = f"http://shop.example:{port}/"
    assert refusal(fetch, url, max_bytes=10, resolve=Names()) == "bad_url"


# --- Redirects ---


def test_three_redirects_are_followed(shop: Shop) -> None:
    for step, status in enumerate((301, 302, 307)):
        shop.answers[f"/{step}"] = sending(b"", status, Location=f"{step + 1}")
    shop.answers["/3"] = sending(PICTURE)
    assert from_loopback(shop.url("/0")) == PICTURE


def test_a_redirect_loop_ends(shop: Shop) -> None:
    shop.answers["/"] = sending(b"", 302, Location="/")
    assert refusal(from_loopback, shop.url()) == "too_many_redirects"
    assert len(shop.seen) == 4


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("http://10.0.0.1/", "address_not_allowed"),
        ("//169.254.169.254/latest/meta-data", "address_not_allowed"),
        ("http://[::1]/", "address_not_allowed"),
        ("file:///etc/passwd", "bad_url"),
        ("http://user:secret@127.0.0.1/", "bad_url"),
        ("http://[", "fetch_failed"),
    ],
)
def test_a_redirect_leads_no_further_than_a_first_address(
    shop: Shop, location: str, code: str
) -> None:
    shop.answers["/"] = sending(b"", 302, Location=location)
    assert refusal(from_loopback, shop.url()) == code


def test_a_redirect_to_nowhere_is_refused(shop: Shop) -> None:
    shop.answers["/"] = sending(b"", 302)
    assert refusal(from_loopback, shop.url()) == "fetch_failed"


# --- Answers that are no picture ---


@pytest.mark.parametrize("status", [204, 206, 304, 403, 404, 500])
def test_any_answer_but_200_is_refused(shop: Shop, status: int) -> None:
    shop.answers["/"] = sending(b"", status)
    assert refusal(from_loopback, shop.url()) == "fetch_failed"


def test_a_body_of_just_the_limit_is_taken(shop: Shop) -> None:
    assert from_loopback(shop.url(), max_bytes=len(PICTURE)) == PICTURE


def test_an_oversized_body_is_refused_without_a_content_length(shop: Shop) -> None:
    code = refusal(from_loopback, shop.url(), max_bytes=len(PICTURE) - 1)
    assert code == "fetch_too_large"


def test_an_oversized_body_is_refused_by_its_content_length_alone(shop: Shop) -> None:
    shop.answers["/"] = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 10001\r\n\r\n")
    started = time.monotonic()
    assert refusal(from_loopback, shop.url()) == "fetch_too_large"
    assert time.monotonic() - started < 8  # it drips for 10 s


def test_an_oversized_chunked_body_is_refused(shop: Shop) -> None:
    chunk = b"1000\r\n" + bytes(0x1000) + b"\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    shop.answers["/"] = dripping(head + chunk * 4)
    assert refusal(from_loopback, shop.url()) == "fetch_too_large"


def test_a_content_length_that_is_too_small_hides_the_rest(shop: Shop) -> None:
    shop.answers["/"] = sending(PICTURE, Content_Length="10")
    assert from_loopback(shop.url(), max_bytes=10) == PICTURE[:10]


@pytest.mark.parametrize(
    "answer",
    [
        sending(PICTURE, Content_Length=str(len(PICTURE) + 1)),
        sending(b"1000\r\nnot so many", Transfer_Encoding="chunked"),
        sending(b"what?\r\n", Transfer_Encoding="chunked"),
        sending(PICTURE, Content_Length="10, 20"),
        lambda handler: handler.wfile.write(b"not HTTP at all\r\n\r\n"),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000),
        lambda _handler: None,
    ],
)
def test_an_answer_that_breaks_off_or_is_not_http_is_refused(shop: Shop, answer: Answer) -> None:
    shop.answers["/"] = answer
    assert refusal(from_loopback, shop.url()) == "fetch_failed"


def test_nobody_listening_is_refused(shop: Shop) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert refusal(from_loopback, f"http://127.0.0.1:{port}/") == "fetch_failed"


@pytest.mark.parametrize("problem", [socket.gaierror("no such host"), UnicodeError("too long")])
def test_a_host_that_cannot_be_resolved_is_refused(problem: Exception) -> None:
    def resolve(_host: str, _port: int) -> list[str]:
        raise problem

    code = refusal(fetch, "http://shop.example/", max_bytes=10, resolve=resolve)
    assert code == "fetch_failed"


def test_a_host_without_addresses_is_refused() -> None:
    names = Names(shop_example=[[]])
    assert refusal(fetch, "http://shop.example/", max_bytes=10, resolve=names) == "fetch_failed"


# --- Time ---


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n",
    ],
    ids=["status line", "header", "body", "body of known length", "chunk"],
)
def test_a_server_that_drips_is_cut_off(shop: Shop, start: bytes) -> None:
    shop.answers["/"] = dripping(start)
    started = time.monotonic()
    assert refusal(from_loopback, shop.url(), seconds=0.4) == "fetch_timed_out"
    assert time.monotonic() - started < 8  # it drips for 10 s


def test_a_server_that_says_nothing_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert refusal(from_loopback, url, seconds=0.2) == "fetch_timed_out"


def test_a_server_that_drips_its_handshake_is_cut_off() -> None:
    def drip(server: socket.socket) -> None:
        client, _ = server.accept()
        with client, suppress(OSError):
            client.sendall(b"\x16\x03\x03\x40\x00")  # a TLS record of 16 KiB begins
            for _ in range(200):
                client.sendall(b"\0")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=drip, args=[server], daemon=True).start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}/"
        started = time.monotonic()
        assert refusal(from_loopback, url, seconds=0.4) == "fetch_timed_out"
        assert time.monotonic() - started < 8  # it drips for 10 s


def test_redirects_share_one_deadline(shop: Shop) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.2)
        sending(b"", 302, Location="/")(handler)

    shop.answers["/"] = answer
    assert refusal(from_loopback, shop.url(), seconds=0.5) == "fetch_timed_out"


def test_a_slow_resolver_is_not_waited_for() -> None:
    may_answer = Event()

    def resolve(_host: str, _port: int) -> list[str]:
        may_answer.wait(60)
        return ["8.8.8.8"]

    started = time.monotonic()
    code = refusal(fetch, "http://shop.example/", max_bytes=10, seconds=0.1, resolve=resolve)
    seconds = time.monotonic() - started
    may_answer.set()
    assert code == "fetch_timed_out"
    assert seconds < 30


# --- TLS ---


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate for shop.example, signed by itself, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is not installed")
    path = tmp_path / "shop.pem"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    name = ["-subj", "/CN=shop.example", "-addext", "subjectAltName=DNS:shop.example"]
    command = [
        "openssl",
        "req",
        "-x509",
        *key,
        *name,
        "-keyout",
        path,
        "-out",
        path.with_suffix(""),
    ]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_suffix("").read_bytes())
    return path


@pytest.fixture
def secure_shop(shop: Shop, certificate: Path) -> Shop:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: shop.seen.append(name)
    shop.socket = context.wrap_socket(shop.socket, server_side=True)
    return shop


def from_secure(shop: Shop, host: str = "shop.example") -> bytes:
    names = Names(shop_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    return from_loopback(shop.url(host=host, scheme="https"), resolve=names)


def test_a_certificate_is_checked_for_the_host_s_name(
    secure_shop: Shop, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert from_secure(secure_shop) == PICTURE
    assert secure_shop.seen[0] == "shop.example"


def test_a_certificate_for_another_host_is_refused(
    secure_shop: Shop, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert refusal(from_secure, secure_shop, host="other.example") == "fetch_failed"


def test_a_certificate_that_nobody_vouches_for_is_refused(secure_shop: Shop) -> None:
    assert refusal(from_secure, secure_shop) == "fetch_failed"
