"""At home in other people's frameworks. Nothing here is imported unless asked for, and no framework's part knows another's.

============  ======================================================================================================
``hosting``   what they share: a client that lives in an application, made from its settings
``targets``   the URL of a request as its sender wrote it, for signatures; pure
``flask``     Flask: an extension, handlers inside the app context, ``flask relay run``, webhooks, health
``django``    Django: an application, handlers with database connections, ``manage.py relay``, signals, webhooks, health
``gunicorn``  gunicorn: hooks that start and end the client with each worker
============  ======================================================================================================
"""
