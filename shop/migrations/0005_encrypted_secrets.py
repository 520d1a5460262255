from django.db import migrations

import shop.fields
import shop.models


def encrypt(apps, schema_editor):
    for webhook in apps.get_model("shop", "Webhook").objects.all():
        webhook.save(update_fields=["secret"])


class Migration(migrations.Migration):
    dependencies = [("shop", "0004_event_roles")]

    operations = [
        migrations.AlterField(
            model_name="webhook",
            name="secret",
            field=shop.fields.EncryptedField(
                clear="whsec_",
                default=shop.models.new_secret,
                editable=False,
                max_length=255,
            ),
        ),
        migrations.RunPython(encrypt, migrations.RunPython.noop),
    ]
