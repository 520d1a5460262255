import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from accounts.roles import STAFF, grants

OPERATIONS = ["accounts.view_enquiry", "accounts.change_enquiry"]


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_api_keys'),
    ]

    operations = [
        migrations.CreateModel(
            name='Enquiry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('email', models.EmailField(help_text='Where the answer goes.', max_length=254, verbose_name='e-mail')),
                ('text', models.TextField(max_length=4000, verbose_name='question')),
                ('created_at', models.DateTimeField(auto_now_add=True, db_index=True)),
                ('answered_at', models.DateTimeField(editable=False, null=True)),
                ('person', models.ForeignKey(editable=False, help_text='Whoever had signed in.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='enquiries', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name_plural': 'enquiries',
                'ordering': ['-created_at', '-pk'],
            },
        ),
        migrations.RunPython(grants(STAFF, OPERATIONS), migrations.RunPython.noop),
    ]
