"""What type checkers and editors derive from the package: ``mypy`` checks this file, and its functions are never called.

``mypy`` takes ``Literal["on"] | str`` for ``str``; ``tests/house/test_editor.py`` compares such types with ``basedpyright``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, assert_type

import relay_sync
import relay_sync.audio
import relay_sync.events
from relay_sync import (
    Call,
    CallEnded,
    DialFailed,
    Message,
    PayAction,
    PlayAction,
    RecordAction,
    RelayClient,
    StreamAction,
    constants,
    devices,
)
from relay_sync.audio import AudioServer
from relay_sync.audio.stream import CallStreamAction
from relay_sync.constants import Direction
from relay_sync.events import MessageEvent, MessageStateEvent, PlayEvent, StreamEvent, TaskEvent
from relay_sync.simulator import Phone, Simulator
from relay_sync.webhooks import OtherStatus, RecordingStatus, StreamStatus, Webhooks

if TYPE_CHECKING:
    from relay_sync.params.nested import TTSMedia


def names(audio: AudioServer) -> None:
    """A misspelled name is an error, although attributes are looked up in ``__getattr__`` at run time."""
    _ = relay_sync.Cal  # type: ignore[attr-defined]
    _ = relay_sync.audio.Server  # type: ignore[attr-defined]
    _ = relay_sync.events.PlayEvents  # type: ignore[attr-defined]
    _ = audio.listne  # type: ignore[attr-defined]


def completed(call: Call, client: RelayClient) -> None:
    """Callbacks for the end of an action receive the event class of the action."""
    call.stream("wss://example.com", on_completed=lambda event: assert_type(event, StreamEvent))
    call.play_tts("hello", on_completed=lambda event: assert_type(event, PlayEvent))
    call.play([], on_completed=lambda event: event.text)  # type: ignore[attr-defined]
    client.send_message(
        to_number="+15550100",
        from_number="+15550199",
        body="hi",
        on_completed=lambda event: assert_type(event, MessageStateEvent),
    )


def registered(client: RelayClient) -> None:
    """Handlers receive their class, and keep their result. The handler is required."""
    client.on_call(lambda call: assert_type(call, Call))
    client.on_message(lambda message: assert_type(message, Message))
    client.on_task(lambda task: assert_type(task, TaskEvent))
    client.on_call()  # type: ignore[call-arg]

    @client.on_call
    def handle(call: Call) -> str:
        return call.call_id

    @client.on_call  # type: ignore[arg-type]
    def wrong(message: Message) -> None:
        """Accept another class."""

    for call in client.calls.values():
        assert_type(handle(call), str)


def messages(message: Message) -> None:
    """Listeners of a message receive its state events."""
    message.on(lambda event: assert_type(event, MessageStateEvent))
    assert_type(message.wait(), MessageEvent)
    assert_type(message.result, MessageEvent | None)


def callbacks(webhooks: Webhooks) -> None:
    """The kind of a status callback determines its class."""
    callback = webhooks.parse("POST", "/", {}, b"")
    if callback.kind == "stream":
        assert_type(callback, StreamStatus)
    elif callback.kind == "recording":
        assert_type(callback, RecordingStatus)
    else:
        assert_type(callback, OtherStatus)


def streams(audio: AudioServer, call: Call) -> None:
    """The action of a stream has the methods of a stream action, and tracks are literals."""
    stream = audio.listen(call, track="both", codec="L16@16000h")
    assert stream.action is not None
    assert_type(stream.action.wait(5), StreamEvent)
    assert_type(stream.action.control_id, str)
    assert_type(stream.action.stop(), dict[str, Any])
    action: CallStreamAction = call.stream("wss://example.com")
    assert action.control_id
    for frame in stream.tracks("inbound"):
        assert_type(frame.track, Direction | str)


def states(play: PlayAction, record: RecordAction, streamed: StreamAction, pay: PayAction) -> None:
    """Each action has its own states."""
    assert_type(play.state, constants.PlayState | str)
    assert_type(record.state, constants.RecordState | str)
    assert_type(streamed.state, constants.StreamState | str)
    assert_type(pay.state, constants.PayState | str)


def dictionaries(call: Call) -> None:
    """Dictionaries have types, but accept items that the SDK does not know."""
    speech: TTSMedia = {"type": "tts", "params": {"text": "hello", "gender": "female"}}
    call.play([speech, {"type": "silence", "params": {"duration": 1}}, {"type": "new", "params": {"x": 1}}])
    call.play([{"type": "tts", "params": {"text": "hello"}}])
    items: list[dict[str, object]] = [{"type": "ringtone", "params": {"name": "us"}}]
    call.play(items)
    wrong: TTSMedia = {"type": "tts", "params": {"words": "hello"}}  # type: ignore[typeddict-unknown-key,typeddict-item]
    assert wrong


def reasons(ended: CallEnded, failed: DialFailed) -> None:
    """Reasons are literals, but other values are possible."""
    assert_type(ended.end_reason, constants.CallEndReason | str)
    assert_type(failed.reason, constants.CallEndReason | Literal["timeout", "given_up"] | str)


def dialed(client: RelayClient) -> None:
    """Both forms of a dial return a call."""
    assert_type(client.dial(to="+15550100"), Call)
    assert_type(client.dial([[devices.phone("+15550100")]]), Call)
    client.dial()  # type: ignore[call-overload]


def simulated(simulator: Simulator, phone: Phone) -> None:
    """The simulator accepts words from variables, too."""
    word: str = "answered"
    phone.wait_until(word)
    phone.wait_until("ended")
    simulator.disturb_stream("wrong codec")


def options(audio: AudioServer, call: Call) -> None:
    """Options that are passed on to another method have names and types."""
    audio.listen(
        call, name="n", status_url="https://example.com", on_completed=lambda event: assert_type(event, StreamEvent)
    )
    audio.connect(call, name="n", extra={"x": 1})
    audio.listen(call, nmae="n")  # type: ignore[call-arg]
    audio.connect(call, staus_url="https://example.com")  # type: ignore[call-arg]
    audio.device(name=5)  # type: ignore[arg-type]


def owner(call: Call) -> None:
    """The client of a call has only public members."""
    assert_type(call.client.dial(to="+15550100"), Call)
    call.client._link  # type: ignore[attr-defined]  # noqa: B018
