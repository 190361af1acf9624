"""What the simulator runs on: sessions, requests and their schemas, the journal, faults, clocks."""
