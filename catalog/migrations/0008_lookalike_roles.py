from django.db import migrations

from accounts.roles import MERCHANDISER, STAFF, grants

LOOKALIKES = ["catalog.view_lookalike", "catalog.change_lookalike"]


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0007_lookalikes"),
    ]

    operations = [
        migrations.RunPython(grants(MERCHANDISER, LOOKALIKES), migrations.RunPython.noop),
        migrations.RunPython(grants(STAFF, LOOKALIKES), migrations.RunPython.noop),
    ]
