from django.db import migrations

from accounts.roles import MERCHANDISER, STAFF, grants

CATALOGUE = [
    f"catalog.{action}_{model}"
    for model in ("category", "tag", "size", "product", "originalimage")
    for action in ("view", "add", "change", "delete")
] + ["catalog.view_segment"]


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0001_initial"),
        ("accounts", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.RunPython(grants(MERCHANDISER, CATALOGUE), migrations.RunPython.noop),
        migrations.RunPython(grants(STAFF, CATALOGUE), migrations.RunPython.noop),
    ]
