"""The modules whose names users rely on."""

from __future__ import annotations

from typing import Final

import relay_sync
import relay_sync.audio
import relay_sync.audio.speech
import relay_sync.events
import relay_sync.observing
import relay_sync.rest
import relay_sync.simulator
import relay_sync.webhooks

MODULES: Final = (
    relay_sync,
    relay_sync.audio,
    relay_sync.audio.speech,
    relay_sync.events,
    relay_sync.observing,
    relay_sync.rest,
    relay_sync.simulator,
    relay_sync.webhooks,
)
