"""What gunicorn does for this site; it reads the file by itself when it is started beside it."""

import os
from typing import Any

# Before anything imports numpy: searches come many at a time, and each is a process's thread
# already. Threads of the matrix product's own wait for cores, busily: on a loaded machine a scan
# of 10,000 vectors took 48 ms with two of them, and 4 ms of the processor's time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def post_worker_init(worker: Any) -> None:
    """Load the models in each web process: after its fork, and without making anybody wait."""
    from fashionsim.warming import warm_up_in_background  # noqa: PLC0415  (Django is set up by now)

    warm_up_in_background()
