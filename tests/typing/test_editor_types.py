"""What type checkers and editors derive from the package: ``mypy`` checks this file, and most functions are never called."""

from __future__ import annotations

from typing import assert_type

import relay_sync
import relay_sync.audio
import relay_sync.events
from relay_sync import Call, Message, RelayClient
from relay_sync.audio import AudioServer
from relay_sync.events import MessageEvent, MessageStateEvent, PlayEvent, StreamEvent, TaskEvent
from relay_sync.webhooks import OtherStatus, RecordingStatus, StreamStatus, Webhooks


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
