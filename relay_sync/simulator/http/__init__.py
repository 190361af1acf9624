"""The simulator over HTTP: the REST API, downloads of recordings, webhooks, and the control API."""
