from django.db import migrations

from accounts.roles import STAFF, grants

LOGS = [
    "shop.view_import",
    "shop.view_importedpicture",
    "shop.view_delivery",
    "shop.change_delivery",
    "auditlog.view_logentry",
]


class Migration(migrations.Migration):
    dependencies = [
        ("shop", "0001_initial"),
        ("similarity", "0007_pictures_by_address"),
        ("auditlog", "0017_add_actor_email"),
    ]

    operations = [
        migrations.RunPython(grants(STAFF, LOGS), migrations.RunPython.noop),
    ]
