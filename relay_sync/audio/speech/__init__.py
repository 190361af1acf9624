"""What was said, and answering: utterances and conversations.

::

    for said in stream.utterances(vad=Silero(), silence=0.6):
        print(recognize(said.pcm, said.sample_rate))

    with Conversation(stream, recognize=to_text, speak=to_pcm) as talk:
        for turn in talk:
            talk.say(answer(turn.text))

==================  =====================================================================================================
``conversation``    :class:`Conversation`: turns of the party, and answers. ``turns`` contains what it returns, ``transcript``
                    what remains
``ears``            the listening side of a conversation. Decides when the party interrupts
``speaking_queue``  the speaking side of a conversation. ``heard_audio`` keeps what the party heard
``utterances``      :class:`Utterances`, the iterator
``listening``       the thread that finds utterances
``utterance``       :class:`Utterance`, which the iterator returns
``segmenter``       finds the utterances of one track. Declares what a detector is
``endpointer``      decides where an utterance starts and ends, from probabilities
``edges``           locates starts and ends in the audio, for detectors that are only about right
``energy``          :class:`Energy`, a detector without dependencies
``levels``          computes how loud a few samples are, for ``edges`` and ``energy``
``silero``          :class:`Silero`, a detector that tells speech from other sounds. Requires the ``vad`` extra
==================  =====================================================================================================
"""

from __future__ import annotations

from .conversation import Conversation
from .energy import Energy
from .silero import Silero
from .transcript import Transcript, TranscriptLine
from .turns import Interruption, Turn
from .utterance import Utterance
from .utterances import Utterances

__all__ = [
    "Conversation",
    "Energy",
    "Interruption",
    "Silero",
    "Transcript",
    "TranscriptLine",
    "Turn",
    "Utterance",
    "Utterances",
]
