"""Who is calling: a developer's client, or the person of one session."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from likeness.domain.session import Session
from likeness.errors import Forbidden, NotFound


def key_digest(client_key: str) -> str:
    """The SHA-256 of a client key, in hex: all that is stored of it."""
    return hashlib.sha256(client_key.encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class Caller:
    """What the authorizer found out. ``session_id`` is set for a person, who may act on that session only."""

    client_id: str
    return_origins: tuple[str, ...] = ()
    session_id: str | None = None

    def require_client(self) -> None:
        """Raises Forbidden for a person's session token."""
        if self.session_id is not None:
            raise Forbidden("A session token cannot do this; use a client key")

    def own(self, session: Session | None) -> Session:
        """``session`` if the caller may see it; NotFound otherwise, so that foreign ids look like missing ones."""
        if session is None or session.client_id != self.client_id or self.session_id not in (None, session.id):
            raise NotFound("There is no such session")
        return session
