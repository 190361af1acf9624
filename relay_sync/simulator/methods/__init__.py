"""The implementations of RELAY's methods, one module per theme."""
