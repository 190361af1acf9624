"""What was said: find the utterances in a call's audio.

::

    for said in stream.utterances(vad=Silero(), silence=0.6):
        print(recognize(said.pcm, said.sample_rate))

==============  =========================================================================================================
``utterances``  :class:`Utterances`, the iterator, and the thread that finds utterances
``utterance``   :class:`Utterance`, which the iterator returns
``segmenter``   finds the utterances of one track. Declares what a detector is
``endpointer``  decides where an utterance starts and ends, from probabilities
``energy``      :class:`Energy`, a detector without dependencies
``silero``      :class:`Silero`, a detector that tells speech from other sounds. Requires the ``vad`` extra
==============  =========================================================================================================
"""

from __future__ import annotations

from .energy import Energy
from .silero import Silero
from .utterance import Utterance
from .utterances import Utterances

__all__ = ["Energy", "Silero", "Utterance", "Utterances"]
