from django.db import migrations

from accounts.roles import MERCHANDISER, STAFF, grants

EVENTS = ["shop.view_shopperevent"]


class Migration(migrations.Migration):
    dependencies = [
        ("shop", "0003_shopper_events"),
    ]

    operations = [
        migrations.RunPython(grants(MERCHANDISER, EVENTS), migrations.RunPython.noop),
        migrations.RunPython(grants(STAFF, EVENTS), migrations.RunPython.noop),
    ]
