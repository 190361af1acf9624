"""Checks of parameters. Invalid values are rejected in one sentence, before anything is sent. Pure.

``values``
    single values: seconds, URLs, names, choices.
``nested``
    parameters that are dictionaries or lists of them: devices, media, SWML.
``parties``
    telephone numbers and addresses.
``allowed``
    what a server accepts: origins of web pages, host names.
"""
