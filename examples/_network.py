"""Setup shared by the examples, which run either with an account or with a simulator.

With an account, the credentials are read from SIGNALWIRE_PROJECT_ID, SIGNALWIRE_API_TOKEN and SIGNALWIRE_SPACE. The client
receives calls for the context in RELAY_CONTEXT, or "default". Audio is streamed to the URL in STREAM_URL, which must lead to port
8765 of this machine.

With ``--simulate``, the example uses a simulator in the same process. A simulated caller speaks for a few seconds and hangs up,
then the example exits.

Ctrl-C, SIGTERM and closing the terminal stop an example immediately.
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
    scenario: Callable[[Simulator], None] | None = None,
    *,
    setup: Callable[[Simulator], None] | None = None,
    **options: Any,
) -> Iterator[RelayClient]:
    """Create a client. With ``--simulate``, also start a simulator and run a scenario.

    :param scenario: function that places calls and sends messages. It runs in its own thread after the client has connected. The
        client is stopped when it returns.
    :param setup: function that configures the simulated phones before the client connects.
    :param options: parameters of the simulator.
    """
    if not SIMULATE:
        yield RelayClient(contexts=[os.environ.get("RELAY_CONTEXT", "default")])
        return
    with Simulator(**options) as simulator:
        if setup is not None:
            setup(simulator)
        client = RelayClient(**simulator.credentials, contexts=["default"])
        if scenario is not None:
            threading.Thread(target=_run, args=(scenario, simulator, client), name="scenario", daemon=True).start()
        try:
            yield client
        finally:
            client.disconnect()  # Also ends any wait in the scenario.


def network(calls: int = 1, *, keys: str = "") -> AbstractContextManager[RelayClient]:
    """Create a client. With ``--simulate``, the client receives calls and is stopped when they have ended.

    :param calls: number of simulated calls.
    :param keys: keys to press during a call, each after the caller hears new audio. If given, the example must hang up.
    """
    return scene(functools.partial(_callers, count=calls, keys=keys), speed=8)


def exit_on_signals() -> None:
    """Raise SystemExit on Ctrl-C, SIGTERM or SIGHUP, so that ``finally`` blocks run. Further signals are ignored."""
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
    """Return the value of an environment variable. Exit with an error message if it is not set."""
    value = os.environ.get(variable)
    if not value:
        sys.exit(f"set {variable} ({meaning}), or try --simulate")
    return value


def receiver(*, record_to: str | None = None) -> AudioServer:
    """Create an audio receiver. With ``--simulate``, it can only be reached from this machine."""
    url = None if SIMULATE else required("STREAM_URL", "the wss:// address that leads to port 8765 of this machine")
    return AudioServer(port=0 if SIMULATE else 8765, public_url=url, record_to=record_to)


def _run(scenario: Callable[[Simulator], object], simulator: Simulator, client: RelayClient) -> None:
    try:
        simulator.wait_for_client(timeout=30)
        scenario(simulator)
        simulator.wait_for_acks()  # Wait until the client has processed all events.
        client.drain(10)  # Wait until all handlers have returned.
    except Exception:
        if client.state != "closed":  # If the client is closed, the example was interrupted, for example by Ctrl-C.
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


exit_on_signals()
