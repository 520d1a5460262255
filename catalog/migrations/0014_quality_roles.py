from django.db import migrations

from accounts.roles import MERCHANDISER, STAFF, grants

QUALITY = ["catalog.view_picturequality"]


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0013_quality_and_saved_views"),
    ]

    operations = [
        migrations.RunPython(grants(MERCHANDISER, QUALITY), migrations.RunPython.noop),
        migrations.RunPython(grants(STAFF, QUALITY), migrations.RunPython.noop),
    ]
