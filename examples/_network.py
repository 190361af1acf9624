"""Where an example runs: on your space, or with ``--simulate`` on a telephone network inside this process.

On your space the credentials come from the environment (SIGNALWIRE_PROJECT_ID, SIGNALWIRE_API_TOKEN, SIGNALWIRE_SPACE), the
calls from the context "default" or $RELAY_CONTEXT, and the audio goes to $STREAM_URL, which must lead to this machine.
With ``--simulate``, a caller speaks for a few seconds and hangs up, and the example exits.

Ctrl-C, SIGTERM and a closed terminal end an example immediately: see ``ended_by_signals``, which is called here.
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
    """Yield a client and, if simulated, run a story against it.

    :param story: places calls and sends messages, in its own thread once the client is connected; the client stops afterward.
    :param people: defines the phones that are called, before the client connects.
    :param options: parameters of the simulator.
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
            client.disconnect()  # ends the waits of the story


def network(calls: int = 1, *, keys: str = "") -> AbstractContextManager[RelayClient]:
    """Yield a client. If simulated, ``calls`` calls arrive once it is connected, and it stops when they have ended.

    :param keys: the keys that the simulated caller presses, one after each new sound; the example then hangs up.
    """
    return scene(functools.partial(_callers, count=calls, keys=keys), speed=8)


def ended_by_signals() -> None:
    """Make Ctrl-C, SIGTERM and a closed terminal raise SystemExit, so that ``finally`` cleans up. Ignore later signals."""
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
    """Return an environment variable that an example needs on a real space, or exit."""
    value = os.environ.get(variable)
    if not value:
        sys.exit(f"set {variable} ({meaning}), or try --simulate")
    return value


def receiver(*, record_to: str | None = None) -> AudioServer:
    """Return an audio receiver: behind $STREAM_URL, or on this machine only."""
    url = None if SIMULATE else required("STREAM_URL", "the wss:// address that leads to port 8765 of this machine")
    return AudioServer(port=0 if SIMULATE else 8765, public_url=url, record_to=record_to)


def _tell(story: Callable[[Simulator], object], simulator: Simulator, client: RelayClient) -> None:
    try:
        simulator.wait_for_client(timeout=30)
        story(simulator)
        simulator.wait_for_acks()  # until the client has processed it
        client.drain(10)  # until the handlers have returned
    except Exception:
        if client.state != "closed":  # otherwise it was interrupted, for example by Ctrl-C
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
