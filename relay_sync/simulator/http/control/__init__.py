"""The control API of ``relay-sync simulate``: requests to a simulator over HTTP, and their responses."""
