"""`manage.py demo`: a shop to try, with its web server and worker, on this machine alone."""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from argparse import ArgumentParser
from typing import Any
from urllib.error import URLError

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from accounts import roles
from catalog.models import OriginalImage, Product
from similarity.processes import Child, Stopped

HOST = "127.0.0.1"  # never on the network: its sign-ins are known to all
PASSWORD = "demo"  # noqa: S105  (it is meant to be known)
PEOPLE: dict[str, dict[str, Any]] = {
    "shopper": {},
    "merchandiser": {"groups": [roles.MERCHANDISER], "is_staff": True},
    "staff": {"groups": [roles.STAFF], "is_staff": True},
    "admin": {"is_staff": True, "is_superuser": True},
}
FIRST = 60
"""Products that are drawn before anybody is let in; the others follow while it is used."""
START_SECONDS = 120.0
QUIET = {"LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING")}  # the greeting stays in view
GRACE_SECONDS = 25.0


class Command(BaseCommand):
    help = (
        "Set up a demonstration shop and serve it on this machine, web server and worker "
        "together, until Ctrl-C or SIGTERM. What is there is kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--items", type=int, default=300, help="products to draw (default 300)")

    def handle(self, *_: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        self._add_people()
        drawn = Product.objects.filter(
            reference__startswith="DEMO-", images__status=OriginalImage.Status.READY
        )
        there, first = drawn.distinct().count(), min(FIRST, options["items"])
        if there < first:
            call_command("seed_demo", items=first)
            there = first
        call_command("rebuild_index", if_needed=True)
        further = options["items"] if there < options["items"] else 0
        self._serve(f"{HOST}:{options['port']}", further)

    def _add_people(self) -> None:
        for name, details in PEOPLE.items():
            attributes = {key: value for key, value in details.items() if key != "groups"}
            user, is_new = get_user_model().objects.get_or_create(
                username=name, defaults=attributes
            )
            if is_new:
                user.set_password(PASSWORD)
                user.save()
                user.groups.set(Group.objects.filter(name__in=details.get("groups", [])))

    def _serve(self, address: str, further: int) -> None:
        """Serve until it is stopped; draw up to so many products meanwhile, if any are lacking.

        A start that lacks none draws none: what people have changed of them stays.
        """
        stopped = Stopped()
        children = [
            Child(
                [
                    *(sys.executable, "-m", "gunicorn", "fashionsim.wsgi", "--bind", address),
                    *("--workers", "2", "--threads", "4", "--log-level", "warning"),
                ]
            ),
            Child([sys.executable, sys.argv[0], "worker"], QUIET),
        ]
        artist = Child([sys.executable, sys.argv[0], "seed_demo", "--items", str(further)], QUIET)
        for child in (*children, artist) if further else children:
            child.start()
        try:
            self._await_answer(f"http://{address}/api/v1/health/ready", children[0], stopped)
            self._welcome(address)
            while not stopped.wait(0.5):
                if not all(child.is_alive for child in children):
                    raise CommandError("The web server or the worker has ended by itself.")
        finally:
            self.stdout.write("Stopping ...")
            for child in (artist, *children):
                child.stop(GRACE_SECONDS)

    def _await_answer(self, url: str, web: Child, stopped: Stopped) -> None:
        deadline = time.monotonic() + START_SECONDS
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is right here
        while time.monotonic() < deadline and web.is_alive:
            try:
                with opener.open(url, timeout=2):
                    return
            except (URLError, OSError):
                if stopped.wait(0.2):
                    return
        raise CommandError(f"The web server does not answer at {url}. Is the port taken?")

    def _welcome(self, address: str) -> None:
        people = "".join(f"  {name:<14}{PASSWORD}\n" for name in PEOPLE)
        self.stdout.write(
            f"\nFashionSim is at http://{address}/ (admin: /admin/, API: /api/docs/)\n\n"
            f"Sign-ins (name and password):\n{people}\nCtrl-C stops it.",
        )
        self.stdout.flush()
