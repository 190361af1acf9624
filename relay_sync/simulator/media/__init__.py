"""Sound: streams to WebSockets, playback and hearing, and disturbances of the audio."""
