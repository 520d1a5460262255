"""The day before the month, as in Britain and most of the world, and hours up to 24."""

from django.conf.locale.en_GB.formats import *  # type: ignore[import-untyped]  # noqa: F403

DATETIME_FORMAT = "j M Y, H:i"
