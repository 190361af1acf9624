"""Handles for operations that run on a call, such as playback and recording.

Each class declares the method that starts the action, its event type, and the events that end it.
"""

from __future__ import annotations

from .base import Action, OnCompleted, PausableAction, StoppableAction, VolumeAction, reason_of
from .input import CollectAction, DetectAction, SendDigitsAction, StandaloneCollectAction
from .media import (
    FaxAction,
    PlayAction,
    ReceiveFaxAction,
    RecordAction,
    SendFaxAction,
    StreamAction,
    TapAction,
    TranscribeAction,
)
from .services import AIAction, PayAction, QueueAction

__all__ = [
    "AIAction",
    "Action",
    "CollectAction",
    "DetectAction",
    "FaxAction",
    "OnCompleted",
    "PausableAction",
    "PayAction",
    "PlayAction",
    "QueueAction",
    "ReceiveFaxAction",
    "RecordAction",
    "SendDigitsAction",
    "SendFaxAction",
    "StandaloneCollectAction",
    "StoppableAction",
    "StreamAction",
    "TapAction",
    "TranscribeAction",
    "VolumeAction",
    "reason_of",
]
