"""Sound: streams to WebSockets, what is played and heard, and what a bad line does to it."""
