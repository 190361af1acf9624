"""What the simulator does for each method of RELAY: one module a theme."""
