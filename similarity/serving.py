"""Which embedder answers searches, and which others are kept filled.

Both are facts of the database, which all processes of all machines share: each looks there before
it searches, so that a switch holds for all of them at once. Until the first one `EMBEDDER` serves.
"""

from __future__ import annotations

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from catalog.models import Segment
from similarity import backends
from similarity.engine import Embedder as Backend
from similarity.engine.errors import EngineError, MissingWeights, UnknownBackend
from similarity.errors import ModelNotReady
from similarity.models import Embedder, Embedding, Switch
from similarity.prepared import Prepared

LATEST = Prepared(lambda: Switch.objects.order_by("-pk").values_list("embedder__name")[:1])


def serving_name() -> str:
    """The name of the embedder that answers searches."""
    rows = LATEST()
    return str(rows[0][0]) if rows else settings.EMBEDDER


def serving_embedder() -> Embedder:
    """The row of the embedder that answers searches, with the weights that it has now.

    Raises MissingWeights if it has none.
    """
    return installed(serving_name())


def is_light() -> bool:
    """Whether the embedder that answers searches is quick enough for a web request."""
    return backends.embedder(serving_name()).light


def installed(name: str) -> Embedder:
    """The row of an embedder with the weights that it has now, made if it is new.

    Raises UnknownBackend, MissingWeights.
    """
    backend = backends.embedder(name)
    known = (name, backend.fingerprint)
    if known not in _rows:
        _rows[known], _ = Embedder.objects.get_or_create(
            name=name, fingerprint=backend.fingerprint, defaults={"dim": backend.dim}
        )
    return _rows[known]


_rows: dict[tuple[str, str], Embedder] = {}
"""Of their columns, only those that never change are to be read."""


def forget() -> None:
    """Drop what this process holds in memory (tests start afresh)."""
    _rows.clear()


def backend_of(embedder: Embedder) -> Backend:
    """What describes garments as that row's vectors were.

    Raises UnknownBackend, and MissingWeights if its weights are not there, or others are.
    """
    backend = backends.embedder(embedder.name)
    if backend.fingerprint != embedder.fingerprint:
        raise MissingWeights(
            f"The weights of {embedder} are not there: others have been put in their place."
        )
    return backend


def backend() -> Backend:
    """What describes garments as those are that answer searches. Raises MissingWeights."""
    return backend_of(serving_embedder())


def chosen(name: str | None) -> Embedder:
    """The embedder to search with: the one asked for, or else the serving one.

    Raises ModelNotReady, and what `serving_embedder` does.
    """
    serving = serving_embedder()
    if name is None or name == serving.name:
        return serving
    ready = Embedder.objects.filter(name=name, is_filled=True)
    for embedder in ready.order_by("-pk"):
        try:
            backend_of(embedder)
        except EngineError:
            continue
        return embedder
    sentence = _("There is no embedder “{name}” here that has described the whole catalogue.")
    raise ModelNotReady(format_lazy(sentence, name=name))


# --- Keeping others filled --------------------------------------------------------------------


def describing() -> list[Embedder]:
    """Those that are to describe new garments: the serving one first, then what is kept filled."""
    serving = serving_embedder()
    return [serving, *Embedder.objects.filter(is_kept=True).exclude(pk=serving.pk).order_by("pk")]


def lock() -> None:
    """Hold all embedders' rows until the transaction ends.

    So whoever writes vectors knows which embedders there are to be vectors of; and keys of
    vectors are given in the order of commits (see `indexing.Tail`).
    """
    list(Embedder.objects.select_for_update().order_by("pk"))


def lacking(embedder: Embedder) -> QuerySet[Segment]:
    """The garments that an embedder has not described."""
    own = Embedding.objects.filter(segment=OuterRef("pk"), embedder=embedder)
    return Segment.objects.filter(~Exists(own))


def described(embedder: Embedder) -> int:
    """How many garments an embedder has described."""
    return Embedding.objects.filter(embedder=embedder).count()


def are_all_light() -> bool:
    """Whether everything that describes new garments is quick."""
    return all(_is_light(embedder) for embedder in describing())


def _is_light(embedder: Embedder) -> bool:
    try:
        return backends.embedder(embedder.name).light
    except UnknownBackend:  # no longer installed: it describes nothing
        return True
