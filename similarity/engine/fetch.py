"""Fetch a picture from an address that a stranger gave, or send a message to one, without being
led into our own network.

The classic attack is a URL that names, resolves to, or redirects to a machine that only we can
reach (server-side request forgery). So on every hop the host is resolved once, every address it
has must be public, and the connection goes to one of exactly those addresses.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from time import monotonic
from urllib.parse import urljoin

from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from similarity.engine.errors import FetchRefused, gettext_noop

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], list[str]]

MAX_REDIRECTS = 3

WEB_PORTS = frozenset({80, 443})
"""Pictures for the public are served there; a server's other ports, though its address is public,
are often meant for its neighbours alone, and its neighbour may be us."""

ANY_PORT = range(1, 2**16)


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could reach that unicast address.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, NAT64) is as public as that.
    """
    if isinstance(address, IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def system_resolver(host: str, port: int) -> list[str]:
    """The host's addresses as the operating system finds them."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(answer[4][0]) for answer in answers]


def fetch(
    url: str,
    *,
    max_bytes: int,
    seconds: float = 10.0,
    resolve: Resolver = system_resolver,
    allow: Callable[[Address], bool] = is_public,
    ports: Collection[int] = WEB_PORTS,
) -> bytes:
    """The body that an http or https URL answers with, at most `max_bytes`.

    Everything together, redirects and name look-ups included, takes at most `seconds`. Proxies
    named in the environment are not used. Raises FetchRefused: `bad_url`, `address_not_allowed`,
    `too_many_redirects`, `fetch_failed`, `fetch_too_large` or `fetch_timed_out`.
    """
    deadline = _Deadline(seconds)
    for _ in range(MAX_REDIRECTS + 1):
        target = _target(url, ports)
        addresses = _addresses(target, resolve, allow, deadline)
        with _answer(target, addresses, deadline) as response:
            if response.status not in _REDIRECTS:
                return _body(response, max_bytes, deadline)
            url = urljoin(target.url, _location(response))
    sentence = gettext_noop("The address redirects more than {most} times.")
    raise FetchRefused("too_many_redirects", sentence, most=MAX_REDIRECTS)


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    seconds: float = 10.0,
    resolve: Resolver = system_resolver,
    allow: Callable[[Address], bool] = is_public,
    ports: Collection[int] = WEB_PORTS,
) -> int:
    """Send a body to an http or https URL; the status of the answer, which is not read any further.

    Redirects are not followed: 3xx is a status like any other. Everything together takes at most
    `seconds`. Raises FetchRefused as `fetch` does.
    """
    deadline = _Deadline(seconds)
    target = _target(url, ports)
    addresses = _addresses(target, resolve, allow, deadline)
    request = _Request("POST", {"User-Agent": "FashionSim", **headers}, body)
    with _answer(target, addresses, deadline, request) as response:
        return int(response.status)


# --- Where to ------------------------------------------------------------------------------------

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052

# What `is_global` of Python 3.11 takes for public: IETF protocol assignments (RFC 6890), 6to4
# relays (RFC 7526), documentation (RFC 9637).
_SPECIAL = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to this one end up at, if that can be told from it."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL taken apart, once for all."""

    url: str
    secure: bool
    host: str
    """Without the brackets of an IPv6 address."""
    port: int
    netloc: str
    path: str


def _target(url: str, ports: Collection[int]) -> _Target:
    try:
        parts = parse_url(url.strip())
    except ValueError as error:
        raise FetchRefused("bad_url", gettext_noop("The address is not a valid URL.")) from error
    if parts.scheme not in {"http", "https"} or not parts.host or not parts.netloc:
        sentence = gettext_noop(
            "The address must be a whole URL that begins with http:// or https://."
        )
        raise FetchRefused("bad_url", sentence)
    if parts.auth is not None:
        sentence = gettext_noop("The address must not hold a user name or a password.")
        raise FetchRefused("bad_url", sentence)
    secure = parts.scheme == "https"
    port = (443 if secure else 80) if parts.port is None else parts.port
    if port not in ports:
        sentence = gettext_noop("Port {port} is not the public web's.")
        raise FetchRefused("bad_url", sentence, port=str(port))
    return _Target(parts.url, secure, parts.host.strip("[]"), port, parts.netloc, parts.request_uri)


def _addresses(
    target: _Target, resolve: Resolver, allow: Callable[[Address], bool], deadline: _Deadline
) -> list[str]:
    """The host's addresses, all of which are allowed; resolved here and nowhere else."""
    found = list(dict.fromkeys(_resolved(target, resolve, deadline)))
    if not all(allow(ip_address(address)) for address in found):
        sentence = gettext_noop("{host} is not a public address on the internet.")
        raise FetchRefused("address_not_allowed", sentence, host=target.host)
    return found


def _resolved(target: _Target, resolve: Resolver, deadline: _Deadline) -> list[str]:
    """In a thread of its own, since the system's resolver keeps to no deadline."""
    executor = ThreadPoolExecutor(max_workers=1)
    try:
        answer = executor.submit(resolve, target.host, target.port)
        return answer.result(timeout=deadline.left())
    except (OSError, UnicodeError) as error:
        deadline.left()
        sentence = gettext_noop("There is no host {host}.")
        raise FetchRefused("fetch_failed", sentence, host=target.host) from error
    finally:
        executor.shutdown(wait=False)


# --- Until when ----------------------------------------------------------------------------------


class _Deadline:
    """The moment by which everything has to be done."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Seconds left, more than 0; raises FetchRefused once there are none."""
        left = self._end - monotonic()
        if left <= 0:
            sentence = gettext_noop("The address did not answer in full within {seconds} seconds.")
            raise FetchRefused("fetch_timed_out", sentence, seconds=f"{self._seconds:g}")
        return left


@contextmanager
def _cut_off(connection: HTTPConnection, deadline: _Deadline) -> Iterator[None]:
    """Hang up when the time is over.

    A socket's own timeout starts afresh with every byte, so a server that drips could hold us for
    ever, in the middle of a header as well as in the body.
    """
    timer = threading.Timer(deadline.left(), _hang_up, [connection.sock])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _hang_up(sock: socket.socket) -> None:
    with suppress(OSError):  # it may be closed already
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


# --- One request and its answer ------------------------------------------------------------------

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_CHUNK = 64 * 1024

_HEADERS = {
    "Accept": "image/*",
    "Accept-Encoding": "identity",  # the limit is on bytes received: nothing is inflated here
    "User-Agent": "FashionSim",
}


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked, wherever it goes."""

    method: str
    headers: Mapping[str, str]
    body: bytes | None = None


_GET = _Request("GET", _HEADERS)


@contextmanager
def _answer(
    target: _Target, addresses: list[str], deadline: _Deadline, request: _Request = _GET
) -> Iterator[BaseHTTPResponse]:
    """The answer to one request, its body not read yet; whatever goes wrong is FetchRefused."""
    try:
        connection = _connected(target, addresses, deadline)
        with closing(connection), _cut_off(connection, deadline):
            connection.request(
                request.method,
                target.path,
                body=request.body,
                headers={"Host": target.netloc, **request.headers},
                preload_content=False,
                decode_content=False,
            )
            with connection.getresponse() as response:
                yield response
    except (HTTPError, HTTPException, OSError, ValueError) as error:
        deadline.left()
        sentence = gettext_noop("{host} could not be reached, or its answer broke off.")
        raise FetchRefused("fetch_failed", sentence, host=target.host) from error


def _connected(target: _Target, addresses: list[str], deadline: _Deadline) -> HTTPConnection:
    """A connection to the first address that takes one; each has its share of the time left."""
    for tries in range(len(addresses), 0, -1):
        connection = _connection(target, addresses[-tries], deadline.left() / tries)
        try:
            connection.connect()
        except (HTTPError, OSError):
            connection.close()
        else:
            connection.timeout = deadline.left()
            return connection
    raise OSError("No address takes a connection.")


def _connection(target: _Target, address: str, timeout: float) -> HTTPConnection:
    """To the address, though a certificate must be the host's; urllib3 verifies it by default."""
    if target.secure:
        return HTTPSConnection(address, target.port, timeout=timeout, server_hostname=target.host)
    return HTTPConnection(address, target.port, timeout=timeout)


def _location(response: BaseHTTPResponse) -> str:
    location = response.headers.get("Location")
    if location is None:
        raise FetchRefused("fetch_failed", gettext_noop("The address redirects to nowhere."))
    return location


def _body(response: BaseHTTPResponse, max_bytes: int, deadline: _Deadline) -> bytes:
    if response.status != HTTPStatus.OK:
        sentence = gettext_noop("The address answers with status {status}.")
        raise FetchRefused("fetch_failed", sentence, status=response.status)
    body = bytearray()
    announced = response.length_remaining or 0
    while max(announced, len(body)) <= max_bytes:
        chunk = response.read1(_CHUNK)
        deadline.left()  # a connection that was cut off looks like one that has ended
        if not chunk:
            return bytes(body)
        body += chunk
    sentence = gettext_noop("The address holds more than {most} bytes, the most that is taken.")
    raise FetchRefused("fetch_too_large", sentence, most=max_bytes)
