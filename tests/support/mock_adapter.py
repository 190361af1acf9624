"""The control interface that the public RELAY test suites of SignalWire call, in front of ``relay-sync simulate``.

    python -m tests.support.mock_adapter --ws-port 8773 --http-port 9773 [--passive] [--media fast] [--no-ringing]

With 0 for a port it takes a free one. Once it listens it prints one line of JSON with both ports.

This program is what somebody writes who tests in another language: it starts the simulator as a process, and speaks HTTP with it.
It imports nothing of this package. The simulator's journal masks credentials, which the suites compare. The program therefore
listens in front of the simulator's port, and remembers them.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import secrets
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

__all__ = ["Adapter", "Control", "Refused", "main", "simulating"]

Json = dict[str, Any]

DIRECTIONS: Final = {"in": "recv", "out": "send", "lost": "lost"}
#: The numbers of a call that only events report, or that was placed without numbers.
TO, FROM = "+15550000002", "+15550000001"
#: The events that make a call known.
ABOUT_CALLS: Final = ("calling.call.receive", "calling.call.dial")
#: Seconds to ring: callers do not give up.
PATIENCE: Final = 1_000_000
#: Seconds that the simulator waits for in one request.
LONGEST: Final = 30.0
#: Bytes that are passed on at a time, and that a first message may have.
PIECE, MOST_FIRST = 2**16, 2**20


class Refused(Exception):
    """The simulator has not done what it was asked for."""

    def __init__(self, status: int, said: Any) -> None:
        super().__init__(f"{status}: {said}")
        self.status = status


class Control:
    """The control interface of a simulator."""

    def __init__(self, url: str, key: str) -> None:
        self.place = urllib.parse.urlsplit(url)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None, /, **query: Any) -> Any:
        """Send a request. :raises Refused: the answer has the status of an error."""
        assert self.place.hostname is not None
        there = http.client.HTTPConnection(self.place.hostname, self.place.port, timeout=LONGEST * 2)
        given = {name: value for name, value in query.items() if value is not None}
        where = self.place.path + path + (f"?{urllib.parse.urlencode(given)}" if given else "")
        try:
            there.request(method, where, None if body is None else json.dumps(body), self.headers)
            answer = there.getresponse()
            text = answer.read()
        finally:
            there.close()
        said = json.loads(text) if text else None
        if answer.status >= 400:
            raise Refused(answer.status, said)
        return said

    def get(self, path: str, /, **query: Any) -> Any:
        """What is there."""
        return self.ask("GET", path, **query)

    def post(self, path: str, /, **body: Any) -> Any:
        """Have something done. Members that are ``None`` are left out."""
        return self.ask("POST", path, {name.rstrip("_"): value for name, value in body.items() if value is not None})

    def tried(self, path: str, /, *statuses: int, **body: Any) -> bool:
        """Have something done, if that is possible: whether none of these statuses was the answer."""
        try:
            self.post(path, **body)
        except Refused as refused:
            if refused.status not in statuses:
                raise
            return False
        return True


def first_message(said: bytes) -> Any:
    """The first message of a client in all that it has sent, which begins with the request for a WebSocket.

    :return: ``None`` while the message is not complete.
    :raises ValueError: it is not JSON, or comes in several frames.
    """
    frame = said.partition(b"\r\n\r\n")[2]
    if len(frame) < 2:
        return None
    if frame[0] != 0x81:
        raise ValueError
    size, at = frame[1] & 0x7F, 2
    if size > 125:
        at = 4 if size == 126 else 10
        size = int.from_bytes(frame[2:at])
    mask, text = frame[at : at + 4], frame[at + 4 : at + 4 + size]
    if len(frame) < at + 4 + size:
        return None
    return json.loads(bytes(each ^ mask[index % 4] for index, each in enumerate(text)))


class Front(socketserver.ThreadingTCPServer):
    """Passes on what clients and the simulator say, and remembers the credentials of clients.

    :ivar credentials: credentials by the id of the request that presented them.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], behind: tuple[str, int]) -> None:
        super().__init__(address, Passage)
        self.behind = behind
        self.credentials: dict[str, Any] = {}

    def listen_to(self, said: bytes) -> bytes | None:
        """Look for credentials. :return: what to look at again when there is more, or ``None``."""
        try:
            found = first_message(said)
            if found is None and len(said) < MOST_FIRST:
                return said
            if found["method"] == "signalwire.connect":
                self.credentials[found["id"]] = found["params"]["authentication"]
        except (LookupError, TypeError, ValueError):
            pass
        return None


