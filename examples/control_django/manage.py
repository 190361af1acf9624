"""A Django project that starts and stops streams on live calls that other processes own. docs/control.md describes it.

export DJANGO_SECRET_KEY=... RELAY_AUDIO_TOKEN=...
python manage.py migrate
python manage.py createsuperuser
python manage.py relay --processes 2        # owns the calls
python manage.py runserver                  # the web application
"""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "switchboard.settings")
    execute_from_command_line(sys.argv)
