"""Hosts and connections to them, with the same rules for RELAY and REST, servers and webhooks.

``names``
    host names, addresses and ports, and whether they can only mean this machine.
``proxies``
    the proxy that connects to a host, from an argument or the environment.
``authorities``
    trusted certificates; starts TLS.
``origins``
    which web pages may connect to a server.
"""
