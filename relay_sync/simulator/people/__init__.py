"""The telephone network and the people at its ends: numbers, telephones, what they say, hear and are sent."""
