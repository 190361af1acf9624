"""Handles for running operations. Each class declares its method, its event type, and which events report progress or the end."""

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
