"""Products' words are written whenever what they are made of is saved, by whatever road.

A bulk change that sends no signals (`QuerySet.update`) is followed by `word_index.refresh`, or by
`manage.py index_words`.
"""

from __future__ import annotations

from typing import Any

from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save

from catalog import word_index
from catalog.models import Category, OriginalImage, Product, Tag

BEFORE = "products_before"
"""The attribute in which a row keeps which products were its own, until it is saved or gone."""


def connect() -> None:
    """Listen; called once, when the app is ready."""
    post_save.connect(product_saved, Product)
    m2m_changed.connect(tags_changed, Product.tags.through)
    pre_delete.connect(unmark_products, Category)
    for named in (Tag, Category):
        post_save.connect(name_saved, named)
        pre_delete.connect(remember_products, named)
        post_delete.connect(refresh_remembered, named)
    pre_save.connect(remember_product, OriginalImage)
    post_save.connect(image_saved, OriginalImage)
    post_delete.connect(image_deleted, OriginalImage)


def product_saved(instance: Product, **_: Any) -> None:
    word_index.refresh([instance.pk])


def tags_changed(instance: Product | Tag, action: str, pk_set: set[int] | None, **_: Any) -> None:
    """Tags put on a product or taken off it, from either side."""
    if isinstance(instance, Tag) and action == "pre_clear":
        remember_products(instance)
    elif isinstance(instance, Tag) and action == "post_clear":
        refresh_remembered(instance)
    elif action.startswith("post_"):
        word_index.refresh([instance.pk] if isinstance(instance, Product) else pk_set or ())


def name_saved(instance: Tag | Category, created: bool, **_: Any) -> None:
    """A tag or category that may have another name now."""
    if not created:
        word_index.refresh(_products_of(instance))


def remember_products(instance: Tag | Category, **_: Any) -> None:
    """What a tag or category stands for before it goes: nothing tells of it afterwards."""
    setattr(instance, BEFORE, _products_of(instance))


def unmark_products(instance: Category, **_: Any) -> None:
    """A product whose predicted category goes has none, and nothing predicted."""
    instance.products.filter(category_predicted=True).update(category_predicted=False)


def refresh_remembered(instance: Tag | Category, **_: Any) -> None:
    word_index.refresh(getattr(instance, BEFORE))


def _products_of(instance: Tag | Category) -> list[int]:
    return list(instance.products.order_by().values_list("pk", flat=True))


def remember_product(instance: OriginalImage, **_: Any) -> None:
    """Whose picture it was: the product that it leaves loses its colours."""
    was_of = OriginalImage.objects.filter(pk=instance.pk).order_by()
    setattr(instance, BEFORE, list(was_of.values_list("product", flat=True)))


def image_saved(instance: OriginalImage, **_: Any) -> None:
    concerned = {*getattr(instance, BEFORE), instance.product_id}
    if len(concerned) > 1:
        word_index.refresh(concerned)


def image_deleted(instance: OriginalImage, **_: Any) -> None:
    word_index.refresh([instance.product_id])
