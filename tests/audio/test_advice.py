"""Errors and warnings that give advice: what they advise fits what happened."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relay_sync import InvalidParameter, StreamAction, StreamFailed, StreamIsOneWay
from relay_sync.audio import AudioServer, AudioStream, codec_for, read_wav
from relay_sync.audio.recorder import Recorder
from relay_sync.audio.recording_files import spool_file
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.carrier import Carrier
from tests.support.lines import line

PCMU = codec_for("PCMU")


def _stream(audio: AudioServer, *tracks: str) -> tuple[AudioStream, bytes]:
    """A stream that is over, and what was said in it."""
    carrier = Carrier(audio.url).start(*tracks)
    said = carrier.speech()
    carrier.stop()
    stream = audio.accept(PATIENCE)
    assert stream.wait(PATIENCE)
    carrier.ws.shutdown()  # type: ignore[no-untyped-call]
    return stream, said


# -- save() ------------------------------------------------------------------------------------------------------------


def test_save_says_why_nothing_was_kept_although_the_server_spools(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nowhere"])
    monkeypatch.setattr(tempfile, "tempdir", None)
    with AudioServer() as audio:
        stream, said = _stream(audio)
        assert stream.read(10) == said
        with pytest.raises(OSError, match="No usable temporary directory") as caught:
            stream.save(tmp_path / "x.wav")
    assert "spool=" not in str(caught.value)
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_save_says_why_nothing_was_kept_although_the_server_records(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with AudioServer(record_to=tmp_path / "file" / "{call_id}.wav", spool=False) as audio:
        stream, _ = _stream(audio)
        with pytest.raises(OSError, match="its file could not be created") as caught:
            stream.save(tmp_path / "x.wav")
    assert "file" in str(caught.value.__cause__)
    assert "spool=" not in str(caught.value)


def test_save_advises_a_spool_where_there_is_none(tmp_path: Path) -> None:
    with AudioServer(spool=False) as audio:
        stream, _ = _stream(audio)
        with pytest.raises(ValueError, match="spool=True or record_to"):
            stream.save(tmp_path / "x.wav")


class FullDisk:
    """``os.pwrite`` for a disk on which a file can grow to so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, handle: int, data: memoryview, offset: int) -> int:
        fits = self.room - offset
        if fits <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.pwrite(handle, data[:fits], offset)


needs_pwrite = pytest.mark.skipif(not hasattr(os, "pwrite"), reason="needs os.pwrite")


