"""Types of a call whose audio can be streamed, and of the options of its stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .stream import StreamingAction

if TYPE_CHECKING:
    from typing import TypedDict

    from ..events import StreamEvent

    class StreamOptions(TypedDict, total=False):
        """Options that ``listen`` passes to ``call.stream``.

        :ivar name: name of the stream, included in its events.
        :ivar status_url: HTTP(S) URL that receives status callbacks for the stream.
        :ivar status_url_method: HTTP method of the status callbacks, ``POST`` (the default) or ``GET``.
        :ivar control_id: ID of the new action, unique within the call.
        :ivar on_completed: function that is called with the final event when the action has ended.
        :ivar extra: additional command parameters that this SDK does not define.
        """

        name: str | None
        status_url: str | None
        status_url_method: Literal["GET", "POST"] | str | None
        control_id: str | None
        on_completed: Callable[[StreamEvent], object] | None
        extra: Mapping[str, Any] | None


__all__ = ["StreamableCall"]


class StreamableCall(Protocol):
    """Protocol for calls whose audio can be streamed, such as :class:`relay_sync.Call`."""

    def stream(self, *args: Any, **kwargs: Any) -> StreamingAction:
        """Start a stream with ``url``, ``track``, ``codec``, ``authorization_bearer_token`` and ``custom_parameters``."""
