"""Receive status callbacks for a stream in a web server.

python examples/status_webhook.py --simulate
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from _network import SIMULATE, network, receiver, required

from relay_sync import Call
from relay_sync.hosts.origins import refusal

received = threading.Semaphore(0)


class Hook(BaseHTTPRequestHandler):
    timeout = 10  # maximum time for a request to arrive, in seconds

    def do_POST(self) -> None:
        why = refusal(self.headers["Origin"], self.headers["Host"], on_loopback=True, public_url=status_url)
        if why is not None:  # the request comes from a web page in a browser, not from the platform
            print("refused:", why)
            self.send_error(403)
            return
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        try:
            print("webhook:", event["event_type"], event["params"]["state"])
        finally:
            received.release()

    def log_message(self, *args: object) -> None: ...


web = ThreadingHTTPServer(("127.0.0.1", 0 if SIMULATE else 8080), Hook)
threading.Thread(target=web.serve_forever, daemon=True).start()
if SIMULATE:
    status_url = f"http://127.0.0.1:{web.server_port}/"
else:
    status_url = required("STATUS_URL", "the address that leads to port 8080 of this machine")

with receiver() as audio, network() as client:

    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        call.stream(audio.url, codec="PCMU", status_url=status_url, status_url_method="POST").wait()

    client.run()

for _ in ("streaming", "finished"):
    received.acquire(timeout=10)  # status callbacks may arrive after the end of the call, or not at all
web.shutdown()
web.server_close()
