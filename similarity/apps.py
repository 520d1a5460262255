from django.apps import AppConfig


class SimilarityConfig(AppConfig):
    name = "similarity"
    verbose_name = "Similarity"

    def ready(self) -> None:
        from django_q.signals import post_spawn

        from similarity import checks  # noqa: F401  (registers them)
        from similarity.tasks import warm_up

        post_spawn.connect(warm_up, dispatch_uid="similarity.tasks.warm_up")
