from django.apps import AppConfig


class FashionSimConfig(AppConfig):
    name = "fashionsim"
    verbose_name = "FashionSim"
