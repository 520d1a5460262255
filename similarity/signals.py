"""What others may want to know of, who stand above this app."""

from django.dispatch import Signal

run_ended = Signal()
"""A worker has done with a run. Gives `pk`."""

imported = Signal()
"""A command has taken many pictures in. Gives `counts`: how many were added, known, rejected."""

swept = Signal()
"""The worker looks after what was lost or has expired, every few seconds."""

working = Signal()
"""Whether workers are at anything besides runs is asked. A receiver answers with True or False."""

exported = Signal()
"""Somebody takes away all that is kept about them. Gives `person`; a receiver answers with the name
of a file and its rows."""