@needs_pwrite
@pytest.mark.parametrize("record", [False, True])
def test_after_a_full_disk_what_is_there_can_still_be_had(
    record: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay_sync.audio.recorder._pwrite", FullDisk(44 + 2000))
    with AudioServer(record_to=tmp_path / "{call_id}.wav" if record else None) as audio:
        stream, said = _stream(audio)
        assert len(said) > 2000
        with pytest.raises(OSError, match=r"incomplete: .* contains its first 0\.12 s.*No space left") as caught:
            stream.save(tmp_path / "kept.wav")
        assert str(tmp_path / "kept.wav") in str(caught.value)
        assert stream.read(10) == said  # readers lose nothing
        if record:
            assert read_wav(stream.recorded_to or "").pcm == said[:2000]
    assert read_wav(tmp_path / "kept.wav").pcm == said[:2000]


@needs_pwrite
def test_a_disk_without_any_room_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay_sync.audio.recorder._pwrite", FullDisk(44))
    with AudioServer() as audio:
        stream, _ = _stream(audio)
        with pytest.raises(OSError, match="incomplete, no audio was written"):
            stream.save(tmp_path / "x.wav")
    assert not list(tmp_path.iterdir())


@needs_pwrite
@pytest.mark.parametrize("room", [1000, 1500, 1999])
def test_a_disk_that_is_full_while_mono_becomes_stereo_keeps_the_mono_part(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay_sync.audio.recorder._COPY", 300)
    recorder = Recorder(spool_file(), 8000, 1)
    pcm = bytes(range(250)) * 4
    recorder.add(0, 0, pcm)
    recorder.flush()
    monkeypatch.setattr("relay_sync.audio.recorder._pwrite", FullDisk(44 + room))
    recorder.widen(0)
    recorder.add(1, 500, pcm)
    with pytest.raises(OSError, match="incomplete"):
        recorder.copy_to(tmp_path / "x.wav")
    recorder.close()
    saved = read_wav(tmp_path / "x.wav")
    assert saved.channels == 1
    assert saved.pcm == pcm[: len(saved.pcm)]
    assert len(saved.pcm) >= 300


# -- streams that do not come ------------------------------------------------------------------------------------------


class Nobody:
    """A call whose stream never comes, or is over at once."""

    error: BaseException | None = None

    def __init__(self, is_done: bool) -> None:
        self.is_done = is_done

    def stream(self, **options: Any) -> Nobody:
        return self

    def stop(self) -> None:
        pass


@pytest.mark.parametrize("ends", [False, True])
def test_where_no_socket_comes_the_advice_is_about_the_address_that_was_given(ends: bool) -> None:
    with AudioServer() as audio, pytest.raises(StreamFailed, match=r"a real account needs public_url=") as here:
        audio.listen(Nobody(ends), timeout=0.05)
    with AudioServer(public_url="wss://audio.example.com") as audio, pytest.raises(StreamFailed) as there:
        audio.listen(Nobody(ends), timeout=0.05)
    assert "DNS, firewall, proxy, certificate" in str(there.value)
    assert "public_url=" not in str(there.value)
    for text in (str(here.value), str(there.value)):
        assert "codec" not in text  # PCMU, which all have


def test_a_codec_is_blamed_only_where_it_may_be_the_reason() -> None:
    with AudioServer() as audio:
        for codec, blamed in (("PCMA", False), ("pcmu@8000h", False), ("L16@16000h", True), ("OPUS", True)):
            with pytest.raises(StreamFailed) as caught:
                audio.listen(Nobody(True), codec=codec, timeout=0.05)
            assert ("does not support this codec" in str(caught.value)) is blamed


def test_how_to_speak_depends_on_how_the_stream_came(sim: Simulator) -> None:
    with AudioServer() as audio:
        stream, _ = _stream(audio)
        with pytest.raises(StreamIsOneWay, match="two_way=True"):
            stream.play(bytes(320))
    with line(sim) as one, AudioServer() as audio, audio.listen(one.call) as stream:
        with pytest.raises(StreamIsOneWay, match=r"instead of listen\(\)") as caught:
            stream.play(bytes(320))
    assert "two_way" not in str(caught.value)


@pytest.mark.parametrize(("tracks", "wrong"), [(("inbound",), True), (("inbound", "outbound"), False)])
def test_silence_on_both_tracks_is_no_wrong_track(
    tracks: tuple[str, ...], wrong: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with AudioServer() as audio:
        carrier = Carrier(audio.url).start(*tracks)
        for _ in range(60):
            for track in tracks:
                carrier.media(b"\xff" * 160, track=track)
        carrier.stop()
        assert audio.accept(PATIENCE).wait(PATIENCE)
        carrier.ws.shutdown()  # type: ignore[no-untyped-call]
    (line,) = [record.getMessage() for record in caplog.records if "only silence" in record.getMessage()]
    assert ("wrong track" in line) is wrong


# -- libraries ---------------------------------------------------------------------------------------------------------


def _run(folder: Path, code: str, **files: str) -> str:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "app.py").write_text(code)
    run = subprocess.run([sys.executable, "app.py"], cwd=folder, capture_output=True, text=True, timeout=60)
    return run.stdout + run.stderr


def test_a_module_that_websockets_misses_is_not_told_as_websockets_missing(tmp_path: Path) -> None:
    """A program's own ``secrets.py`` hides the one of Python."""
    text = _run(
        tmp_path, "from relay_sync.audio import AudioServer", secrets="raise ImportError('mine', name='secrets')"
    )
    assert "mine" in text
    assert "pip install" not in text


def test_another_module_called_websockets_is_named(tmp_path: Path) -> None:
    text = _run(tmp_path, "from relay_sync.audio import AudioServer", websockets="")
    assert "need the websockets package" in text
    assert str(tmp_path / "websockets.py") in text


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("numpy", "from relay_sync.audio import Resampler"),
        ("av", "from relay_sync.audio import decoder_for; decoder_for('OPUS')"),
    ],
)
def test_an_extra_that_is_there_but_broken_is_not_advised(tmp_path: Path, module: str, use: str) -> None:
    broken = "raise ImportError('libsomething.so.6: cannot open shared object file', name='_core')"
    text = _run(tmp_path, use, **{module: broken})
    assert "libsomething.so.6" in text.splitlines()[-1]
    assert "pip install" not in text.splitlines()[-1]
    (tmp_path / f"{module}.py").unlink()
    text = _run(tmp_path, f"import sys; sys.modules[{module!r}] = None; {use}")
    assert "pip install" in text.splitlines()[-1]


