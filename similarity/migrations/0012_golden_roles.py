from django.db import migrations

from accounts.roles import MERCHANDISER, STAFF, grants

MARKING = [
    f"similarity.{verb}_{model}"
    for model, verbs in {
        "goldenset": ("view", "add", "change", "delete"),
        "goldenquery": ("view", "add", "delete"),
        "verdict": ("view", "add", "change", "delete"),
    }.items()
    for verb in verbs
]


class Migration(migrations.Migration):
    dependencies = [
        ("similarity", "0011_golden_sets"),
        ("catalog", "0002_roles"),
    ]

    operations = [
        migrations.RunPython(grants(MERCHANDISER, MARKING), migrations.RunPython.noop),
        migrations.RunPython(grants(STAFF, MARKING), migrations.RunPython.noop),
    ]
