"""How a picture comes in, by its bytes or by its address: the one way for all that take any."""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.services import Picture
from similarity import backends
from similarity.engine.errors import EngineError, Unacceptable
from similarity.engine.fetch import ANY_PORT, WEB_PORTS, fetch, is_public
from similarity.engine.images import check_bytes, encode_jpeg, read_image
from similarity.errors import UrlsOff


def take_in(data: bytes) -> Picture:
    """Let the bytes of a picture through the intake; raises BadImage. Touches no database."""
    image = read_image(data, backends.limits())
    return Picture(hashlib.sha256(data).hexdigest(), encode_jpeg(image), image.width, image.height)


def refuse_size(size: int) -> None:
    """Raises BadImage for the file of a picture that has more bytes than are taken."""
    check_bytes(size, backends.limits())


def told(error: EngineError) -> str:
    """What an error says, in the reader's language; to those who run the shop, in English."""
    if not isinstance(error, Unacceptable):
        return str(error)
    values = {name: _readable(value) for name, value in error.values.items()}
    return gettext(error.sentence).format(**values)


def _readable(value: Any) -> str:
    if isinstance(value, int):
        return number_format(value, force_grouping=True)
    return gettext(value)


def too_many_files() -> str:
    """That more files came at once than are taken, in the reader's language."""
    limit = settings.MAX_UPLOAD_FILES
    sentence = ngettext(
        "Send at most %(files)s file at a time.", "Send at most %(files)s files at a time.", limit
    )
    return sentence % {"files": limit}


def fetch_image(url: str) -> bytes:
    """The bytes behind an address, if the shop allows fetching; raises UrlsOff, FetchRefused."""
    refuse_urls_if_off()
    return fetched(url)


def fetched(url: str) -> bytes:
    """The same for the shop's operator, who needs no leave; raises FetchRefused."""
    return fetch(url, max_bytes=settings.MAX_UPLOAD_BYTES, **reachable())


def refuse_urls_if_off() -> None:
    """Raises UrlsOff unless the shop allows fetching."""
    if not settings.ALLOW_IMAGE_URLS:
        raise UrlsOff(_("Fetching images by their address is switched off here. Send the image."))


def reachable() -> dict[str, Any]:
    """Where the server may connect to at somebody's wish: the public internet's web servers.

    With ALLOW_LOCAL_ADDRESSES, which is for tests and closed networks, anywhere.
    """
    if settings.ALLOW_LOCAL_ADDRESSES:
        return {"allow": lambda address: True, "ports": ANY_PORT}
    return {"allow": is_public, "ports": WEB_PORTS}
