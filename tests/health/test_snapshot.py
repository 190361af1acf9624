"""The report of a process: what its clients and audio servers have done, even if they are gone."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from relay_sync import Call, ClientStats, LatencyHistogram, RelayClient, receivers
from relay_sync.audio import AudioServer
from relay_sync.audio.stats import AudioServerStats
from relay_sync.constants import LATENCY_BOUNDS
from relay_sync.health import beat
from relay_sync.health.metrics import metrics_text
from relay_sync.health.report import EVERY, LONGEST, Report
from relay_sync.health.single import OwnHealth
from relay_sync.health.snapshot import Snapshots
from relay_sync.simulator import Simulator
from relay_sync.threads import sources
from tests.conftest import MakeClient
from tests.support import PATIENCE
from tests.support.background import until
from tests.support.clocks import HOUR, leapt
from tests.support.health import overview, process, series
from tests.support.lines import FROM, TO


class StuckSnapshots(Snapshots):
    """Makes one report, and waits before the second one until the event is set."""

    def __init__(self, goes_on: threading.Event) -> None:
        self._goes_on = goes_on
        self._made = 0

    def report(self, *, over: bool = False) -> Report:
        self._made += 1
        assert self._made == 1 or self._goes_on.wait(PATIENCE)
        return Report()


def shown(report: Report) -> dict[str, float]:
    return series(metrics_text(overview(process(report=report))))


def value(snapshots: Snapshots, name: str) -> float:
    return shown(snapshots.report()).get(name, 0)


def call_once(sim: Simulator, count: int = 1) -> None:
    for number in range(count):
        sim.call(to=TO, from_=f"+1555010{number:04}").wait_until("ended", PATIENCE)


def answering(client: RelayClient) -> RelayClient:
    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        call.hangup()

    client.connect()
    return client


TAKEN = 'relay_inbound_calls_total{process="0",result="taken"}'
FRAMES = 'relay_audio_frames_total{process="0"}'


def test_the_client_that_runs_decides_whether_the_process_is_connected(client: MakeClient) -> None:
    mine, other = client(), client()
    snapshots = Snapshots(mine)
    assert not snapshots.report().connected
    other.connect()
    assert not snapshots.report().connected
    mine.connect()
    report = snapshots.report()
    assert (report.connected, report.draining, report.over) == (True, False, False)
    assert report.threads >= 2
    mine.drain(1)
    assert snapshots.report().draining
    mine.disconnect()
    assert not snapshots.report(over=True).connected


def test_several_clients_are_summed_and_one_that_is_gone_still_counts(sim: Simulator, client: MakeClient) -> None:
    snapshots = Snapshots(client())
    first = RelayClient(**sim.credentials, contexts=["default"])
    before = value(snapshots, TAKEN)
    answering(first)
    call_once(sim, 3)
    until(lambda: value(snapshots, TAKEN) == before + 3)
    first.disconnect()
    seen = weakref.ref(first)
    del first
    until(lambda: gc.collect() >= 0 and seen() is None)
    assert value(snapshots, TAKEN) == before + 3
    answering(client())
    call_once(sim, 2)
    until(lambda: value(snapshots, TAKEN) == before + 5)


def test_an_audio_server_that_is_gone_still_counts(client: MakeClient, sim: Simulator) -> None:
    mine = client()
    snapshots = Snapshots(mine)
    before = value(snapshots, FRAMES)
    servers = [AudioServer()]

    @mine.on_call
    def handle(call: Call) -> None:
        call.answer()
        with servers[0].listen(call) as stream:
            for _ in stream:
                pass

    mine.connect()
    sim.call(to=TO, from_=FROM, says=bytes(16000), hangs_up_after_speaking=True).wait_until("ended", PATIENCE)
    until(lambda: value(snapshots, FRAMES) == before + 50)
    assert value(snapshots, 'relay_audio_streams_total{process="0"}') >= 1
    servers[0].close()
    seen = weakref.ref(servers.pop())
    until(lambda: gc.collect() >= 0 and seen() is None)
    assert value(snapshots, FRAMES) == before + 50


CLIENT = ClientStats(
    live_calls=1,
    calls_taken=2,
    calls_returned=3,
    calls_dialed=4,
    handlers=5,
    callbacks_running=6,
    callbacks_queued=7,
    callbacks_dropped=8,
    commands_pending=9,
    latency=LatencyHistogram(counts=tuple(range(1, len(LATENCY_BOUNDS) + 2)), sum=10.5),
    command_errors={"CallEnded": 11},
    callback_errors={"other": 12},
    connection_errors={"ConnectError": 13},
    reconnects=14,
    messages_sent=15,
    messages_received=16,
)
AUDIO = AudioServerStats(
    connections=17,
    streams=18,
    waiting=19,
    turn=20.5,
    behind=True,
    streams_started=21,
    frames=22,
    bytes=23,
    gaps=24,
    missing=25.5,
    late=26,
    duplicates=27,
    bad_frames=28,
    dropped=29,
    refused={"no_token": 30, "something_new": 31},
)
#: What the metrics say of them.
SAID = {
    'calls{process="0"}': 1,
    'inbound_calls_total{process="0",result="taken"}': 2,
    'inbound_calls_total{process="0",result="returned"}': 3,
    'dials_total{process="0"}': 4,
    'handlers{process="0"}': 5,
    'callbacks{process="0",state="running"}': 6,
    'callbacks{process="0",state="queued"}': 7,
    'callbacks_dropped_total{process="0"}': 8,
    'commands_pending{process="0"}': 9,
    'command_duration_seconds_bucket{process="0",le="0.001"}': 1,
    'command_duration_seconds_bucket{process="0",le="0.005"}': 1 + 2 + 3,
    'command_duration_seconds_count{process="0"}': sum(range(1, len(LATENCY_BOUNDS) + 2)),
    'command_duration_seconds_sum{process="0"}': 10.5,
    'command_errors_total{process="0",kind="CallEnded"}': 11,
    'callback_errors_total{process="0",kind="other"}': 12,
    'connection_errors_total{process="0",kind="ConnectError"}': 13,
    'reconnects_total{process="0"}': 14,
    'messages_total{process="0",direction="sent"}': 15,
    'messages_total{process="0",direction="received"}': 16,
    'audio_connections{process="0"}': 17,
    'audio_streams{process="0"}': 18,
    'audio_streams_waiting{process="0"}': 19,
    'audio_behind{process="0"}': 1,
    'audio_streams_total{process="0"}': 21,
    'audio_frames_total{process="0"}': 22,
    'audio_bytes_total{process="0"}': 23,
    'audio_gaps_total{process="0"}': 24,
    'audio_missing_seconds_total{process="0"}': 25.5,
    'audio_late_frames_total{process="0"}': 26,
    'audio_duplicate_frames_total{process="0"}': 27,
    'audio_bad_frames_total{process="0"}': 28,
    'audio_dropped_frames_total{process="0"}': 29,
    'audio_refused_total{process="0",kind="no_token"}': 30,
    'audio_refused_total{process="0",kind="other"}': 31,
}


class Fixed:
    """An object whose statistics never change."""

    def __init__(self, stats: object) -> None:
        self._stats = stats

    def stats(self) -> object:
        return self._stats

    def start(self) -> None:
        """Do nothing."""


def test_metrics_are_the_numbers_of_the_statistics(client: MakeClient) -> None:
    snapshots = Snapshots(client())
    before = shown(snapshots.report())
    mine = [Fixed(CLIENT), Fixed(AUDIO), Fixed(AudioServerStats(turn=1.5))]
    sources.clients.add(mine[0])
    for each in mine[1:]:
        receivers.enlist(each)
    after = shown(snapshots.report())
    grown = {name.removeprefix("relay_"): after[name] - before.get(name, 0) for name in after}
    assert {name: grown[name] for name in SAID} == pytest.approx(SAID)
    assert after['relay_audio_turn_seconds{process="0"}'] == 20.5, "that of the slowest"


def test_statistics_that_cannot_be_read_leave_the_others(
    client: MakeClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mine = client()
    snapshots = Snapshots(mine)
    audio = AudioServer()
    before = value(snapshots, TAKEN)
    monkeypatch.setattr(AudioServer, "stats", lambda self: 1 / 0)
    for _ in range(3):
        report = snapshots.report()
        assert shown(report)[TAKEN] == before
    assert caplog.text.count("the statistics of a client or an audio server cannot be read") == 1
    monkeypatch.undo()
    audio.close()


def test_a_process_says_of_itself_what_its_reports_say(client: MakeClient) -> None:
    mine, own = client(), OwnHealth()
    seen = own.look()
    assert (seen.processes[0].report, seen.processes[0].number) == (None, 0)
    own.start(Snapshots(mine))
    until(lambda: own.look().processes[0].report is not None)
    mine.connect()
    until(lambda: (own.look().processes[0].report or Report()).connected)
    assert own.look().processes[0].silence < 5 * EVERY
    own.close()
    own.close()


def test_a_process_that_was_suspended_is_judged_by_its_next_report(
    client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beat, "EVERY", 0.1)
    own = OwnHealth()
    own.start(Snapshots(client()))
    until(lambda: own.look().processes[0].report is not None)
    with leapt(HOUR):
        assert own.look().processes[0].silence < 1
    own.close()


def test_a_process_that_makes_no_reports_is_silent() -> None:
    own = OwnHealth()
    own.start(StuckSnapshots(stuck := threading.Event()))
    until(lambda: own.look().processes[0].report is not None)
    with leapt(HOUR):
        assert own.look().processes[0].silence >= HOUR
    stuck.set()
    own.close()


def test_the_thread_of_the_reports_survives_a_report_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    class Failing:
        def __init__(self) -> None:
            self.tried = threading.Event()

        def report(self) -> Report:
            if not self.tried.is_set():
                self.tried.set()
                raise LookupError("a mistake")
            return Report(threads=7)

    own, failing = OwnHealth(), Failing()
    own.start(failing)  # type: ignore[arg-type]
    until(lambda: own.look().processes[0].report == Report(threads=7))
    own.close()
    assert "a report of this process failed" in caplog.text


@pytest.mark.slow
def test_the_number_of_series_is_the_same_after_a_thousand_calls(sim: Simulator, client: MakeClient) -> None:
    mine = client()
    snapshots = Snapshots(mine)

    class Mine(ValueError):
        pass

    @mine.on_call
    def handle(call: Call) -> None:
        call.answer()
        call.hangup()
        number = int(call.from_number[-4:])
        if number % 10 == 9:
            # A class of its own for each: a label of its own would be a series of its own.
            raise type(f"Mine{number}", (Mine,), {})(call.call_id)
        if number % 10 == 8:
            call.wait_for_answered(1)  # CallEnded

    mine.connect()
    done = 0

    def take(count: int) -> dict[str, float]:
        nonlocal done
        for number in range(done, done + count):
            sim.call(to=TO, from_=f"+1555010{number:04}")
        done += count
        until(lambda: mine.stats().calls_taken == done and not mine.stats().handlers)
        sim.journal.clear()  # it keeps a limited number of entries
        return shown(snapshots.report())

    few = take(20)
    for _ in range(49):
        many = take(20)
    assert many.keys() == few.keys()
    assert many[TAKEN] - few[TAKEN] == 980
    assert many['relay_callback_errors_total{process="0",kind="other"}'] >= 100
    assert len(many) < 120
    assert len(snapshots.report().encode()) < LONGEST / 10
