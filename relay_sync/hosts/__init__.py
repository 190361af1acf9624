"""Hosts and the ways to them, read by one rule for RELAY and REST, servers and webhooks.

``names``
    what a host is, with and without its port, and whether it can only mean this machine.
``proxies``
    the proxy on the way to a host, from an argument or the environment.
``authorities``
    whose certificates are trusted; TLS begins here.
``origins``
    which web pages may talk to a server.
"""
