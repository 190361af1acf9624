"""Where an example runs: on your space, or with ``--simulate`` on a telephone network inside this process.

On your space the credentials come from the environment (SIGNALWIRE_PROJECT_ID, SIGNALWIRE_API_TOKEN, SIGNALWIRE_SPACE), the
calls from the context "default" or $RELAY_CONTEXT, and the audio goes to $STREAM_URL, which must lead to this machine.
With ``--simulate`` somebody calls, speaks for a few seconds and hangs up, and the example ends.

Ctrl-C, SIGTERM and a terminal that closes end an example at once: see ``ended_by_signals``, which is called here.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from relay_sync import CallEnded, RelayClient
from relay_sync.audio import AudioServer
from relay_sync.simulator import Simulator, TwoWayStream, speech
from relay_sync.simulator.people.phone import Phone

SIMULATE = "--simulate" in sys.argv[1:]


@contextmanager
def scene(
    story: Callable[[Simulator], None] | None = None,
    *,
    people: Callable[[Simulator], None] | None = None,
    **options: Any,
) -> Iterator[RelayClient]:
    """A client, and what happens to it where it is simulated.

    :param story: says who calls and writes, on a thread of its own once the client is connected; when it has been told, the
        client stops. :param people: says beforehand what those are like who are called and written to.
    :param options: of the simulator.
    """
    if not SIMULATE:
        yield RelayClient(contexts=[os.environ.get("RELAY_CONTEXT", "default")])
        return
    with Simulator(**options) as simulator:
        if people is not None:
            people(simulator)
        client = RelayClient(**simulator.credentials, contexts=["default"])
        told = threading.Thread(target=_tell, args=(story, simulator, client), name="story", daemon=True)
        if story is not None:
            told.start()
        try:
            yield client
        finally:
            client.disconnect()  # whatever the story still waits for


def network(calls: int = 1, *, keys: str = "") -> AbstractContextManager[RelayClient]:
    """A client. Simulated, ``calls`` calls come in once it is connected, and it stops when they are over.

    :param keys: what a simulated caller presses, each key as soon as he hears something new; he leaves the hanging up to you.
    """
    return scene(functools.partial(_callers, count=calls, keys=keys), speed=8)


def ended_by_signals() -> None:
    """Have Ctrl-C, SIGTERM and a terminal that closes raise SystemExit, so that ``finally`` tidies up. Later ones are ignored."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    ours = [getattr(signal, name) for name in names if hasattr(signal, name)]
    ours = [each for each in ours if signal.getsignal(each) in (signal.SIG_DFL, signal.default_int_handler)]

    def end(number: int, frame: object) -> None:
        for each in ours:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    for each in ours:
        signal.signal(each, end)


def required(variable: str, meaning: str) -> str:
    """A variable of the environment, without which an example cannot run on a real space."""
    value = os.environ.get(variable)
    if not value:
        sys.exit(f"set {variable} ({meaning}), or try --simulate")
    return value


def receiver(*, record_to: str | None = None) -> AudioServer:
    """A receiver of audio: behind $STREAM_URL, or on this machine alone."""
    url = None if SIMULATE else required("STREAM_URL", "the wss:// address that leads to port 8765 of this machine")
    return AudioServer(port=0 if SIMULATE else 8765, public_url=url, record_to=record_to)


def _tell(story: Callable[[Simulator], object], simulator: Simulator, client: RelayClient) -> None:
    try:
        simulator.wait_for_client(timeout=30)
        story(simulator)
        simulator.wait_for_acks()  # until the client knows it, too
        client.drain(10)  # and the handlers have done what they do after their call
    except Exception:
        if client.state != "closed":  # else it was broken off, as by Ctrl-C
            raise
    finally:
        client.stop()


def _callers(simulator: Simulator, count: int, keys: str) -> None:
    phones = [
        simulator.call(
            to="+15550100",
            from_=f"+1555019{number}",
            says=speech.caller(),
            hears=speech.greeting(),
            hangs_up_after_speaking=not keys,
            ring_timeout=5,
        )
        for number in range(count)
    ]
    for phone in phones:
        with suppress(CallEnded):
            _press(phone, keys)
        phone.wait_until("ended", timeout=30)


def _press(phone: Phone, keys: str) -> None:
    heard = 0
    for key in keys:
        stream = phone.wait_for_two_way_stream(timeout=30)
        stream.wait_for(functools.partial(_heard_more, before=heard), timeout=30)
        heard = len(stream.heard_audio)
        phone.press(key)


def _heard_more(stream: TwoWayStream, before: int) -> bool:
    return len(stream.heard_audio) > before or stream.state == "finished"


ended_by_signals()
