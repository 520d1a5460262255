"""What can go wrong when something is asked of us; the API turns each into a problem detail."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext_lazy as _


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


class ModelNotReady(Refused):
    """An embedder that is not there, or has not described the whole catalogue."""

    status = 400
    code = "model_not_ready"


class Serving(Refused):
    """The embedder that serves is not to be taken away."""

    code = "serving"


class Incomplete(Refused):
    """An embedder that has not described the whole catalogue is not to serve."""

    code = "incomplete"


class NoSuchSet(Refused):
    """There is no golden set of that name."""

    status = 404
    code = "no_such_set"


class NotMarkable(Refused):
    """Results of this search are not for this person to call right or wrong."""

    status = 403
    code = "not_markable"


class NothingToUndo(Refused):
    """There is no earlier embedder to go back to."""

    code = "nothing_to_undo"


class AlreadyEnded(Refused):
    """A run that has ended cannot be cancelled."""

    code = "already_ended"


class IdTaken(Refused):
    """An id that a client has given is another person's run already, or of another kind."""

    code = "id_taken"

    def __init__(self) -> None:
        super().__init__(_("This id is taken. Give another."))


class BadBox(Refused):
    """A box that lies outside of the picture, or holds nothing."""

    status = 400
    code = "bad_box"


class UrlsOff(Refused):
    """Fetching an image by its address is switched off."""

    status = 403
    code = "image_urls_off"


class OtherProduct(Refused):
    """A picture that is another product's."""

    code = "image_of_other_product"


class Described(Exception):
    """Raised by a step after which nothing is left to do: the picture was described before."""


class Cancelled(Exception):
    """Raised at a checkpoint of a run that somebody has cancelled."""


class LostRun(Exception):
    """Raised at a checkpoint of a run that is no longer this worker's."""
