"""Conferences and video rooms: ``calling.join_conference``, ``calling.join_room``, and the methods for leaving them.

As documented, a client receives conference events only if ``status_callback_event_type`` is ``relay``. If the client specifies
``status_callback_event``, it receives only the events listed there.

The following behavior is not documented by SignalWire and may differ on the real platform:

* Event names in ``status_callback_event`` are separated by spaces or commas. The simulator accepts the states from the AsyncAPI
  document, and the names ``start``, ``end``, ``join``, ``leave``, ``mute``, ``hold``, ``modify``, ``speaker``, ``announcement``
  and ``record`` from other SignalWire products. By default, the client receives all events.
* The default ``region`` is ``us``.
* The first call starts the conference, which ends when the last call or any call with ``end_on_exit`` leaves.
* Joining a full conference fails with code 409.
* If the first call requests ``record``, the whole conference is recorded.
* The ``stream`` option opens a two-way stream, which ends when the joining call leaves. The stream's events are sent only to its
  ``status_url``. If the stream cannot be opened, the error is recorded in ``Journal.notices``.
* A client with a call in a room receives ``joined`` and ``leave`` events.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from attrs import define, field

from ..core.schemas import Findings
from ..media.hearing import hear, part
from ..media.two_way import TwoWayStream, open_two_way
from .operation import NetworkOperation, control, running, start, stop
from .recording import FILES_URL
from .request import CommandRequest, Handler
from .streaming import stream_problems

__all__ = ["HANDLERS", "Conference", "Conferences", "Participant", "RoomStay"]

MOST = 250
# Short names allowed in status_callback_event, with the states that each of them selects.
_GROUPS = {
    "start": "conference-start",
    "end": "conference-end",
    "join": "participant-join",
    "leave": "participant-leave",
    "mute": "participant-mute participant-unmute",
    "hold": "participant-hold participant-unhold",
    "modify": "participant-modify",
    "speaker": "participant-speech-start participant-speech-stop",
    "announcement": "announcement-end announcement-fail",
    "record": "record-start record-pause record-resume record-stop",
}


def _wanted(text: str) -> set[str]:
    """Return the states selected by a ``status_callback_event`` parameter."""
    return {state for word in re.split(r"[\s,]+", text) for state in _GROUPS.get(word, word).split()}


@define(eq=False, kw_only=True)
class Conference:
    """A running conference."""

    name: str
    region: str
    conference_id: str = field(factory=lambda: str(uuid.uuid4()), init=False)
    people: list[Participant] = field(factory=list, init=False)
    recording: float | None = field(default=None, init=False)
    over: bool = field(default=False, init=False)

    def send_event(
        self, status: str, about: Participant | None = None, *, others: Sequence[Participant] = (), **more: Any
    ) -> None:
        """Send an event to the participants that subscribed to it.

        :param about: participant that the event describes; it receives the event even if it has already left.
        :param others: other participants that have already left but still receive the event.
        """
        members = {
            "conference_id": self.conference_id,
            "name": self.name,
            "region": self.region,
            "size": len(self.people),
            **more,
        }
        for each in dict.fromkeys([*self.people, *([about] if about is not None else []), *others]):
            each.hear(status, members, about)

    def join(self, one: Participant) -> None:
        """Add a participant. The first participant starts the conference."""
        first = not self.people
        for other in self.people:
            for listener, speaker in ((one, other), (other, one)):
                if not speaker.params.get("muted"):
                    hear(listener.call, speaker.call)
        self.people.append(one)
        if first:
            self.send_event("conference-start")
        self.send_event("participant-join", one)
        if first and one.params.get("record") == "record-from-start":
            self.recording = one.world.clock.now
            self.send_event("record-start")

    def leave(self, one: Participant) -> None:
        """Remove a participant.

        The conference ends if no participants remain or if this participant joined with ``end_on_exit``.
        """
        self._part(one)
        self.send_event("participant-leave", one)
        ends = bool(one.params.get("end_on_exit"))
        if (ends or not self.people) and not self.over:
            self.end(one, "participant-with-end-conference-on-exit-left" if ends else "last-participant-left")

    def _part(self, one: Participant) -> None:
        self.people.remove(one)
        for other in self.people:
            part(one.call, other.call)

    def end(self, last: Participant, reason: str) -> None:
        """End the conference. After all remaining calls have left, their clients receive ``conference-end``."""
        self.over = True
        rest = list(self.people)
        if self.recording is not None:
            seconds = (last.world.clock.now - self.recording) / last.call.clock.second
            members: dict[str, Any] = {
                "recording_url": f"{FILES_URL}/{self.conference_id}.mp3",
                "recording_duration": round(seconds),
                "recording_file_size": int(seconds * 4_000),
            }
            self.send_event("record-stop", last, **members)
        for each in rest:
            each.cancel_steps()
            self._part(each)
            self.send_event("participant-leave", each)
        self.send_event("conference-end", last, others=rest, reason_ended=reason, call_id_ending_conf=last.call.call_id)
        last.platform.shared(Conferences).pop(self.name, None)
        for each in rest:
            each.drop()


class Conferences(dict[str, Conference]):
    """Running conferences by name."""


def _check_join(findings: Findings, params: Mapping[str, Any]) -> None:
    stream = params.get("stream")
    if stream is not None and findings.look("stream", stream, "stream"):
        findings.impossible.update({f"stream.{name}": why for name, why in stream_problems(stream).items()})


@define(eq=False, kw_only=True)
class Participant(NetworkOperation):
    """A call in a conference."""

    event_type = "calling.conference"
    engaged_error: str = field(default="Call is already in a conference", init=False)
    conference: Conference = field(init=False)
    _stream: TwoWayStream | None = field(default=None, init=False)

    def begin(self) -> None:
        name = self.params["name"]
        known = self.platform.shared(Conferences)
        if name not in known:
            known[name] = Conference(name=name, region=self.params.get("region") or "us")
        self.conference = known[name]
        self.conference.join(self)
        if self.params.get("stream") is not None:
            self._stream = open_two_way(self.world, self.call, self.params["stream"], self._streamed)

    def _streamed(self, stream: TwoWayStream, state: str) -> None:
        if state == "finished" and stream.error:
            text = f"the stream of conference {self.params['name']!r} was not opened: {stream.end_reason}"
            self.world.journal.notice(self.call.call_id, stream.control_id, "not opened", text)

    def hear(self, status: str, members: Mapping[str, Any], about: Participant | None) -> None:
        """Send a conference event to this call's client if the client subscribed to such events."""
        given = self.params
        if given.get("status_callback_event_type") != "relay":
            return
        if "status_callback_event" in given and status not in _wanted(given["status_callback_event"]):
            return
        params = {**members, "status": status, **(about.describe() if about is not None else {})}
        self.world.emit(self.call.owner, self.event_type, params)

    def describe(self) -> dict[str, Any]:
        """Return the members that describe this participant in events."""
        given = self.params
        return {
            "call_id": self.call.call_id,
            "node_id": self.call.node_id,
            "muted": bool(given.get("muted")),
            "hold": "on hold" in self.call.features,
            "coaching": bool(given.get("coach")),
            "start_on_join": given.get("start_on_enter") is not False,
            "end_on_leave": bool(given.get("end_on_exit")),
            **({"call_id_to_coach": given["coach"]} if given.get("coach") else {}),
        }

    def drop(self) -> None:
        here = not self.over and self in self.conference.people
        self.cancel_steps()
        if self._stream is not None:
            self._stream.finish("the call left the conference")
        if here:
            self.conference.leave(self)
        super().drop()

    def finish(self, **members: Any) -> None:
        self.drop()

    def break_down(self, details: Mapping[str, Any]) -> None:
        self.over = True
        self.call.operations.remove(self)


