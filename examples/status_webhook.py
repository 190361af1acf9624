"""Receive status callbacks in your web server when a stream starts and ends.

python examples/status_webhook.py --simulate
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from _network import SIMULATE, network, receiver, required

from relay_sync import Call
from relay_sync.hosts.origins import refusal

told = threading.Semaphore(0)


class Hook(BaseHTTPRequestHandler):
    timeout = 10  # seconds for a request to arrive

    def do_POST(self) -> None:
        why = refusal(self.headers["Origin"], self.headers["Host"], on_loopback=True, public_url=status_url)
        if why is not None:  # a web page in a browser on this machine; the platform sends no Origin
            print("refused:", why)
            self.send_error(403)
            return
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        try:
            print("webhook:", event["event_type"], event["params"]["state"])
        finally:
            told.release()

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
    told.acquire(timeout=10)  # webhooks are best effort and may arrive after the call
web.shutdown()
web.server_close()
