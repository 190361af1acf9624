"""Control API for ``relay-sync simulate``, which exposes a simulator over HTTP."""
