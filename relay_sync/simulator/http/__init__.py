"""HTTP interfaces of the simulator: REST API, recordings, webhooks and control API."""
