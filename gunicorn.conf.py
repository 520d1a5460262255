"""What gunicorn does for this site; it reads the file by itself when it is started beside it."""

from typing import Any


def post_worker_init(worker: Any) -> None:
    """Load the models in each web process: after its fork, and without making anybody wait."""
    from fashionsim.warming import warm_up_in_background  # noqa: PLC0415  (Django is set up by now)

    warm_up_in_background()
