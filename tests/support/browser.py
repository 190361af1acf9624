"""A headless Chromium with the telephone's page, a fake microphone, and a recorder of what the page says and plays."""

from __future__ import annotations

import base64
import time
import wave
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import pi, sin
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from relay_sync.simulator import ControlInterface
from tests.support import PATIENCE
from tests.support.programs import need

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["BEEP", "LIMIT", "PAUSE", "Recorded", "beeps", "browser", "frequencies", "telephone", "write_beeps"]

#: Milliseconds within which the page must do what a test expects.
LIMIT: Final = 5_000
#: Sample rate of microphone files in Hz, which is not the rate of the page's audio.
RATE: Final = 48_000
#: Length of a beep and of the silence after it, in seconds.
BEEP, PAUSE = 0.08, 0.12
#: Records both sides in one ScriptProcessor, so that the samples of both belong to the same time. The page knows nothing of it.
#: The buffers are as long as possible, because a busy page loses buffers that it does not take in time.
RECORDER: Final = """
(() => {
  const connect = AudioNode.prototype.connect;
  const recorded = (window.recorded = { rate: 0, said: [], heard: [] });
  const mergers = new WeakMap();
  const merger = (context) => {
    if (!mergers.has(context)) {
      const node = new ChannelMergerNode(context, { numberOfInputs: 2 });
      const writer = context.createScriptProcessor(16384, 2, 1);
      recorded.rate = context.sampleRate;
      writer.onaudioprocess = ({ inputBuffer }) => {
        for (const [index, name] of ["said", "heard"].entries()) {
          const samples = inputBuffer.getChannelData(index);
          recorded[name].push(Int16Array.from(samples, (each) => Math.max(-1, Math.min(1, each)) * 32767));
        }
      };
      connect.call(node, writer);
      connect.call(writer, context.destination);
      mergers.set(context, node);
    }
    return mergers.get(context);
  };
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode && this instanceof AudioWorkletNode)
      connect.call(this, merger(this.context), 0, 1);
    if (target instanceof AudioWorkletNode) connect.call(this, merger(this.context), 0, 0);
    return connect.call(this, target, ...rest);
  };
})();
"""
LENGTH: Final = "recorded.heard.length * 16384 / recorded.rate"
READ: Final = """
async () => {
  const packed = {};
  for (const name of ["said", "heard"]) {
    const bytes = new Uint8Array(await new Blob(recorded[name]).arrayBuffer());
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    packed[name] = btoa(text);
  }
  return [recorded.rate, packed.said, packed.heard];
}
"""


@frozen
class Recorded:
    """What the page has said and played, sample by sample.

    :ivar rate: sample rate of the page's audio in Hz.
    """

    rate: int
    said: array[int]
    heard: array[int]

    @classmethod
    def of(cls, page: Page) -> Recorded:
        rate, said, heard = page.evaluate(READ)
        return cls(int(rate), *(array("h", base64.b64decode(each)) for each in (said, heard)))

    @classmethod
    def after(cls, page: Page, seconds: float, *, timeout: float = PATIENCE) -> Recorded:
        """The recording, once it has this length."""
        end = time.monotonic() + timeout
        while page.evaluate(LENGTH) < seconds:
            assert time.monotonic() < end
            page.wait_for_timeout(100)
        return cls.of(page)


def frequencies(count: int) -> list[int]:
    """Frequencies in Hz that a telephone line carries, and that tests tell apart."""
    return [500 + 170 * (index % 14) for index in range(count)]


def write_beeps(path: Path, count: int, *, silence: float = 1.5) -> Path:
    """Write a file for a fake microphone: silence, then beeps."""
    samples = array("h", bytes(2 * int(silence * RATE)))
    for frequency in frequencies(count):
        for index in range(int(BEEP * RATE)):
            swell = min(1.0, index / 240, (BEEP * RATE - index) / 240)
            samples.append(int(16_000 * swell * sin(2 * pi * frequency * index / RATE)))
        samples.extend([0] * int(PAUSE * RATE))
    samples.extend([0] * RATE)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return path


def beeps(samples: Sequence[int], rate: int) -> list[tuple[float, int]]:
    """The start in seconds and the nearest known frequency of each beep in a recording.

    A beep that an underrun has interrupted counts once, unlike one that was played twice.
    """
    step = rate // 500
    loud = [max(map(abs, samples[at : at + step]), default=0) > 2_500 for at in range(0, len(samples), step)]
    found: list[tuple[float, int]] = []
    at = 0
    while at < len(loud):
        if not loud[at]:
            at += 1
            continue
        end = at
        while end < len(loud) and any(loud[end : end + 3]):
            end += 1
        if end - at >= 10:  # 20 ms
            start, pitch = at * step / rate, _pitch(samples[(at + 1) * step : (end - 1) * step], rate)
            if not found or found[-1][1] != pitch or start - found[-1][0] > BEEP + PAUSE:
                found.append((start, pitch))
        at = end
    return found


def _pitch(samples: Sequence[int], rate: int) -> int:
    rises = [index for index in range(1, len(samples)) if samples[index - 1] < 0 <= samples[index]]
    measured = rate * (len(rises) - 1) / (rises[-1] - rises[0]) if len(rises) > 1 else 0.0
    return min(frequencies(14), key=lambda each: abs(each - measured))


@contextmanager
def browser(
    *, microphone: Path | None = None, allowed: bool = True, resolve: Mapping[str, str] | None = None, **options: Any
) -> Iterator[Page]:
    """An empty page in a headless Chromium.

    :param microphone: WAV file that the fake microphone plays once, from the moment it is opened.
    :param allowed: whether the page may use the microphone.
    :param resolve: addresses of host names.
    :param options: options of the browser's context.
    """
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--use-fake-device-for-media-stream"]
    if microphone is not None:
        arguments.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    if resolve:
        arguments.append("--host-resolver-rules=" + ", ".join(f"MAP {name} {to}" for name, to in resolve.items()))
    if not allowed:
        arguments.append("--deny-permission-prompts")
    with sync_playwright() as player:
        chromium = player.chromium.launch(executable_path=str(need("chromium")), args=arguments)
        try:
            context = chromium.new_context(permissions=["microphone"] if allowed else [], **options)
            context.set_default_timeout(LIMIT)
            context.add_init_script(RECORDER)
            yield context.new_page()
        finally:
            chromium.close()


def telephone(page: Page, control: ControlInterface) -> Page:
    """Open the telephone in a page, and wait until it is connected."""
    page.goto(control.link)
    page.locator("#link.good").wait_for()
    return page
