"""``manage.py relay`` and ``manage.py relay_doctor``."""
