"""The simulator's pure parts: voices, formats, carrier, journal, waiting, the speech that comes with it."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import sys
import threading
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync.audio.dsp import resample
from relay_sync.audio.wav import read_wav, write_wav
from relay_sync.errors import InvalidParameter, WaitTimeout
from relay_sync.simulator import Entry, Journal, Simulator, speech
from relay_sync.simulator.core.journal import masked
from relay_sync.simulator.core.noticeboard import Noticeboard
from relay_sync.simulator.media.carrier import Carrier
from relay_sync.simulator.media.formats import Format, parse_codec
from relay_sync.simulator.media.voice import RATES, Voice, load_voice
from tests.support.modules import MODULES, imported, name_of, subpackage

SAMPLES = st.lists(st.integers(-32768, 32767), max_size=80).map(lambda each: struct.pack(f"<{len(each)}h", *each))


@given(SAMPLES, st.sampled_from(RATES), st.sampled_from([8000, 16000, 24000]), st.integers(1, 50))
def test_frames_of_a_voice_make_up_the_whole_at_any_rate(pcm: bytes, source: int, rate: int, size: int) -> None:
    voice = Voice(pcm, source)
    total = voice.samples_at(rate)
    whole = voice.render(0, total, rate)
    assert len(whole) == 2 * total
    pieces = b"".join(voice.render(start, size, rate) for start in range(0, total, size))
    assert pieces[: 2 * total] == whole
    assert voice.render(total + 48000 // 8000, size, rate) == bytes(2 * size)
    assert whole == resample(pcm, source, rate)


@given(SAMPLES, st.sampled_from(RATES), st.sampled_from([8000, 16000, 24000]), st.integers(1, 50))
def test_interpolated_frames_make_up_the_whole_and_stay_within_it(
    pcm: bytes, source: int, rate: int, size: int
) -> None:
    """What is done without the extra ``dsp``."""
    voice = Voice(pcm, source)
    total = voice.samples_at(rate)
    whole = voice.interpolate(0, total, rate)
    assert len(whole) == 2 * total
    pieces = b"".join(voice.interpolate(start, size, rate) for start in range(0, total, size))
    assert pieces[: 2 * total] == whole
    assert voice.interpolate(total + 48000 // 8000, size, rate) == bytes(2 * size)
    if pcm:
        samples = array("h", pcm)
        assert min(0, *samples) - 1 <= min(array("h", whole), default=0)
        assert max(array("h", whole), default=0) <= max(0, *samples)


def test_without_the_extra_dsp_voices_are_interpolated() -> None:
    code = """
import sys
sys.modules["numpy"] = None  # an import of it fails
from relay_sync.simulator.media.voice import Voice
voice = Voice(bytes(range(200)), 8000)
print(voice.render(3, 70, 16000) == voice.interpolate(3, 70, 16000) != bytes(140))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


