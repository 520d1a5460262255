from django.db import migrations

from accounts.roles import MERCHANDISER, STAFF, grants

JOBS = ["shop.view_importjob", "shop.add_importjob"]


class Migration(migrations.Migration):
    dependencies = [
        ("shop", "0006_imports_from_files"),
    ]

    operations = [
        migrations.RunPython(grants(MERCHANDISER, JOBS), migrations.RunPython.noop),
        migrations.RunPython(grants(STAFF, JOBS), migrations.RunPython.noop),
    ]
