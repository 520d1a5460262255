from django.apps import AppConfig


class SimilarityConfig(AppConfig):
    name = "similarity"
    verbose_name = "Similarity"

    def ready(self) -> None:
        from django.conf import settings
        from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
        from django_q.signals import post_spawn

        from similarity import (
            backends,
            checks,  # noqa: F401  (registers them)
            prototypes,
            upkeep,
        )
        from similarity.tasks import forget_person, warm_up

        pre_delete.connect(
            forget_person,
            sender=settings.AUTH_USER_MODEL,
            dispatch_uid="similarity.tasks.forget_person",
        )
        post_spawn.connect(warm_up, dispatch_uid="similarity.tasks.warm_up")
        pre_save.connect(prototypes.remember_category, sender="catalog.Product")
        post_save.connect(prototypes.product_saved, sender="catalog.Product")
        post_save.connect(prototypes.image_saved, sender="catalog.OriginalImage")
        post_delete.connect(prototypes.category_deleted, sender="catalog.Category")
        for deleted in ("Product", "OriginalImage", "Segment"):
            pre_delete.connect(prototypes.about_to_be_deleted, sender=f"catalog.{deleted}")
        if backends.is_live():  # a receiver has each deleted row read first
            post_delete.connect(
                upkeep.removed,
                sender="similarity.Embedding",
                dispatch_uid="similarity.upkeep.removed",
            )
