import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0016_former_reference_roles'),
        ('shop', '0007_import_job_roles'),
    ]

    operations = [
        migrations.AddField(
            model_name='shopperevent',
            name='answer',
            field=models.UUIDField(help_text='Of the answer that had the product, where no search is kept.', null=True),
        ),
        migrations.AddField(
            model_name='shopperevent',
            name='beside',
            field=models.ForeignKey(help_text="The one that was searched with, where no search is kept: on a product's page.", null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='events_beside', to='catalog.product'),
        ),
    ]