class Passage(socketserver.BaseRequestHandler):
    """One connection through the front."""

    request: socket.socket
    server: Front

    def handle(self) -> None:
        """Pass on what both say, until one of them has gone."""
        with socket.create_connection(self.server.behind, LONGEST) as there:
            for each in (there, self.request):
                each.settimeout(None)
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self.passed, args=(there, self.request), daemon=True)
            back.start()
            self.passed(self.request, there, b"")
            back.join()

    def passed(self, speaker: socket.socket, listener: socket.socket, said: bytes | None = None) -> None:
        """Pass on what one of them says to its end, and end the other's."""
        with suppress(OSError):
            while piece := speaker.recv(PIECE):
                if said is not None:
                    said = self.server.listen_to(said + piece)
                listener.sendall(piece)
        for each in (speaker, listener):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def quoted(call_id: str) -> str:
    """An id as a part of a path."""
    return urllib.parse.quote(call_id, safe="")


class Adapter:
    """What the interface of the suites does to a simulator."""

    def __init__(self, control: Control, options: argparse.Namespace, credentials: Json) -> None:
        self.control = control
        self.options = options
        #: What clients have presented, by the id of the request.
        self.credentials = credentials
        #: The first entry of the journal that belongs to a session's present test.
        self.marks: dict[str, int] = {}

    # -- the journal and the sessions ----------------------------------------------------------------------------------

    def entries(self, session: str) -> Iterator[Json]:
        """The entries of a session, or all of them."""
        since = self.marks.get(session, 0)
        while True:
            page = self.control.get("/journal", since=since, session=session or None)
            yield from page["entries"]
            if not page["entries"]:
                return
            since = page["next"]

    def end(self) -> int:
        """The number that the next entry will have."""
        return int(self.control.get("/journal", since=999_999_999)["end"])

    def reset(self, session: str) -> Json:
        """Forget what is in the journal: for one session, or for all."""
        if session:
            self.marks[session] = self.end()
        else:
            self.control.ask("DELETE", "/journal")
        return {"status": "ok"}

    def told(self, entry: Json) -> Json:
        """An entry, as the suites read it."""
        frame = entry["frame"] if isinstance(entry["frame"], dict) else {}
        if entry["method"] == "signalwire.connect" and frame.get("id") in self.credentials:
            frame = {**frame, "params": {**frame["params"], "authentication": self.credentials[frame["id"]]}}
        return {
            "timestamp": entry["time"],
            "direction": DIRECTIONS[entry["direction"]],
            "method": entry["method"],
            "request_id": frame.get("id", ""),
            "frame": frame,
            "connection_id": str(entry["connection"]),
            "session_id": entry["session"],
        }

    def sessions(self) -> list[Json]:
        """The sessions that have a socket."""
        return [
            {**dict.fromkeys(("session_id", "sessionid", "id"), each["id"]), "connection_id": str(each["connection"])}
            for each in self.control.get("/sessions")
        ]

    def targets(self, session: str) -> list[str]:
        """The ids of the connected sessions, or only this one."""
        return [each["id"] for each in self.sessions() if session in ("", each["id"])]

    # -- scripts -------------------------------------------------------------------------------------------------------

    def arm(self, method: str, session: str, script: Any) -> Json:
        """Say what follows the next request of a method."""
        steps = script if isinstance(script, list) else [script]
        if method == "_unconditional":
            self.send_now(session, steps)
        elif method == "dial":
            self.arm_dial(session, script)
        else:
            self.arm_method(method, session, steps)
        return {"status": "ok"}

    def send_now(self, session: str, steps: list[Json]) -> None:
        """Send events that no request precedes."""
        for step in steps:
            time.sleep(step.get("delay_ms", 0) / 1000)
            about = {"event_type": step.get("event_type") or "signalwire.event", "params": step.get("emit", {})}
            frame = {"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": "signalwire.event", "params": about}
            self.push(frame, session)

    def arm_method(self, method: str, session: str, steps: list[Json]) -> None:
        """The events after a request, in their times."""
        at, events = 0.0, []
        for step in steps:
            at += step.get("delay_ms", 0) / 1000
            kind = {"event_type": step["event_type"]} if step.get("event_type") else {}
            events.append({"params": step.get("emit", {}), "at": at, **kind})
        if not self.control.tried("/scripts", 400, method=method, events=events, session=session or None):
            usual = f"calling.call.{method.partition('.')[2]}"
            named = [{"event_type": usual, **event} for event in events]
            self.control.post("/scripts", method=method, events=named, session=session or None)

    def arm_dial(self, session: str, script: Json) -> None:
        """The course of a dial: the states of the winner, then those of the losers, and who has won."""
        step: float
        step, states = script.get("delay_ms", 1) / 1000, script.get("states", ["created", "ringing", "answered"])
        winner: Json = {"id": script["winner_call_id"], "states": states, "at": step, "delay": step}
        losers: list[Json] = [
            {
                "id": each["call_id"],
                "states": each.get("states", ["created", "ended"]),
                "at": step * len(states),
                "delay": 0,
            }
            for each in script.get("losers") or []
        ]
        for leg in (winner, *losers):
            self.free(leg["id"])
        self.control.post(
            "/dials",
            winner=winner,
            losers=losers,
            delay=step,
            dialing=False,
            tag=script.get("tag"),
            node_id=script.get("node_id"),
            device=script.get("device"),
            session=session or None,
        )

    # -- calls ---------------------------------------------------------------------------------------------------------

    def free(self, call_id: str) -> None:
        """End the call that has an id, if there is one, without an event."""
        self.control.tried(f"/calls/{quoted(call_id)}/state", 404, state="ended", announce=False)

    def learn(self, frame: Json, session: str) -> None:
        """Have the simulator know the call that a pushed event reports, in the state that it reports."""
        params = frame.get("params")
        body = params.get("params") if isinstance(params, dict) else None
        if self.options.strict_calls or not isinstance(body, dict):
            return
        inner = body["call"] if isinstance(body.get("call"), dict) else body
        call_id, state = inner.get("call_id"), body.get("call_state")
        if not call_id:
            return
        kind = frame["params"].get("event_type")
        if kind == "calling.call.state":
            self.control.tried(f"/calls/{quoted(call_id)}/state", 400, 404, state=state or "", announce=False)
        elif kind in ABOUT_CALLS:
            self.add(session, call_id, inner, state or ("answered" if "dial_state" in body else "created"))

    def add(self, session: str, call_id: str, reported: Json, state: str) -> None:
        """A call of an id, unless there is one: with its numbers, if they can be numbers."""
        device = reported.get("device")
        given = device.get("params") if isinstance(device, dict) else None
        numbers = given if isinstance(given, dict) else {}
        about = {
            "id": call_id,
            "node_id": reported.get("node_id") or None,
            "state": state,
            "direction": "outbound" if "dial_winner" in reported else "inbound",
            "tag": reported.get("tag") or None,
        }
        there = f"/sessions/{session}/calls"
        to, from_ = numbers.get("to_number") or TO, numbers.get("from_number") or FROM
        if not self.control.tried(there, 400, 409, **about, to=to, from_=from_):
            self.control.tried(there, 400, 409, **about, to=TO, from_=FROM)

    def push(self, frame: Json, session: str) -> Json:
        """Send a frame to a session, or to all of them."""
        chosen = self.targets(session)
        if chosen:
            self.learn(frame, chosen[0])
            self.control.post("/frames", frame=frame, session=session or None)
        return {"sent_to": chosen, "count": len(chosen)}

    def inbound(self, asked: Json, session: str) -> Json:
        """A call comes in, and goes through the states that were asked for."""
        call_id, states = asked.get("call_id") or str(uuid.uuid4()), asked.get("auto_states") or ["created"]
        chosen = self.targets(session or asked.get("session_id") or "")[:1]
        self.free(call_id)
        about = {
            "id": call_id,
            "session": next(iter(chosen), None),
            "context": asked.get("context"),
            "rings": not self.options.no_ringing,
            "ring_timeout": PATIENCE,
        }
        self.control.post("/calls", **about, to=asked.get("to_number") or TO, from_=asked.get("from_number") or FROM)
        for state in states[1:]:
            time.sleep(asked.get("delay_ms", 50) / 1000)
            self.control.post(f"/calls/{quoted(call_id)}/state", state=state)
        return {"call_id": call_id, "sent_to": chosen, "count": len(chosen), "states_emitted": states}

    # -- timelines -----------------------------------------------------------------------------------------------------

    def play(self, steps: list[Json]) -> Json:
        """Push, sleep and wait for requests, one step after the other."""
        begun = self.end()
        for number, step in enumerate(steps):
            if "push" in step:
                self.push(step["push"]["frame"], step["push"].get("session_id", ""))
            elif "sleep_ms" in step:
                time.sleep(step["sleep_ms"] / 1000)
            elif "expect_recv" in step and not self.comes(step["expect_recv"], begun):
                wanted = step["expect_recv"]["method"]
                return {"status": "timeout", "at_step": number, "expected_method": wanted, "steps_completed": number}
        return {"status": "completed", "steps": len(steps)}

    def comes(self, wanted: Json, begun: int) -> bool:
        """Whether a request of a method is in the journal from a number on, or comes within the given time."""
        end = time.monotonic() + wanted.get("timeout_ms", 5000) / 1000
        about = {"direction": "in", "method": wanted["method"], "session": wanted.get("session_id") or None}
        while True:
            left = max(0.0, min(LONGEST, end - time.monotonic()))
            try:
                self.control.get("/journal", since=begun, wait="", timeout=f"{left:.3f}", **about)
            except Refused as refused:
                if refused.status != 504:
                    raise
                if time.monotonic() >= end:
                    return False
            else:
                return True

    # -- the paths -----------------------------------------------------------------------------------------------------

    def route(self, path: str, session: str, body: Any) -> Any:
        """Do what a path asks for. :raises KeyError: there is no such path, or a member is missing."""
        if path == "/health":
            return {"status": "ok", "schemas_loaded": len(self.control.get("")["paths"])}
        if path == "/journal":
            return [self.told(entry) for entry in self.entries(session)]
        if path == "/journal/reset":
            return self.reset(session)
        if path == "/sessions":
            return {"sessions": self.sessions()}
        if path == "/scenarios/reset":
            self.control.ask("DELETE", "/scripts", session=session or None)
            return {"status": "ok"}
        if path.startswith("/scenarios/"):
            return self.arm(path.split("/", 2)[2], session, body)
        if path == "/push":
            return self.push(body["frame"], session or body.get("session_id") or "")
        if path == "/inbound_call":
            return self.inbound(body, session)
        if path == "/scenario_play":
            return self.play(body)
        raise KeyError(path)


