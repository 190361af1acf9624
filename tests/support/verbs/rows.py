"""The table of verbs: every verb of a call, one row each or more."""

from __future__ import annotations

from tests.support.verbs.input import INPUT
from tests.support.verbs.places import CONFERENCE, ROUTING
from tests.support.verbs.services import AI, FAX_PAY
from tests.support.verbs.sound import CONTROL, LISTENING, MEDIA, STREAM

ROWS = [*CONTROL, *STREAM, *MEDIA, *INPUT, *ROUTING, *LISTENING, *CONFERENCE, *FAX_PAY, *AI]
