"""Validation of parameters before anything is sent.

============  ================================================================
``values``    single values such as seconds, URLs, names and choices
``nested``    dictionaries and lists of dictionaries: devices, media, SWML
``parties``   phone numbers and SIP addresses
``allowed``   the origins and host names that a server accepts
============  ================================================================
"""
