"""A response that ``on_request`` promises and another thread provides.

The loop continues with its other sockets in the meantime.
"""

from __future__ import annotations

from collections.abc import Callable

from .http import Response
from .loop import Loop

__all__ = ["Later"]


class Later:
    """A promised response. It is sent when :meth:`provide` is called, which must happen eventually.

    :ivar gone: whether the response is no longer needed, because the peer has disconnected or ended its side, or because the
        server has closed. A thread that waits for something on the peer's behalf can then stop waiting.
    """

    __slots__ = ("_loop", "_response", "_send", "gone")

    def __init__(self) -> None:
        self.gone: bool = False
        self._response: Response | None = None
        self._loop: Loop | None = None
        self._send: Callable[[Response], object] | None = None

    def provide(self, response: Response) -> None:
        """Send the response, unless the connection has closed. Only the first response is sent. For any thread.

        :param response: the response.
        """
        if self._response is None:
            self._response = response
        loop = self._loop
        if loop is not None:  # otherwise, attach() finds the response
            loop.call_soon(self._deliver)

    def attach(self, loop: Loop, send: Callable[[Response], object]) -> None:
        """Set the function that sends the response. Called once, on the loop thread.

        :param loop: loop of the connection.
        :param send: function that sends the response.
        """
        self._send, self._loop = send, loop
        if self._response is not None:
            self._deliver()

    def abandon(self) -> None:
        """Discard the response, because the connection has closed. Called on the loop thread."""
        self.gone = True
        self._send = None

    def _deliver(self) -> None:
        send, self._send = self._send, None
        if send is not None and self._response is not None:
            send(self._response)
