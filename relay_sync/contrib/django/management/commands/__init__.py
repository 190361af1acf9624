"""``manage.py relay``."""
