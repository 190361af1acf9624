"""The telephone's page in a real browser: what somebody who clicks, types and speaks on it gets from a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Final

import pytest
from attrs import define

from relay_sync import Call, RelayClient
from relay_sync.audio import AudioServer
from relay_sync.simulator import ControlInterface, Simulator
from tests.support import PATIENCE
from tests.support.background import until
from tests.support.browser import Recorded, beeps, browser, frequencies, telephone, write_beeps
from tests.support.peers import NUMBER

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

#: Impacts of problems that axe may not find.
SERIOUS: Final = ("serious", "critical")
#: What a page of another site tries. The result lists what it got.
INTRUDE: Final = """
async (url) => {
  const got = {};
  const attempt = async (name, act) => { try { got[name] = await act(); } catch { got[name] = "nothing"; } };
  await attempt("calls", async () => (await fetch(`${url}/simulator/calls`)).status);
  await attempt("page", async () => (await fetch(`${url}/`)).status);
  const call = { method: "POST", mode: "no-cors", body: '{"to": "+15550100", "from": "+15550199"}' };
  await attempt("write", async () => (await fetch(`${url}/simulator/calls`, call)).type);
  for (const path of ["/simulator/telephone", "/"])
    await attempt(path, () => new Promise((done) => {
      const socket = new WebSocket(url.replace("http", "ws") + path);
      socket.onopen = () => done("open");
      socket.onerror = () => done("nothing");
    }));
  return got;
}
"""
#: Keeps the tracks of the microphone.
OPENED: Final = """
window.opened = [];
const open = MediaDevices.prototype.getUserMedia;
MediaDevices.prototype.getUserMedia = async function (wanted) {
  const stream = await open.call(this, wanted);
  window.opened.push(...stream.getTracks());
  return stream;
};
"""


@define(eq=False)
class Stage:
    sim: Simulator
    control: ControlInterface

    @contextmanager
    def program(
        self, handle: Callable[[Call], object] = lambda call: call.wait_for_ended(PATIENCE)
    ) -> Iterator[RelayClient]:
        """A program that answers calls and then does something with them."""

        def answer(call: Call) -> None:
            call.answer()
            handle(call)

        with RelayClient(**self.sim.credentials, contexts=["default"]) as client:
            client.on_call(answer)
            client.connect()
            yield client

    @contextmanager
    def echo(self) -> Iterator[None]:
        """A program that plays to callers what they say."""
        with AudioServer() as audio:

            def echo(call: Call) -> None:
                with audio.connect(call, codec="PCMU") as stream:
                    stream.play(stream)

            with self.program(echo):
                yield


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Simulator() as sim, ControlInterface(sim) as control:
        yield Stage(sim, control)


def shows(page: Page, text: str) -> None:
    page.locator("#state", has_text=text).wait_for()


def call(page: Page) -> None:
    page.click("#call")
    shows(page, "Connected to +15550100")


@pytest.mark.alone
def test_each_of_14_beeps_comes_back_once_and_in_order(stage: Stage, tmp_path: Path) -> None:
    microphone = write_beeps(tmp_path / "beeps.wav", 14)
    with stage.echo(), browser(microphone=microphone) as page:
        telephone(page, stage.control)
        call(page)
        recorded = Recorded.after(page, 6.0)
        said, heard = (
            [frequency for _, frequency in beeps(samples, recorded.rate)] for samples in (recorded.said, recorded.heard)
        )
        assert said == frequencies(14)
        assert heard == frequencies(14)
        page.click("#hangup")
        shows(page, "Call ended (hangup)")


def test_a_file_is_spoken_and_levels_are_shown(stage: Stage, tmp_path: Path) -> None:
    file = write_beeps(tmp_path / "beeps.wav", 5, silence=0.2)
    with stage.echo(), browser(allowed=False) as page:
        telephone(page, stage.control)
        page.check("input[value=file]")
        page.set_input_files("#file", str(file))
        call(page)
        page.click("#play")
        until(lambda: page.evaluate("document.getElementById('said-level').value") > 0.5)
        until(lambda: page.evaluate("document.getElementById('heard-level').value") > 0.5)
        recorded = Recorded.after(page, 3.0)
        assert [frequency for _, frequency in beeps(recorded.heard, recorded.rate)] == frequencies(5)
        assert page.locator("#notice").is_hidden()


def test_keys_arrive_from_the_mouse_and_from_the_keyboard(stage: Stage) -> None:
    pressed: SimpleQueue[str] = SimpleQueue()

    def ask(call: Call) -> None:
        action = call.collect(digits={"max": 4, "digit_timeout": 5.0}, initial_timeout=10.0)
        result = action.wait(PATIENCE)
        pressed.put(result.digits or "")

    with stage.program(ask), browser() as page:
        telephone(page, stage.control)
        call(page)
        (phone,) = stage.sim.phones
        phone.wait_until_doing("calling.collect", PATIENCE)
        page.locator("#keys button", has_text="5").click()
        page.keyboard.press("0")
        page.fill("#words", "12")  # digits that are written into a field are not keys
        page.locator("h1").click()
        page.keyboard.press("*")
        page.keyboard.press("#")
        assert pressed.get(timeout=PATIENCE) == "50*#"
        assert page.locator("#calls", has_text="pressed: *").count() == 1


def test_an_incoming_call_rings_and_is_answered_and_the_program_hangs_up(stage: Stage) -> None:
    with stage.program() as client, browser() as page:
        telephone(page, stage.control)
        dialed: SimpleQueue[Call] = SimpleQueue()
        thread = Thread(target=lambda: dialed.put(client.dial(to=NUMBER, from_="+15550100")), name="test-dial")
        thread.start()
        shows(page, "+15550100 calls you")
        assert "+15550100 calls" in page.title()
        assert page.evaluate("document.activeElement.id") == "answer"
        page.keyboard.press("Enter")
        found = dialed.get(timeout=PATIENCE)
        shows(page, "Connected to +15550100")
        assert page.locator("#calls li li", has_text="telephone: created").count() == 1
        found.hangup()
        shows(page, "Call ended (hangup)")
        thread.join(PATIENCE)


def test_a_call_is_declined_and_one_is_hung_up_by_the_program(stage: Stage) -> None:
    with stage.program(lambda call: call.hangup()) as client, browser() as page:
        telephone(page, stage.control)
        page.click("#call")
        shows(page, "Call ended (hangup)")
        failed: SimpleQueue[str] = SimpleQueue()

        def dial() -> None:
            try:
                client.dial(to=NUMBER, from_="+15550100")
            except Exception as error:
                failed.put(str(error))

        thread = Thread(target=dial, name="test-dial")
        thread.start()
        shows(page, "calls you")
        page.click("#hangup")
        assert "decline" in failed.get(timeout=PATIENCE)
        shows(page, "Call ended (decline)")
        thread.join(PATIENCE)


def test_without_permission_the_telephone_is_silent_but_has_keys(stage: Stage) -> None:
    with stage.program(), browser(allowed=False) as page:
        telephone(page, stage.control)
        call(page)
        page.locator("#notice", has_text="No microphone (NotAllowedError)").wait_for()
        page.locator("#keys button", has_text="7").click()
        page.locator("#calls", has_text="pressed: 7").wait_for()
        page.click("#mute")
        assert page.get_attribute("#mute", "aria-pressed") == "true"
        page.click("#hangup")
        shows(page, "Call ended")


def test_without_a_call_the_microphone_is_off(stage: Stage) -> None:
    with stage.program(), browser() as page:
        page.add_init_script(OPENED)
        telephone(page, stage.control)
        page.fill("#to", "x")
        page.click("#call")
        page.locator("#detail", has_text="expected a telephone number").wait_for()
        until(lambda: page.evaluate("opened.length === 1 && opened[0].readyState === 'ended'"))
        page.fill("#to", "+15550100")
        call(page)
        until(lambda: page.evaluate("opened.length === 2 && opened[1].readyState === 'live'"))
        page.click("#hangup")
        until(lambda: page.evaluate("opened[1].readyState === 'ended'"))


def test_a_reload_ends_the_call_and_forgets_the_key(stage: Stage) -> None:
    with stage.program(), browser() as page:
        telephone(page, stage.control)
        assert page.url == f"http://127.0.0.1:{stage.sim.port}/"
        call(page)
        (phone,) = stage.sim.phones
        page.reload()
        phone.wait_until("ended", PATIENCE)
        page.locator("#link.bad", has_text="no key, as after a reload: open the link that the terminal").wait_for()
        telephone(page, stage.control)  # the link in the same tab, which differs only in the fragment
        assert stage.control.key not in page.url


def test_a_wrong_key_is_explained(stage: Stage) -> None:
    with browser() as page:
        page.goto(f"http://127.0.0.1:{stage.sim.port}/#key=wrong")
        page.locator("#link.bad", has_text="the key is wrong: open the link that the terminal shows").wait_for()


def test_the_page_shows_whether_a_program_is_connected(stage: Stage) -> None:
    with browser() as page:
        telephone(page, stage.control)
        page.locator("#program.bad", has_text="No program connected").wait_for()
        with stage.program():
            page.locator("#program.good", has_text="Program connected").wait_for()
            page.goto("about:blank")
            telephone(page, stage.control)
            page.locator("#program.good", has_text="Program connected").wait_for()
        page.locator("#program.bad", has_text="No program connected").wait_for()


def test_a_simulator_that_goes_and_comes_back_is_shown(stage: Stage) -> None:
    with browser() as page:
        telephone(page, stage.control)
        port, key = stage.sim.port, stage.control.key
        with stage.program():
            page.locator("#program.good").wait_for()
        page.locator("#program.bad").wait_for()
        frames = page.locator("#wire > li")
        until(lambda: frames.count() == len(stage.sim.journal))
        before = frames.count()
        stage.control.close()
        stage.sim.close()
        page.locator("#link.bad", has_text="not running").wait_for()
        with Simulator(port=port) as sim, ControlInterface(sim, key=key) as control:
            page.locator("#link.good").wait_for()
            with Stage(sim, control).program():  # The frames of another simulator are numbered from 0 again.
                page.locator("#program.good").wait_for()
            until(lambda: frames.count() == before + len(sim.journal))


def test_faults_are_switched(stage: Stage) -> None:
    with stage.program() as client, browser() as page:
        telephone(page, stage.control)
        before = len(stage.sim.journal.requests("signalwire.connect"))
        page.click("#cut")
        page.locator("#faults", has_text="was cut").wait_for()
        until(lambda: len(stage.sim.journal.requests("signalwire.connect")) > before)
        client.wait_until_ready(PATIENCE)
        page.click("#refuse")
        page.locator("#faults", has_text="will be refused").wait_for()
        page.select_option("#event", "play")
        page.locator("#lose button").click()
        page.locator("#faults", has_text="calling.call.play will be lost").wait_for()
        assert len(stage.sim.faults.unused()) == 2
        page.click("#clear-faults")
        until(lambda: not stage.sim.faults.unused())
        page.click("#slow")
        page.locator("#slow[aria-pressed=true]").wait_for()
        page.click("#slow")
        page.locator("#slow[aria-pressed=false]").wait_for()


def test_texts_go_to_the_program(stage: Stage) -> None:
    received: SimpleQueue[str] = SimpleQueue()
    with stage.program() as client, browser() as page:
        client.on_message(lambda message: received.put(message.body))
        telephone(page, stage.control)
        page.fill("#body", "Good morning")
        page.keyboard.press("Enter")
        assert received.get(timeout=PATIENCE) == "Good morning"


def test_texts_of_the_program_are_shown_and_the_wire_is_filtered(stage: Stage) -> None:
    with stage.program() as client, browser() as page:
        telephone(page, stage.control)
        page.locator("#wire > li", has_text="signalwire.connect").wait_for()
        message = client.send_message(to_number=NUMBER, from_number="+15550100", body="Good evening")
        message.wait(PATIENCE)
        page.locator("#texts li", has_text=f"program → {NUMBER}: Good evening").wait_for()
        page.locator("#texts li", has_text=f"{NUMBER}: delivered").wait_for()
        page.fill("#filter", "Evening")
        page.locator("#wire > li:visible", has_text="messaging.send").wait_for()
        page.locator("#wire > li", has_text="signalwire.connect").wait_for(state="hidden")
        shown = page.locator("#wire > li:visible").all_text_contents()
        assert shown
        assert all("Good evening" in each for each in shown)
        page.fill("#filter", "")
        page.locator("#wire > li:visible", has_text="signalwire.connect").wait_for()


def test_a_text_without_a_program_waits_and_a_wrong_one_is_explained_beside_it(stage: Stage) -> None:
    with browser() as page:
        telephone(page, stage.control)
        page.fill("#body", "Good morning")
        page.keyboard.press("Enter")
        page.locator("#text-problem", has_text="waits, because no program is connected").wait_for()
        with stage.program():
            page.locator("#program.good").wait_for()
            assert page.inner_text("#text-problem") == ""
            page.fill("#to", "x")
            page.fill("#body", "Good morning")
            page.keyboard.press("Enter")
            page.locator("#text-problem", has_text="expected a telephone number").wait_for()


def test_a_page_of_another_site_gets_nothing(stage: Stage) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f'<iframe src="http://127.0.0.1:{stage.sim.port}/"></iframe>'.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,), name="test-site")
    thread.start()
    try:
        with browser(resolve={"rebound.test": "127.0.0.1"}) as page:
            for site in (f"http://localhost:{server.server_port}/", f"http://rebound.test:{server.server_port}/"):
                page.goto(site)
                got = page.evaluate(INTRUDE, f"http://127.0.0.1:{stage.sim.port}")
                assert set(got.values()) <= {"nothing", "opaque"}
                assert page.frames[1].url.startswith("chrome-error:")
            answer = page.goto(f"http://rebound.test:{stage.sim.port}/")
            assert answer is not None
            assert answer.status == 403
            assert set(page.evaluate(INTRUDE, f"http://rebound.test:{stage.sim.port}").values()) <= {
                403,
                "nothing",
                "basic",
            }
        assert stage.sim.phones == []
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_axe_finds_nothing_serious(stage: Stage, scheme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with stage.program(), browser(color_scheme=scheme, viewport={"width": width, "height": 900}) as page:
        telephone(page, stage.control)
        found = [Axe().run(page)]
        call(page)
        found.append(Axe().run(page))
        problems = [
            (each["id"], [node["html"] for node in each["nodes"]])
            for results in found
            for each in results.response["violations"]
            if each["impact"] in SERIOUS
        ]
        assert problems == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_a_mouse_everything_is_reached_in_order(stage: Stage) -> None:
    with browser() as page:
        telephone(page, stage.control)
        names = []
        for _ in range(40):
            page.keyboard.press("Tab")
            names.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        wanted = ["to", "context", "call", "1", "#", "body", "cut", "refuse", "slow", "event", "filter", "wire"]
        places = [names.index(each) for each in wanted]
        assert places == sorted(places)
