"""Message authentication codes for the callback's path and for session tokens.

HMAC-SHA256 over a purpose and its fields, 256 bits, base64url. Every function takes the keys that are valid at the
moment, newest first: during a rotation the old key still verifies. An older key is asked for only when no newer one
fits.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from likeness.domain.ids import SESSION_ID

Keys = Iterable[bytes]


def _mac(key: bytes, purpose: str, *fields: str) -> str:
    # "\n" can't stand in any field, so no two lists of fields give the same text.
    text = "\n".join((purpose, *fields)).encode()
    return base64.urlsafe_b64encode(hmac.new(key, text, hashlib.sha256).digest()).rstrip(b"=").decode()


def _matches(keys: Keys, given: str, purpose: str, *fields: str) -> bool:
    candidate = given.encode("utf-8", "replace")
    return any(hmac.compare_digest(_mac(key, purpose, *fields).encode(), candidate) for key in keys)


def sign_callback(keys: Keys, session_id: str, attempt: int) -> str:
    """The signature in ``/callback/{session_id}/{attempt}/{signature}``; binds both."""
    return _mac(next(iter(keys)), "callback", session_id, str(attempt))


def callback_is_authentic(keys: Keys, session_id: str, attempt: int, signature: str) -> bool:
    """Whether we made this callback URL, compared in constant time."""
    return _matches(keys, signature, "callback", session_id, str(attempt))


@dataclass(frozen=True, slots=True)
class SessionToken:
    """What a good session token says: whose session, and until when (epoch seconds)."""

    session_id: str
    client_id: str
    expires_at: int


def issue_session_token(keys: Keys, session_id: str, client_id: str, expires_at: int) -> str:
    """``st_<session id>.<client id>.<expiry>.<mac>``: what the invite link carries in its fragment."""
    mac = _mac(next(iter(keys)), "session-token", session_id, client_id, str(expires_at))
    return f"st_{session_id}.{client_id}.{expires_at}.{mac}"


def read_session_token(keys: Keys, token: str, now: float) -> SessionToken | None:
    """The token's content, or None when it is malformed, forged or expired."""
    parts = token.removeprefix("st_").split(".")
    if not token.startswith("st_") or len(parts) != 4 or not (token.isascii() and token.isprintable()):
        return None
    session_id, client_id, expiry, mac = parts
    if not SESSION_ID.fullmatch(session_id) or not (expiry.isascii() and expiry.isdigit()):
        return None
    if not _matches(keys, mac, "session-token", session_id, client_id, expiry) or int(expiry) <= now:
        return None
    return SessionToken(session_id, client_id, int(expiry))
