"""What all parts of the simulator share: settings, sessions, the journal, faults, clocks, schemas."""
