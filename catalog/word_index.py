"""Which products a text is about: a table from words to products, kept by whatever changes them.

A product's words are weighted by BM25F: a word counts by the fields it stands in, the more often
the more, but less and less; one that few products have says more than one that many have.
Robertson, Zaragoza and Taylor, "Simple BM25 extension to multiple weighted fields", CIKM 2004. The
texts being short, their length is left out (b = 0). Weights are whole numbers, so that every
database adds them up to the same sums, and what is equal is equal everywhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from math import log

from django.db import transaction
from django.db.models import Case, Count, F, QuerySet, Sum, Value, When

from catalog.models import Product, ProductWord, SegmentColour, findable
from catalog.words import listed

NAMED, SORTED, DESCRIBED = 4, 3, 1
"""What a word counts in the name; in brand, category, tags and colours; in the description."""

SATURATION = 2.0
"""BM25's k1: a word that counts so much has half of the weight that it can have."""

WHOLE = 1000
"""The weight that a word comes near to, and one step of a rareness (a natural logarithm)."""

EMPTY = frozenset(
    (
        *("a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is"),
        *("it", "no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there"),
        *("these", "they", "this", "to", "was", "will", "with"),
    )
)
"""Words that say nothing in a description: Lucene's for English. Names may be made of them."""

MOST = 24
"""Of a longer text, so many of the rarest words are asked for."""

BATCH = 500
"""Products whose words are written at a time."""


# --- Looking --------------------------------------------------------------------------------


def ranked(words: Collection[str]) -> QuerySet[ProductWord, int]:
    """Keys of the products that have any of the words, best first, ties by key.

    To be filtered by `product`, and sliced: how rare a word is, is a matter of all products.
    """
    worths = {word: Value(rare) for word, rare in _rareness(words).items()}
    worth = Case(*(When(word=word, then=worth) for word, worth in worths.items()), default=Value(0))
    rows = ProductWord.objects.filter(word__in=worths).order_by()
    scored = rows.values("product").annotate(score=Sum(F("weight") * worth))
    return scored.order_by("-score", "product").values_list("product", flat=True)


def _rareness(words: Collection[str]) -> dict[str, int]:
    """How much each of the words says (BM25's idf); of many words the rarest."""
    counted = (
        ProductWord.objects.filter(word__in=words).values_list("word").annotate(count=Count("pk"))
    )
    found = sorted((count, word) for word, count in counted.order_by())[:MOST]
    total = Product.objects.count() if found else 0
    return {word: rareness(count, total) for count, word in found}


def rareness(count: int, total: int) -> int:
    """BM25's inverse document frequency of a word that `count` of `total` products have."""
    return max(1, round(WHOLE * log(1 + (total - count + 0.5) / (count + 0.5))))


def having(words: Collection[str]) -> QuerySet[ProductWord, int]:
    """Keys of the products that have any of the words, as a subquery."""
    return ProductWord.objects.filter(word__in=words).order_by().values_list("product", flat=True)


def looked_up(words: Collection[str]) -> list[str]:
    """Those of the words by which `ranked` finds products."""
    return list(_rareness(words))


def words_of(products: Collection[int], words: Collection[str]) -> dict[int, set[str]]:
    """Those of the words that each of the products has."""
    rows = ProductWord.objects.filter(product__in=products, word__in=words)
    found: dict[int, set[str]] = defaultdict(set)
    for product, word in rows.values_list("product", "word"):
        found[product].add(word)
    return found


# --- Keeping --------------------------------------------------------------------------------

_later: ContextVar[set[int] | None] = ContextVar("_later", default=None)


@contextmanager
def once() -> Iterator[None]:
    """Write the words of what changes inside of it at its end, once."""
    if _later.get() is not None:
        yield
        return
    changed: set[int] = set()
    token = _later.set(changed)
    try:
        yield
    finally:
        _later.reset(token)
    refresh(changed)


def refresh(products: Iterable[int | None]) -> None:
    """Write the words of products anew, after something about them has changed.

    Within the caller's transaction, if there is one: a product and its words change together.
    """
    keys = sorted({key for key in products if key is not None})
    if (waiting := _later.get()) is not None:
        waiting.update(keys)
        return
    for batch in _batches(keys):
        _write(batch)


def rebuild(on_progress: Callable[[int], object] = lambda _: None) -> int:
    """Write the words of all products anew; calls back with the number of each batch."""
    done = 0
    for batch in _batches(list(Product.objects.order_by("pk").values_list("pk", flat=True))):
        _write(batch)
        done += len(batch)
        on_progress(len(batch))
    return done


def _batches(keys: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(keys)
    while batch := list(islice(rest, BATCH)):
        yield batch


@transaction.atomic
def _write(keys: Sequence[int]) -> None:
    """Make the rows of these products what they ought to be; those that are so already stay."""
    # Whoever changes a product meanwhile takes turns, and no two write the same words.
    locked = Product.objects.select_for_update().filter(pk__in=keys).order_by("pk")
    due = {
        (product, word): weight
        for product, counts in _counts(list(locked.values_list("pk", flat=True))).items()
        for word, weight in _weights(counts).items()
    }
    rows = ProductWord.objects.filter(product__in=keys)
    wrong = []
    for pk, product, word, weight in rows.values_list("pk", "product", "word", "weight"):
        if due.get((product, word)) == weight:
            del due[product, word]
        else:
            wrong.append(pk)
    ProductWord.objects.filter(pk__in=wrong).delete()
    new = (
        ProductWord(product_id=pk, word=word, weight=weight) for (pk, word), weight in due.items()
    )
    ProductWord.objects.bulk_create(new, batch_size=1000)


def _weights(counts: Mapping[str, int]) -> dict[str, int]:
    """The weight of each word that counts so much."""
    return {word: round(WHOLE * count / (count + SATURATION)) for word, count in counts.items()}


def _counts(products: Sequence[int]) -> dict[int, Counter[str]]:
    """What each word counts in the fields of each product."""
    counts: dict[int, Counter[str]] = {pk: Counter() for pk in products}
    for pk, text, worth in _texts(products):
        for word in listed(text):
            if worth != DESCRIBED or word not in EMPTY:
                counts[pk][word] += worth
    return counts


def _texts(products: Sequence[int]) -> Iterator[tuple[int, str, int]]:
    """Everything that is said of the products, with what its words count."""
    rows = Product.objects.filter(pk__in=products).order_by()
    fields = rows.values_list("pk", "name", "brand", "category__name", "description")
    for pk, name, brand, category, description in fields:
        yield pk, name, NAMED
        yield pk, brand, SORTED
        yield pk, category or "", SORTED
        yield pk, description, DESCRIBED
    tags = Product.tags.through.objects.filter(product__in=products)
    for pk, tag in tags.values_list("product", "tag__name"):
        yield pk, tag, SORTED
    prominent = SegmentColour.objects.prominent(SegmentColour.Name.values)
    colours = prominent.filter(findable("segment__"), segment__image__product__in=products)
    colours = colours.order_by()
    for pk, colour in colours.values_list("segment__image__product", "colour").distinct():
        yield pk, colour, SORTED
