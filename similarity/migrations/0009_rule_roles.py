from django.db import migrations

from accounts.roles import MERCHANDISER, STAFF, grants

RULES = [f"similarity.{action}_rule" for action in ("view", "add", "change", "delete")]


class Migration(migrations.Migration):
    dependencies = [
        ("similarity", "0008_rules"),
    ]

    operations = [
        migrations.RunPython(grants(MERCHANDISER, RULES), migrations.RunPython.noop),
        migrations.RunPython(grants(STAFF, RULES), migrations.RunPython.noop),
    ]
