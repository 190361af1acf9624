"""The official SDK and this one against the same simulator."""
