from django.db import migrations

from accounts.roles import MERCHANDISER, STAFF, grants

FORMER = ["catalog.view_formerreference", "catalog.delete_formerreference"]


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0015_former_references"),
    ]

    operations = [
        migrations.RunPython(grants(MERCHANDISER, FORMER), migrations.RunPython.noop),
        migrations.RunPython(grants(STAFF, FORMER), migrations.RunPython.noop),
    ]
