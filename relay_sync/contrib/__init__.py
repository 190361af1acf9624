"""Framework integrations. None is imported until you import it, and they are independent of each other.

============  ======================================================================================================
``hosting``   the shared part: a client that belongs to an application and is created from its settings
``targets``   the URL of a request as the sender wrote it, for signatures; pure
``flask``     Flask: an extension, handlers inside the app context, ``flask relay run``, webhooks, health
``django``    Django: an application, handlers with database connections, ``manage.py relay``, signals, webhooks, health
``gunicorn``  gunicorn: hooks that start and stop the client with each worker
============  ======================================================================================================
"""
