"""The sound of the telephone's page, without its clock: what the audio thread sends and plays, sample by sample."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support import ROOT
from tests.support.browser import browser

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

SOURCE: Final = (ROOT / "relay_sync/simulator/http/telephone/worklet.js").read_text(encoding="utf-8")
#: Runs the processor at a context's rate. It is called for each block of 128 samples, as the browser calls it. Frames of a tone
#: of 440 Hz arrive, some of them at once in the beginning, and then by the sender's clock.
RUN: Final = """
([source, rate, { seconds, burst = 0, faster = 0, gap = 0 }]) => {
  let Line;
  const frames = [];
  class AudioWorkletProcessor {
    constructor() {
      this.port = { postMessage: (each) => each instanceof ArrayBuffer && frames.push(each) };
    }
  }
  const given = ["sampleRate", "AudioWorkletProcessor", "registerProcessor", source];
  new Function(...given)(rate, AudioWorkletProcessor, (_, found) => (Line = found));
  const line = new Line({ processorOptions: { rate: 16000 } });
  line.port.onmessage({ data: { sending: true } });
  const tone = (index, of) => Math.sin((2 * Math.PI * 440 * index) / of) / 2;
  let arrived = 0;
  const arrive = () => {
    const view = new DataView(new ArrayBuffer(8 + 2 * 320));
    view.setUint32(0, arrived * 20, true);
    view.setUint32(4, 16000, true);
    for (let at = 0; at < 320; at++) view.setInt16(8 + 2 * at, 32767 * tone(arrived * 320 + at, 16000), true);
    arrived += 1;
    line.port.onmessage({ data: view.buffer });
  };
  const rises = (samples) => samples.filter((each, at) => at && samples[at - 1] < 0 && each >= 0).length;
  let played = [];
  for (let at = 0; at < seconds * rate; at += 128) {
    const now = at / rate;
    const late = now > 1 && now < 1 + gap;
    while (!late && arrived * 0.02 <= now * (1 + faster) + burst) arrive();
    const [input, output] = [0, 0].map(() => new Float32Array(128));
    for (let each = 0; each < 128; each++) input[each] = tone(at + each, rate);
    line.process([[input]], [[output]]);
    played.push(...output);
    played = played.slice(-rate);
  }
  const samples = frames.slice(-50).flatMap((frame) => [...new Int16Array(frame, 4)]);
  const positions = frames.map((frame) => new DataView(frame).getUint32(0, true));
  return {
    ...line.stats,
    waiting: line.queue.length / rate,
    depth: line.depth,
    played: rises(played),
    sent: rises(samples),
    frames: frames.length,
    inOrder: positions.every((each, index) => each === index * 320),
  };
}
"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as found:
        yield found


def ran(page: Page, rate: int, **options: float) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(RUN, [SOURCE, rate, options])
    return found


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_the_rate_of_the_context_changes_neither_pitch_nor_speed(page: Page, rate: int) -> None:
    found = ran(page, rate, seconds=3)
    assert found["played"] in (439, 440, 441)
    assert found["sent"] in (439, 440, 441)
    assert found["frames"] in (149, 150)
    assert found["inOrder"]
    assert (found["underruns"], found["trimmed"]) == (0, 0)


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_a_buffer_that_was_filled_at_the_start_does_not_stay_full(page: Page, rate: int) -> None:
    """In a tone there is no silence to leave out."""
    found = ran(page, rate, seconds=5, burst=0.24)
    assert found["waiting"] < 0.06
    assert 0.18 < found["trimmed"] < 0.24
    assert found["underruns"] == 0


def test_a_clock_that_is_a_little_faster_does_not_fill_the_buffer(page: Page) -> None:
    found = ran(page, 48_000, seconds=15, faster=0.01)
    assert found["waiting"] < 0.1
    assert found["underruns"] == 0


def test_late_audio_is_one_underrun_and_makes_the_buffer_deeper(page: Page) -> None:
    before, after = (ran(page, 48_000, seconds=4, gap=gap) for gap in (0.0, 0.1))
    assert (before["underruns"], after["underruns"]) == (0, 1)
    assert after["depth"] > before["depth"]
    assert after["waiting"] < 0.2