class Server(ThreadingHTTPServer):
    """Answers the interface of the suites."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], adapter: Adapter) -> None:
        super().__init__(address, Answer)
        self.adapter = adapter


class Answer(BaseHTTPRequestHandler):
    """One connection of the interface of the suites."""

    protocol_version = "HTTP/1.1"
    server: Server

    def answer(self) -> None:
        """Read a request, do what it asks for, and say what came of it."""
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        url = urllib.parse.urlsplit(self.path)
        session = dict(urllib.parse.parse_qsl(url.query)).get("session_id", "")
        status, said = 200, None
        try:
            said = self.server.adapter.route(url.path.removeprefix("/__mock__"), session, body)
        except KeyError as error:
            status, said = 404, {"error": str(error)}
        except Refused as error:
            status, said = error.status, {"error": str(error)}
        except Exception as error:
            status, said = 500, {"error": repr(error)}
        data = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged."""


@contextmanager
def simulating(*options: str, project: str, token: str) -> Iterator[tuple[str, Control]]:
    """A simulator in a process of its own: its WebSocket URL and its control interface."""
    key = secrets.token_urlsafe(24)
    settings = {
        "SIGNALWIRE_PROJECT_ID": project,
        "SIGNALWIRE_API_TOKEN": token,
        "RELAY_SIMULATOR_CONTROL_TOKEN": key,
    }
    command = [sys.executable, "-m", "relay_sync", "simulate", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **settings}) as process:
        assert process.stdout is not None
        try:
            said: dict[str, str] = {}
            for line in process.stdout:
                name, _, value = line.strip().partition("=")
                said[name] = value
                if line.startswith("ready"):
                    break
            else:
                raise RuntimeError(f"the simulator ended with {process.wait()}")
            threading.Thread(target=process.stdout.read, daemon=True).start()  # what else it says
            yield said["SIGNALWIRE_SPACE"], Control(said["RELAY_SIMULATOR_CONTROL"], key)
        finally:
            process.terminate()
            try:
                process.wait(LONGEST)
            except subprocess.TimeoutExpired:
                process.kill()


