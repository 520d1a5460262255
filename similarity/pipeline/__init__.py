"""What a worker carries out: a claimed run, step by step, with a checkpoint before each.

At a checkpoint the run reports how far it is, and learns that it was cancelled or taken away.
All that a run writes, it writes in one transaction at its end; so stopping one leaves nothing
to undo but a new image that nobody is to see.
"""

from similarity.pipeline.runs import (
    beating,
    checkpoint,
    claim,
    discard,
    fail,
    finish,
    guarded,
    stored,
)
from similarity.pipeline.searches import among, answer, answer_with_categories, segment_vector
from similarity.pipeline.uploads import (
    add_embeddings,
    describe_all,
    measure,
    name_colours,
    note_look,
)
from similarity.pipeline.work import carry_out, execute

__all__ = [
    "add_embeddings",
    "among",
    "answer",
    "answer_with_categories",
    "beating",
    "carry_out",
    "checkpoint",
    "claim",
    "describe_all",
    "discard",
    "execute",
    "fail",
    "finish",
    "guarded",
    "measure",
    "name_colours",
    "note_look",
    "segment_vector",
    "stored",
]
