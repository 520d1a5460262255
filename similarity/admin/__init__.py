"""Uploads, runs and index builds in the admin. What is done here is done by `services`.

Queries are not here: a shopper's photo is nobody else's to look at.
"""

from similarity.admin import builds, golden, lookalikes, quality, rules, runs, uploads
from similarity.admin.operated import Operated

__all__ = ["Operated", "builds", "golden", "lookalikes", "quality", "rules", "runs", "uploads"]
