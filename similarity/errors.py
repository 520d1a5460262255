"""What can go wrong when something is asked of us; the API turns each into a problem detail."""

from __future__ import annotations

from typing import ClassVar


class Refused(Exception):
    """What was asked cannot be done, for a reason that the asker can act on."""

    status: ClassVar[int] = 409
    code: ClassVar[str] = "refused"


class NotDescribed(Refused):
    """The garment has no vector of the serving embedder yet."""

    code = "not_described"


class NotRepeatable(Refused):
    """A run that is still under way, or done, cannot be run again."""

    code = "not_repeatable"


class OtherEmbedder(Refused):
    """What belongs to another embedder than the serving one."""

    code = "other_embedder"


class AlreadyEnded(Refused):
    """A run that has ended cannot be cancelled."""

    code = "already_ended"


class BadBox(Refused):
    """A box that lies outside of the picture, or holds nothing."""

    status = 400
    code = "bad_box"


class UrlsOff(Refused):
    """Fetching an image by its address is switched off."""

    status = 403
    code = "image_urls_off"


class Cancelled(Exception):
    """Raised at a checkpoint of a run that somebody has cancelled."""


class LostRun(Exception):
    """Raised at a checkpoint of a run that is no longer this worker's."""
