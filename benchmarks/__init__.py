"""Benchmarks: this SDK beside the official one and a bare socket. ``python -m benchmarks`` runs them all."""
