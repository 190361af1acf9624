"""What was said: find the utterances in a call's audio.

==============  ================================================================
``endpointer``  decides where an utterance starts and ends, from probabilities
==============  ================================================================
"""
