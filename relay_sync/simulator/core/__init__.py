"""Shared infrastructure of the simulator: settings, sessions, the frame journal, faults, clocks and schemas."""
