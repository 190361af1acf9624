"""Proof that a process knows a secret: the secret itself, or an answer to a challenge that does not contain it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

__all__ = ["is_proof", "new_challenge", "proof_of", "same_secret"]


def same_secret(given: Any, wanted: str) -> bool:
    """Compare a value that another process sent with a secret, in constant time."""
    return isinstance(given, str) and hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), wanted.encode("utf-8", "surrogatepass")
    )


def new_challenge() -> str:
    """Return a random text for which the other process is to prove that it knows the secret."""
    return secrets.token_urlsafe(24)


def proof_of(secret: str, challenge: str) -> str:
    """Return the proof: HMAC-SHA256 of the challenge with the secret as the key, in hexadecimal digits."""
    return hmac.new(secret.encode(), challenge.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def is_proof(given: object, secret: str, challenge: str) -> bool:
    """Return whether a value that the other process sent is the proof."""
    return same_secret(given, proof_of(secret, challenge))
