"""The telephone network and the parties on it: numbers, phones, and what they say, hear and receive."""
