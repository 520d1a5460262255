from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        from django.conf import settings
        from django.db.models.signals import post_delete

        from accounts import authentication, checks  # noqa: F401  (registers them)
        from accounts.backends import forget_attempts

        post_delete.connect(
            forget_attempts,
            sender=settings.AUTH_USER_MODEL,
            dispatch_uid="accounts.backends.forget_attempts",
        )
