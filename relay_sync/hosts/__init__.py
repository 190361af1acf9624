"""Host names, proxies, certificates and origins, with the same rules for all clients and servers in this package.

===============  ==============================================================================
``names``        host names, addresses and ports, and whether they refer to this machine
``listening``    listening sockets for all addresses of a host
``proxies``      the proxy for a connection, from an argument or the environment
``authorities``  trusted certificate authorities and TLS setup
``origins``      the web pages that may connect to a server
``proof``        proof that a process knows a secret
===============  ==============================================================================
"""
