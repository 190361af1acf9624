"""Actions where the official SDK returns the server's reply."""

from __future__ import annotations

from typing import Any

__all__ = ["ReadableAsReply"]


class ReadableAsReply:
    """Lets an action be read like the reply that started it, so that programs that do so go on working."""

    reply: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.reply[name]

    def __contains__(self, name: object) -> bool:
        return name in self.reply

    def get(self, name: str, default: Any = None) -> Any:
        """A member of the server's reply: ``code``, ``message``, ..."""
        return self.reply.get(name, default)
