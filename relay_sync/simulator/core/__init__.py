"""The world of the simulator, on which the rest stands: settings, sessions, the journal, faults, clocks, schemas."""
