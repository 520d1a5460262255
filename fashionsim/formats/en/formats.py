"""The day before the month, as in Britain and most of the world."""

from django.conf.locale.en_GB.formats import *  # type: ignore[import-untyped]  # noqa: F403
