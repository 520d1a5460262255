"""Searches by more than a picture: words, what is to be left out, and examples.

Where the embedder has a text side, words are vectors as pictures are, and all wishes add up to one
vector (`engine.mixing.moved`). Without one, words are looked up in what the catalogue says of its
products (`catalog.word_index`), and that ranking is merged with the vector's (`mixing.fused`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from catalog import word_index, words
from catalog.facets import Scope
from catalog.models import Product, Segment, SegmentColour, findable
from similarity import rules
from similarity.engine import TextEmbedder, Vectors
from similarity.engine.mixing import fused, moved
from similarity.errors import NotDescribed
from similarity.indexing import Entry, Neighbour, entries_of
from similarity.models import Embedder, Embedding
from similarity.rules import NO_RULES, Among, Ruling, arranged, nearest, products_of

DEPTH = 200
"""How far down two rankings are merged: twice as far as can be asked for. It depends on nothing
that is asked, so a longer list begins as a shorter one does."""

LOOKED_AT = 500
"""Products found by words that are looked at for a garment to show, before the database is."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a search asks for, beside a photo or a garment."""

    text: str = ""
    without: str = ""
    like: Sequence[Segment] = ()
    unlike: Sequence[Segment] = ()

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Wish:
        """The wish of a run's options; examples that have gone since are passed over."""
        like, unlike = options.get("like") or [], options.get("unlike") or []
        rows = Segment.objects.filter(identifier__in=[*like, *unlike]).select_related("image")
        known = {row.identifier: row for row in rows} if like or unlike else {}
        return cls(
            text=options.get("text") or "",
            without=options.get("without") or "",
            like=[known[name] for name in like if name in known],
            unlike=[known[name] for name in unlike if name in known],
        )

    @property
    def options(self) -> dict[str, Any]:
        """The wish as a run's options keep it."""
        return {
            "text": self.text,
            "without": self.without,
            "like": [segment.identifier for segment in self.like],
            "unlike": [segment.identifier for segment in self.unlike],
        }

    @property
    def has_words(self) -> bool:
        return bool(self.text or self.without)


def scope(
    filters: Mapping[str, Any], wish: Wish, garment: Segment | None, *, has_seed: bool, reads: bool
) -> Scope:
    """What a search for a wish can show, for counting it.

    `has_seed` says whether there is a photo or garment, `reads` whether the embedder has a text
    side: see `find`, which leaves out what this does.
    """
    whole = rules.scope(filters, garment, [*wish.like, *wish.unlike])
    if wish.without:
        whole = replace(whole, without=tuple(words.asked(wish.without)))
    if wish.text and not (reads or has_seed or wish.like):
        found_by = word_index.looked_up(words.asked(wish.text))
        whole = replace(whole, text=tuple(found_by), pictures=False)
    return whole


def find(
    embedder: Embedder,
    wish: Wish,
    *,
    seed: Vectors | None,
    texts: TextEmbedder | None,
    limit: int,
    among: Among,
    ruling: Ruling,
) -> list[Neighbour]:
    """What fits a wish, and the vector of a photo or garment if there is one, best first.

    `texts` is the embedder's text side, if it has one; `ruling` is what the shop's rules say.
    Examples are left out of what is found, as are products whose fields have a word of `without`.
    Raises NotDescribed if there is nothing to search with, or the embedder has not seen an example.
    """
    among = replace(among, own={*among.own, *entries_of([*wish.like, *wish.unlike])})
    if wish.without:
        among = replace(among, without=word_index.having(words.asked(wish.without)))
    wanted = [] if seed is None else [seed]
    vector = moved(
        [*wanted, *_described(wish.text, texts)],
        like=_vectors(wish.like, embedder),
        unlike=_vectors(wish.unlike, embedder),
        without=_described(wish.without, texts),
    )
    if wish.text and texts is None:
        rest = among.but({*ruling.pinned, *ruling.blocked})
        found = _by_words(wish.text, rest)
        if wanted or wish.like:
            found = _merged(embedder, vector, found, rest)
        elif vector is not None:
            found = _reordered(embedder, vector, found, rest)
        towards = vector if wanted or wish.like else None
        found = arranged(found, _pinned(embedder, towards, among, ruling), ruling)
    else:
        found = _nearest(embedder, vector, limit, among, ruling)
    return _with_matches(found[:limit], wish.text)


def _pinned(
    embedder: Embedder, vector: Vectors | None, among: Among, ruling: Ruling
) -> list[Neighbour]:
    """The garments of pinned products that may be found, measured if there is a vector."""
    if not ruling.pinned:
        return []
    if vector is not None:
        return _nearest(embedder, vector, len(ruling.pinned), among.only(ruling.pinned))
    kept = Product.objects.filter(pk__in=ruling.pinned)
    if (passing := among.passing) is not None:
        kept = kept.filter(pk__in=passing)
    if among.without is not None:
        kept = kept.exclude(pk__in=among.without)
    keys = list(kept.values_list("pk", flat=True))
    return _shown(keys, _garments(among), _own_products(among))


def _described(text: str, texts: TextEmbedder | None) -> list[Vectors]:
    """The vector of a text; none where there is no text, or nothing that could describe it."""
    return list(texts.embed_texts([text])) if text and texts is not None else []