def _join(request: CommandRequest) -> None:
    params = request.params
    conference = request.platform.shared(Conferences).get(params["name"])
    most = (conference.people[0].params.get("max_participants") if conference is not None else None) or MOST
    if conference is not None and len(conference.people) >= most:
        request.refuse(409, "Conference is full")
    else:
        start(Participant, check=_check_join, if_free=True)(request)


def _leave(request: CommandRequest) -> None:
    one = running(request.call, Participant)
    if one is None or one.conference.conference_id != request.params["conference_id"]:
        request.refuse(404, "Call is not in this conference")
        return
    request.accept()
    one.drop()


@define(eq=False, kw_only=True)
class RoomStay(NetworkOperation):
    """A call in a video room."""

    event_type = "calling.call.room"
    failure: ClassVar[Mapping[str, Any]] = {"join_status": "failed"}

    def in_events(self) -> dict[str, Any]:
        return {"room_name": self.params["name"]}

    def begin(self) -> None:
        self.send_event(join_status="joined")

    def finish(self, **members: Any) -> None:
        self.close(**{"join_status": "leave", **members})


HANDLERS: Mapping[str, Handler] = {
    "calling.join_conference": _join,
    "calling.leave_conference": _leave,
    "calling.join_room": start(RoomStay, only_one="Call is already in a room"),
    "calling.leave_room": control(RoomStay, stop),
}
