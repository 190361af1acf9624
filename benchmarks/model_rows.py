"""The rows of the recognizers and the voice of ``examples/agent``: their own times, without a goal."""

from __future__ import annotations

from typing import Final

from .rows import Row

__all__ = ["HEAD", "MODELS", "MODEL_ROWS"]

MODELS: Final = ("whisper", "pocketsphinx", "hibari")
HEAD: Final = """\
The recognizers and the voice of `examples/agent`, each in a process of its own and on one thread. They are not part of this
package, so they have no targets. **whisper**: faster-whisper with the model tiny.en. **pocketsphinx**: with a grammar of the 36
sentences. Both recognize the utterances of `tests/data/speech`, in 8 kHz mu-law. An utterance counts as understood if it would
meet a step of a scenario file that expects its text. **hibari**: speaks the same sentences.
"""


def _row(title: str, figure: str, client: str, *, unit: str = "ms", digits: int = 0) -> Row:
    return Row(title=title, scenario="models", figure=figure, unit=unit, client=client, digits=digits)


#: The rows. A row with figures in several columns names the client of one of them.
MODEL_ROWS: Final = (
    _row("time to import and load the model", "load", "whisper"),
    _row("recognizer: time per utterance, p50", "wall p50", "whisper"),
    _row("the same, p95", "wall p95", "whisper"),
    _row("recognizer: CPU per utterance, p50", "cpu p50", "whisper"),
    _row("the same, p95", "cpu p95", "whisper"),
    _row("recognizer: utterances understood", "understood", "whisper", unit=""),
    _row("voice: text to the first sound, p50", "first p50", "hibari"),
    _row("the same, p95", "first p95", "hibari"),
    _row("real-time factor: time per second of audio", "factor", "hibari", unit="", digits=3),
    _row("the same, CPU", "factor cpu", "hibari", unit="", digits=3),
)