@pytest.mark.parametrize("source", RATES)
@pytest.mark.parametrize("rate", [8000, 16000, 24000])
def test_a_tone_is_the_same_tone_at_another_rate(source: int, rate: int) -> None:
    def tone(at: int) -> list[int]:
        return [round(10000 * math.sin(2 * math.pi * 300 * index / at)) for index in range(at // 10)]

    voice = Voice(array("h", tone(source)).tobytes(), source)
    rendered = array("h", voice.interpolate(0, rate // 10, rate))
    wanted = tone(rate)
    fine = array("h", voice.render(0, rate // 10, rate))
    assert max(abs(a - b) for a, b in zip(fine[100:-100], wanted[100:-100], strict=True)) <= 1
    # Averaging delays by up to half an output sample; leave the ends alone.
    for index in range(5, len(wanted) - 5):
        low, high = min(wanted[index - 1 : index + 2]), max(wanted[index - 1 : index + 2])
        assert low - 400 <= rendered[index] <= high + 400


@pytest.mark.parametrize("rate", RATES)
def test_wav_files_are_read(tmp_path: Path, rate: int) -> None:
    pcm = struct.pack("<4h", 1, -2, 3, -4)
    write_wav(tmp_path / "a.wav", pcm, rate)
    assert load_voice(tmp_path / "a.wav", "says") == load_voice(str(tmp_path / "a.wav"), "says") == Voice(pcm, rate)


def test_audio_that_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    write_wav(tmp_path / "stereo.wav", bytes(4), 8000, 2)
    write_wav(tmp_path / "odd.wav", bytes(2), 11025)
    for name in ("text", "stereo", "odd"):
        with pytest.raises(InvalidParameter, match="says"):
            load_voice(tmp_path / f"{name}.wav", "says")
    with pytest.raises(FileNotFoundError):
        load_voice(tmp_path / "none.wav", "says")


@pytest.mark.parametrize(("path", "least"), [(speech.caller(), 6.0), (speech.greeting(), 3.5)])
def test_the_speech_of_the_package(path: Path, least: float) -> None:
    audio = read_wav(path)
    assert (audio.sample_rate, audio.channels) == (8000, 1)
    assert least < audio.duration < least + 3
    samples = array("h", audio.pcm)
    assert 20000 < max(map(abs, samples)) < 32767
    assert len(path.with_suffix(".txt").read_text().split()) > 10
    assert path.stat().st_size < 150_000


_MODIFIERS = st.lists(st.tuples(st.integers(0, 50_000), st.sampled_from("hicHIx")), max_size=3)
_CODECS = st.builds(
    lambda base, given: base + "".join(f"@{number}{letter}" for number, letter in given),
    st.sampled_from(["PCMU", "pcma", "L16", "OPUS", "x9", ""]),
    _MODIFIERS,
)


@given(st.text(max_size=12) | _CODECS)
def test_any_codec_text_is_read_or_refused(text: str) -> None:
    try:
        form = parse_codec(text, 20)
    except ValueError as problem:
        refused = str(problem)
        assert refused.startswith("codec")
    else:
        assert form.base == text.split("@")[0].upper()
        if form.playable:
            assert form.samples == form.rate * form.ptime // 1000 > 0


def test_the_ptime_of_the_simulator_holds_unless_the_codec_says_otherwise() -> None:
    assert parse_codec(None, 30) == Format(base="PCMU", rate=8000, ptime=30)
    assert parse_codec("L16@40i@24000h", 30) == Format(base="L16", rate=24000, ptime=40)
    assert parse_codec("OPUS", 30) == Format(base="OPUS", rate=48000, ptime=20)  # Opus has no 30 ms
    assert parse_codec("OPUS", 40) == Format(base="OPUS", rate=48000, ptime=40)


def test_a_packet_that_is_lost_was_encoded_all_the_same() -> None:
    """What comes after the hole is what it would be without one."""
    voice = Voice(bytes(range(256)) * 20, 16000)
    told: list[list[str]] = []
    for lost in (False, True):
        carrier = Carrier(format=Format(base="G722", rate=16000), voices={"inbound": voice}, account="a", call_id="c")
        carrier.opening()
        carrier.tick()
        carrier.skip() if lost else carrier.tick()
        told.append([json.loads(carrier.tick()["inbound"][0])["media"]["payload"] for _ in range(3)])
    assert told[0] == told[1]


def test_skipped_intervals_leave_a_hole_in_every_count() -> None:
    carrier = Carrier(format=Format(base="L16"), voices={"inbound": Voice(bytes(1600))}, account="a", call_id="c")
    carrier.opening()
    carrier.tick()
    carrier.skip()
    told = json.loads(carrier.tick()["inbound"][0])
    assert told["sequenceNumber"] == "4"
    assert (told["media"]["chunk"], told["media"]["timestamp"]) == ("3", "40")


JSON = st.recursive(
    st.text(max_size=3) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "token", "password"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_masking_hides_secrets_and_changes_nothing_else(value: object) -> None:
    def check(before: object, after: object) -> None:
        if isinstance(before, dict):
            assert isinstance(after, dict)
            assert before.keys() == after.keys()
            for name in before:
                if name in ("token", "password") and before[name]:
                    assert after[name] == "<hidden>"
                else:
                    check(before[name], after[name])
        elif isinstance(before, list):
            assert isinstance(after, list)
            for left, right in zip(before, after, strict=True):
                check(left, right)
        else:
            assert before == after

    check(value, masked(value))


def test_the_journal_is_bounded_and_its_dump_is_readable() -> None:
    journal = Journal(limit=3)
    for number in range(5):
        journal.add("in", 1, {"jsonrpc": "2.0", "id": str(number), "method": "m", "params": {"token": "s3cr3t"}})
    journal.add("in", 2, None, "not json, s3cr3t")
    assert (len(journal), journal.dropped) == (3, 3)
    assert [frame["id"] for frame in journal.requests("m")] == ["3", "4"]
    lines = journal.dump().splitlines()
    assert len(lines) == 3
    assert "#2 16 characters that are not JSON" in lines[2]
    assert "s3cr3t" not in journal.dump() + repr(list(journal)) + repr(journal)
    deep: object = {}
    for _ in range(5000):
        deep = [deep]
    journal.add("in", 1, deep)
    assert "<deeper>" in journal.dump()
    journal.clear()
    assert list(journal) == []


def test_waiting_for_a_frame_looks_at_each_once_past_or_to_come() -> None:
    journal = Journal(limit=4)
    looked: list[int] = []
    reached = threading.Event()

    def wanted(entry: Entry) -> bool:
        looked.append(entry.frame["id"])
        if entry.frame["id"] == 1:
            reached.set()
        return bool(entry.frame["id"] == 7)

    def add() -> None:
        assert reached.wait(5)
        for number in range(2, 9):  # more than the journal keeps, while somebody waits
            journal.add("in", 1, {"id": number})
            if number == 3:
                journal.clear()

    journal.add("in", 1, {"id": 0})
    journal.add("in", 1, {"id": 1})
    thread = threading.Thread(target=add)
    thread.start()
    assert journal.wait_for(wanted, 5).frame == {"id": 7}
    thread.join(5)
    assert looked == sorted(set(looked))
    assert looked[:2] == [0, 1]
    with pytest.raises(WaitTimeout):
        journal.wait_for(lambda entry: False, 0.01)


def test_odd_frames_have_no_method_and_no_type() -> None:
    journal = Journal()
    odd: list[object] = [
        7,
        [],
        {"method": 7},
        {"method": "signalwire.event", "params": []},
        {"method": "m", "params": 1},
    ]
    for frame in odd:
        journal.add("in", 1, frame)
    assert [entry.method for entry in journal] == ["", "", "", "signalwire.event", "m"]
    assert [entry.event_type for entry in journal] == [""] * 5
    assert [entry.params for entry in journal] == [{}] * 5


def test_waiting_ends_with_what_was_waited_for_or_in_time() -> None:
    board = Noticeboard()
    found: list[int] = []
    started = threading.Event()

    def look() -> int | None:
        started.set()
        return found[0] if found else None

    def bring() -> None:
        assert started.wait(5)
        found.append(7)
        board.changed()

    thread = threading.Thread(target=bring)
    thread.start()
    assert board.wait_for(look, 5, "seven") == 7
    thread.join(5)
    with pytest.raises(WaitTimeout, match="the moon"):
        board.wait_for(lambda: False, 0.01, "the moon")


def test_the_simulator_starts_at_once_and_imports_no_requests() -> None:
    import subprocess
    import sys
    import time

    code = "import relay_sync.simulator, sys; print('requests' in sys.modules, 'asyncio' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert told.stdout.split()[0] == "False"
    times = []
    for _ in range(10):
        began = time.process_time()  # other programs may take the machine meanwhile
        with Simulator():
            times.append(time.process_time() - began)
    assert min(times) < 0.5


#: What checks values that the simulator's users give it, from a program or over the control interface.
USERS_OWN = (
    *("requests.py", "scenario.py", "noticeboard.py", "given.py", "voice.py"),
    *("kinds.py", "scripts.py", "scripting.py", "script_requests.py"),
)


@pytest.mark.static
def test_the_simulator_knows_nothing_of_the_client() -> None:
    """What verbs send and what the simulator takes come from two tables: with one, both would share one misreading."""
    allowed = {"audio", "errors", "hosts", "origins", "params", "protocol", "server", "simulator", "text", "threads"}
    found = []
    for path in MODULES:
        if subpackage(path) != "simulator":
            continue
        for name in imported(path, types=True):
            parts = name.split(".")
            if parts[0] == "asyncio" or (parts[0] == "relay_sync" and parts[1] not in allowed):
                found.append(f"{name_of(path)}: {name}")
            if name == "relay_sync.params.nested" or (parts[:2] == ["relay_sync", "protocol"] and parts[2] != "depth"):
                found.append(f"{name_of(path)}: {name}")  # how deep a text is nested is of no protocol
            # What comes over RELAY is the simulator's to read.
            if name == "relay_sync.params.values" and path.name not in USERS_OWN:
                found.append(f"{name_of(path)}: {name}")
    assert not found
