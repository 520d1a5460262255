from django.db import migrations

from accounts.roles import STAFF, grants

OPERATIONS = [
    "similarity.view_run",
    "similarity.change_run",
    "similarity.view_indexbuild",
    "similarity.change_indexbuild",
    "similarity.rebuild_index",
    "similarity.view_embedder",
]


class Migration(migrations.Migration):
    dependencies = [
        ("similarity", "0001_initial"),
        ("catalog", "0002_roles"),
    ]

    operations = [
        migrations.RunPython(grants(STAFF, OPERATIONS), migrations.RunPython.noop),
    ]
