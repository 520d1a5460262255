from django.apps import AppConfig


class FashionSimConfig(AppConfig):
    name = "fashionsim"
    verbose_name = "FashionSim"

    def ready(self) -> None:
        from fashionsim import audit

        audit.connect()
