"""Hear the call."""