# -- call.stream() by itself -------------------------------------------------------------------------------------------


def _streamed(
    sim: Simulator, url: str, use: Callable[[StreamAction], object], caplog: pytest.LogCaptureFixture
) -> list[str]:
    """The warnings of the SDK after ``use(action)``."""
    with line(sim) as one:
        use(one.call.stream(url))
        one.phone.hang_up()
    return [record.getMessage() for record in caplog.records if record.name == "relay_sync"]


@pytest.mark.parametrize("host", ["127.0.0.1:9", "nobody.example.com"])
def test_a_stream_that_could_not_be_opened_is_no_normal_end(
    sim: Simulator, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    results: list[Any] = []
    scheme = "wss" if "example" in host else "ws"
    lines = _streamed(sim, f"{scheme}://{host}/audio", lambda action: results.append(action.wait(PATIENCE)), caplog)
    (result,) = results
    assert (result.state, result.reason, result.synthetic) == ("finished", "never_streamed", False)
    (line,) = [each for each in lines if "without ever streaming" in each]
    assert host in line


@pytest.mark.parametrize("state", ["not started", "closed"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "audio.example.com"])
def test_a_literal_address_of_a_receiver_that_does_not_listen(
    sim: Simulator, state: str, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    # An address for each case: receivers of others may live on until they are collected.
    public, port = f"wss://{state[:3]}.{host}/audio" if "example" in host else None, 9 if state == "closed" else 11
    audio = AudioServer(port=port, public_url=public)
    if state == "closed":
        audio.close()
    lines = _streamed(sim, public or f"ws://{host}:{port}/audio", lambda action: action.wait(PATIENCE), caplog)
    (line,) = [each for each in lines if "without ever streaming" in each]
    assert f"an AudioServer in this program has that address, but is {state}" in line
    del audio


def test_another_receiver_s_state_is_no_reason(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    others = [AudioServer(port=10), AudioServer()]
    lines = _streamed(sim, "ws://127.0.0.1:13/audio", lambda action: action.wait(PATIENCE), caplog)
    assert not [line for line in lines if "of this program" in line]
    del others


def test_the_address_of_a_receiver_is_its_url() -> None:
    with pytest.raises(AttributeError, match=r"its url is the address to give to call\.stream"):
        AudioServer().public_url  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(AudioServer(), "nothing_of_the_kind")


def test_a_stream_that_flowed_or_was_stopped_is_a_normal_end(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    with AudioServer() as audio:
        results: list[Any] = []

        def until_it_ends(action: StreamAction) -> None:
            stream = audio.accept(PATIENCE)
            action.stop()
            results.append(action.wait(PATIENCE))
            stream.close()

        lines = _streamed(sim, audio.url, until_it_ends, caplog)
    assert results[0].reason == ""
    assert not [line for line in lines if "without ever streaming" in line]


def test_a_stream_that_was_stopped_while_it_was_opened_is_a_normal_end(
    sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    results: list[Any] = []

    def stop(action: StreamAction) -> None:
        action.stop()
        results.append(action.wait(PATIENCE))

    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes the connection, and never answers
        lines = _streamed(sim, f"ws://127.0.0.1:{silent.getsockname()[1]}/audio", stop, caplog)
    assert (results[0].state, results[0].reason) == ("finished", "")
    assert not [line for line in lines if "without ever streaming" in line]


def test_a_url_with_a_password_is_refused(sim: Simulator) -> None:
    with line(sim) as one, pytest.raises(InvalidParameter) as caught:
        one.call.stream("ws://user:tell-nobody@127.0.0.1:9/")
    assert "tell-nobody" not in str(caught.value)
