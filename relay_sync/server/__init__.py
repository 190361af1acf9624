"""A WebSocket server loop for the simulator and the audio receiver."""
