import datetime as dt

from django.conf import settings
from django.db import migrations
from django.utils import timezone


def expire(apps, _schema_editor):
    """Searches that keys have made without a photo are forgotten, too: as if made just now."""
    kept = apps.get_model("similarity", "Run").objects.filter(
        kind="search", query=None, expires_at=None, requested_by__api_key__isnull=False
    )
    kept.update(expires_at=timezone.now() + dt.timedelta(days=settings.QUERY_LIFETIME_DAYS))


class Migration(migrations.Migration):
    dependencies = [
        ("similarity", "0014_pauses_and_search_days"),
        ("accounts", "0003_api_keys"),
    ]

    operations = [migrations.RunPython(expire, migrations.RunPython.noop)]
