"""Implementations of the RELAY methods, grouped by topic."""
