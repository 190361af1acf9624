"""Integrations with web frameworks and servers.

The integrations are independent of each other. ``import relay_sync`` does not import any of them.

============  ======================================================================================================
``hosting``   code shared by the integrations: creates, starts and stops an application's client
``targets``   reconstructs a request's original URL, which signatures cover
``flask``     Flask extension: handlers, the ``flask relay`` command, webhooks and a health view
``django``    Django application: handlers, ``manage.py relay``, signals, webhooks and a health view
``gunicorn``  gunicorn hooks that start and stop the client in each worker
============  ======================================================================================================
"""
