"""Message authentication codes for the paths of callbacks, and for session tokens.

HMAC-SHA256 over a purpose and its fields, 256 bits, base64url. Every function accepts the valid keys, newest first:
during a rotation, the old key still verifies. An older key is loaded only when no newer one matches.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

from likeness.domain.ids import SESSION_ID

Keys = Iterable[bytes]
_NUMBER = re.compile("[0-9]{1,15}")


def _mac(key: bytes, purpose: str, *fields: str) -> str:
    # No field contains "\n", so different lists of fields have different texts.
    text = "\n".join((purpose, *fields)).encode()
    return base64.urlsafe_b64encode(hmac.new(key, text, hashlib.sha256).digest()).rstrip(b"=").decode()


def _matches(keys: Keys, given: str, purpose: str, *fields: str) -> bool:
    candidate = given.encode("utf-8", "replace")
    return any(hmac.compare_digest(_mac(key, purpose, *fields).encode(), candidate) for key in keys)


def sign_callback(keys: Keys, session_id: str, attempt: int) -> str:
    """The signature in ``/callback/{session_id}/{attempt}/{signature}``, which covers both ids."""
    return _mac(next(iter(keys)), "callback", session_id, str(attempt))


def callback_is_authentic(keys: Keys, session_id: str, attempt: int, signature: str) -> bool:
    """Whether we created this callback URL; compared in constant time."""
    return _matches(keys, signature, "callback", session_id, str(attempt))


def sign_task(keys: Keys, generation_id: str) -> str:
    """The signature in ``/task/{generation_id}/{signature}``, which crun calls when a task is over."""
    return _mac(next(iter(keys)), "task", generation_id)


def task_is_authentic(keys: Keys, generation_id: str, signature: str) -> bool:
    """Whether we created this callback URL of a task; compared in constant time."""
    return _matches(keys, signature, "task", generation_id)


@dataclass(frozen=True, slots=True)
class SessionToken:
    """The content of a valid session token: session, client and expiry (epoch seconds)."""

    session_id: str
    client_id: str
    expires_at: int
    #: The number of the invite link; only the session's current one is valid.
    invite: int = 0


def issue_session_token(keys: Keys, session_id: str, client_id: str, expires_at: int, invite: int = 0) -> str:
    """``st_<session id>.<client id>.<expiry>.<mac>``, the token in the fragment of the invite link.

    From a session's second invite link on, ``<invite>.`` precedes the MAC, which covers it.
    """
    fields = [session_id, client_id, str(expires_at), *([str(invite)] if invite else [])]
    return f"st_{'.'.join(fields)}.{_mac(next(iter(keys)), 'session-token', *fields)}"


def read_session_token(keys: Keys, token: str, now: float) -> SessionToken | None:
    """The token's content, or None when it is malformed, forged or expired."""
    *fields, mac = token.removeprefix("st_").split(".")
    if not token.startswith("st_") or len(fields) not in (3, 4) or not (token.isascii() and token.isprintable()):
        return None
    session_id, client_id, *numbers = fields
    if not SESSION_ID.fullmatch(session_id) or not all(_NUMBER.fullmatch(each) for each in numbers):
        return None
    if not _matches(keys, mac, "session-token", *fields):
        return None
    expires_at, invite = (*map(int, numbers), 0)[:2]
    return SessionToken(session_id, client_id, expires_at, invite) if expires_at > now else None
