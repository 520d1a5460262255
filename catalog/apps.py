from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "catalog"
    verbose_name = "Catalogue"

    def ready(self) -> None:
        from django_cleanup.signals import cleanup_post_delete

        from catalog import signals
        from catalog.pictures import forget

        cleanup_post_delete.connect(forget, dispatch_uid="catalog.pictures.forget")
        signals.connect()