def options(arguments: list[str] | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="A simulator behind the control interface of the public RELAY suites.")
    parser.add_argument("--ws-port", type=int, default=8773)
    parser.add_argument("--http-port", type=int, default=9773)
    parser.add_argument("--host", default="127.0.0.1")
    for unused in ("--log-level", "--finish-streams"):
        parser.add_argument(unused, help="taken and not used")
    parser.add_argument("--passive", action="store_true", help="a method has no consequence but its acknowledgement")
    parser.add_argument("--no-ringing", action="store_true", help="an offered call stays in created")
    parser.add_argument("--media", default="realtime", choices=("realtime", "fast"))
    parser.add_argument("--allow-remote", action="store_true")
    parser.add_argument(
        "--strict-calls", action="store_true", help="a call that only pushed events reported is unknown"
    )
    parser.add_argument("--dial-winner", default="boolean")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Serve until the process is ended."""
    given = options(arguments)
    wanted = {
        "--acknowledge-only": given.passive,
        "--fast": given.media == "fast",
        "--allow-remote": given.allow_remote,
    }
    fixed = ["--accept-any-credentials", "--ping-interval", "0", "--journal-limit", "200000"]
    place = ["--host", given.host, "--dial-winner", given.dial_winner]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    flags = [name for name, chosen in wanted.items() if chosen]
    with simulating(*fixed, *place, *flags, project="test_proj", token="test_tok") as (url, control):
        behind = urllib.parse.urlsplit(url)
        assert behind.hostname is not None
        assert behind.port is not None
        with (
            Front((given.host, given.ws_port), (behind.hostname, behind.port)) as front,
            Server((given.host, given.http_port), Adapter(control, given, front.credentials)) as server,
        ):
            threading.Thread(target=front.serve_forever, daemon=True).start()
            ports = {"ws_port": front.server_address[1], "http_port": server.server_address[1]}
            print(json.dumps(ports), flush=True)
            server.serve_forever()


if __name__ == "__main__":
    main()