def _vectors(segments: Sequence[Segment], embedder: Embedder) -> list[Vectors]:
    """The vectors of garments. Raises NotDescribed if the embedder has not seen one of them."""
    rows = Embedding.objects.filter(embedder=embedder, segment__in=segments) if segments else []
    vectors = {row.segment_id: row.vector for row in rows}
    if lacking := [str(segment) for segment in segments if segment.pk not in vectors]:
        raise NotDescribed(
            format_lazy(
                _("Not described yet: {garments}. Try again in a moment."),
                garments=", ".join(lacking),
            )
        )
    return [vectors[segment.pk] for segment in segments]


def _nearest(
    embedder: Embedder,
    vector: Vectors | None,
    limit: int,
    among: Among,
    ruling: Ruling = NO_RULES,
) -> list[Neighbour]:
    if vector is None:
        raise NotDescribed(_("Nothing is left of what was to be searched with."))
    return nearest(embedder, vector.reshape(1, -1), limit=limit, among=among, ruling=ruling)


def _by_words(text: str, among: Among) -> list[Neighbour]:
    """The garments of the products that the words of a text are about, best first: DEPTH at most.

    Each product is shown by the best garment of its first picture, of those that may be found.
    """
    ranked = word_index.ranked(words.asked(text))
    if (passing := among.passing) is not None:
        ranked = ranked.filter(product__in=passing)
    if among.without is not None:
        ranked = ranked.exclude(product__in=among.without)
    garments, own = _garments(among), _own_products(among)
    first = list(ranked[:LOOKED_AT])
    found = _shown(first, garments, own)
    if len(found) < DEPTH and len(first) == LOOKED_AT:
        # Many have no garment to show: they are passed over in the database, which takes longer.
        shown = ranked.filter(product__in=garments.order_by().values("image__product"))
        found = _shown(list(shown[: DEPTH + len(own)]), garments, own)
    return found[:DEPTH]


def _garments(among: Among) -> QuerySet[Segment]:
    """The garments that a product may be shown by, the best of its first picture first."""
    garments = Segment.objects.filter(findable())
    garments = garments.order_by("image__position", "image_id", "number")
    if among.colours is not None:
        garments = garments.filter(pk__in=among.colours.values("segment"))
    return garments


def _own_products(among: Among) -> set[int]:
    return {key for kind, key in among.own if kind == "product"}


def _shown(
    products: Sequence[int], garments: QuerySet[Segment], own: Collection[int]
) -> list[Neighbour]:
    """The first garment of each product, in the products' order; `own` are left out."""
    wanted = [product for product in products if product not in own]
    rows = garments.filter(image__product__in=wanted)
    first: dict[int | None, int] = {}
    for product, segment in rows.values_list("image__product", "pk"):
        first.setdefault(product, segment)
    return [Neighbour(first[product], None) for product in wanted if product in first]


def _merged(
    embedder: Embedder, vector: Vectors | None, by_words: Sequence[Neighbour], among: Among
) -> list[Neighbour]:
    """What is nearest and what words have found, by reciprocal rank; all of it is measured."""
    nearest = _nearest(embedder, vector, DEPTH, among)
    measured = _measured(embedder, vector, by_words, among.colours)
    entry = _entries([*nearest, *measured, *by_words])
    shown = {entry[item]: item for item in (*by_words, *measured, *nearest)}
    order = fused([entry[item] for item in nearest], [entry[item] for item in by_words])
    return [shown[key] for key in order]


def _reordered(
    embedder: Embedder, away: Vectors, by_words: Sequence[Neighbour], among: Among
) -> list[Neighbour]:
    """What words have found, and among it what lies farther away from examples sooner."""
    measured = _measured(embedder, away, by_words, among.colours)
    entry = _entries([*by_words, *measured])
    shown = {entry[item]: item for item in by_words}
    order = fused([entry[item] for item in by_words], [entry[item] for item in measured])
    return [shown[key] for key in order]


def _measured(
    embedder: Embedder,
    vector: Vectors | None,
    found: Sequence[Neighbour],
    colours: QuerySet[SegmentColour] | None,
) -> list[Neighbour]:
    """The products of what was found by words, by their nearest garments."""
    products = Product.objects.filter(images__segments__in=[item.segment_id for item in found])
    among = Among(products=products.order_by().distinct(), colours=colours)
    return _nearest(embedder, vector, DEPTH, among) if found else []


def _entries(found: Sequence[Neighbour]) -> dict[Neighbour, Entry]:
    """What each result stands for: its product, or itself where it belongs to none."""
    products = products_of(found)
    return {
        item: ("garment", item.segment_id) if product is None else ("product", product)
        for item in found
        for product in [products[item.segment_id]]
    }


def _with_matches(found: Sequence[Neighbour], text: str) -> list[Neighbour]:
    """What was found, with the words of the text that each product's fields have."""
    if not text or not found:
        return list(found)
    asked, products = words.asked(text), products_of(found)
    have = word_index.words_of({key for key in products.values() if key is not None}, asked)

    def matched(item: Neighbour) -> tuple[str, ...]:
        own = have.get(products.get(item.segment_id) or 0, ())
        return tuple(dict.fromkeys(asked[word] for word in asked if word in own))

    return [replace(item, matched=matched(item)) for item in found]
