"""The control API of ``relay-sync simulate``: what is asked of a simulator over HTTP, and its answers."""
