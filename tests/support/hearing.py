"""A process of its own that receives streams, and writes down what it heard of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import define

from tests.support.background import until
from tests.support.commands import environment
from tests.support.hosting import Started, launched

_PROGRAM: Final = """
import json, os, sys, threading
from relay_sync.audio import AudioServer

options = json.loads(sys.argv[1])
said = threading.Lock()

def say(**facts):
    with said, open(os.environ["TEST_LOG"], "a", encoding="utf-8") as log:
        log.write(json.dumps(facts) + "\\n")

def hear(stream):
    say(started=stream.call_id)
    pcm = b"".join(frame.data for frame in stream)
    say(call_id=stream.call_id, reason=stream.end_reason, pcm=pcm.hex())

ports = range(*options.pop("ports"))
audio = AudioServer(port=ports, on_stream=hear, **options).start()
say(url=audio.url, port=audio.port)
threading.Event().wait()
"""


@define
class Hearing:
    """A process that receives streams.

    :ivar url: its address, as the platform uses it.
    :ivar port: the port of the range that it has.
    """

    started: Started
    url: str
    port: int

    @property
    def facts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.started.lines]

    def wait_for_start(self, call_id: str) -> None:
        until(lambda: any(fact.get("started") == call_id for fact in self.facts))

    def heard(self, call_id: str) -> tuple[bytes, str]:
        """All audio of a stream that has ended, as PCM, and why it ended."""
        until(lambda: any(fact.get("call_id") == call_id for fact in self.facts))
        (fact,) = (fact for fact in self.facts if fact.get("call_id") == call_id)
        return bytes.fromhex(fact["pcm"]), fact["reason"]

    @property
    def calls(self) -> list[str]:
        """The calls whose streams came here, in order."""
        return [fact["started"] for fact in self.facts if "started" in fact]


@contextmanager
def hearing(
    folder: Path, address: str, ports: Sequence[int], hostname: str = "host-a", **options: Any
) -> Iterator[Hearing]:
    """Start a process that listens on the first free port of a range, and kill it at the end.

    :param folder: for its files; it is created.
    :param address: where it listens.
    :param ports: the range.
    :param hostname: what it puts in for ``{hostname}``.
    :param options: of its ``AudioServer``.
    """
    folder.mkdir()
    given = json.dumps({"host": address, "ports": [ports[0], ports[-1] + 1], **options})
    more = environment(TEST_LOG=str(folder / "log"), RELAY_HOSTNAME=hostname)
    with launched(folder, more, "-c", _PROGRAM, given) as process:
        process.wait_for_lines(1)
        (first, *_) = process.lines
        yield Hearing(process, **json.loads(first))


def killed(process: Hearing) -> None:
    """Kill a process as the kernel does, and return when it is gone."""
    process.started.process.kill()
    process.started.process.wait(10)
