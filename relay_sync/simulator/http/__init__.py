"""The simulator's HTTP side: the REST API, recordings to download, webhooks that it calls, and the control API."""
