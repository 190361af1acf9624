"""The browser telephone: its page, and the WebSocket over which the page speaks and listens."""
