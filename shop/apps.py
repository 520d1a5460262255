from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"
    verbose_name = "A shop's server"

    def ready(self) -> None:
        from shop.tasks import (
            events_of,
            imports_of,
            is_at_work,
            pictures_imported,
            run_has_ended,
            sweep,
        )
        from similarity.signals import exported, imported, run_ended, swept, working

        run_ended.connect(run_has_ended, dispatch_uid="shop.tasks.run_has_ended")
        imported.connect(pictures_imported, dispatch_uid="shop.tasks.pictures_imported")
        swept.connect(sweep, dispatch_uid="shop.tasks.sweep")
        working.connect(is_at_work, dispatch_uid="shop.tasks.is_at_work")
        exported.connect(events_of, dispatch_uid="shop.tasks.events_of")
        exported.connect(imports_of, dispatch_uid="shop.tasks.imports_of")
