"""Create the table of live calls."""

from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    initial = True
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="LiveCall",
            fields=[
                ("call_id", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("caller", models.CharField(max_length=100)),
                ("since", models.DateTimeField(auto_now_add=True)),
                ("audio_url", models.CharField(max_length=500)),
                ("control_id", models.CharField(blank=True, max_length=100)),
            ],
        ),
    ]
