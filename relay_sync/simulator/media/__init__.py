"""Audio of simulated calls: media streams, played sounds, recorded audio and injected faults."""
