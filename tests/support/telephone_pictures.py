"""Draws the pictures of the telephone in ``docs/images``: ``python -m tests.support.telephone_pictures [FOLDER]``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from relay_sync import Call, RelayClient
from relay_sync.audio import AudioServer
from relay_sync.simulator import ControlInterface, Simulator, speech
from tests.support import PATIENCE, ROOT
from tests.support.background import until
from tests.support.browser import browser, telephone

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["PICTURES", "draw"]

#: The lower of both levels, and where it shows a waveform.
LEVELS: Final = "Math.min(...['said', 'heard'].map((side) => document.getElementById(`${side}-level`).value))"
LOUD: Final = 0.75

#: Options of the browser by the name of the picture.
PICTURES: Final[dict[str, dict[str, Any]]] = {
    "telephone": {"color_scheme": "light", "viewport": {"width": 1280, "height": 860}},
    "telephone-dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 860}},
    "telephone-narrow": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
}


def _is_loud(page: Page) -> bool:
    return bool(page.evaluate(LEVELS) >= LOUD)


def draw(folder: Path) -> None:
    """Draw all pictures."""
    with TemporaryDirectory() as scratch, Simulator() as sim, ControlInterface(sim) as control, AudioServer() as audio:
        microphone = Path(scratch) / "caller.wav"
        microphone.write_bytes(speech.caller().read_bytes())
        with RelayClient(**sim.credentials, contexts=["default"]) as client:

            @client.on_call
            def handle(call: Call) -> None:
                call.answer()
                call.play_tts("Welcome to Example Inc. How can I help you?").wait(PATIENCE)
                with audio.connect(call, codec="PCMU") as stream:
                    stream.play(stream)

            @client.on_message
            def received(message: Any) -> None:
                client.send_message(
                    to_number=message.from_number, from_number=message.to_number, body="Until six o'clock."
                )

            client.connect()
            for name, options in PICTURES.items():
                with browser(microphone=microphone, **options) as page:
                    telephone(page, control)
                    page.fill("#body", "When do you close?")
                    page.locator("#text button").click()
                    page.click("#call")
                    page.locator("#calls", has_text="program: connect").first.wait_for()
                    page.locator("#keys button", has_text="5").click()
                    until(partial(_is_loud, page))
                    page.screenshot(path=folder / f"{name}.png")


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
