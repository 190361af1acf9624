"""Control API of ``relay-sync simulate``, which exposes a simulator over HTTP."""
