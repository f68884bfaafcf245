"""The caller of a request: a developer's client, or the person of one session."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from likeness.domain.session import Session
from likeness.errors import Forbidden, NotFound


def key_digest(client_key: str) -> str:
    """The SHA-256 digest of a client key, in hex. Only the digest is stored."""
    return hashlib.sha256(client_key.encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A stored key, without the key itself. Times in ISO 8601; ``revoked_at`` is None while it works."""

    key_id: str
    client_id: str
    return_origins: tuple[str, ...]
    created_at: str
    revoked_at: str | None
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """The result of the authorizer. ``session_id`` is set for a person, who may act on that session only."""

    client_id: str
    return_origins: tuple[str, ...] = ()
    session_id: str | None = None
    #: The number of the person's invite link.
    invite: int = 0
    #: The purpose that applies to a use check of this client that names none.
    purpose: str = ""

    @property
    def source(self) -> str:
        """Who acts, for the ledger of consents: ``person`` or ``client``."""
        return "person" if self.is_person else "client"

    @property
    def credential(self) -> str:
        """The kind of credential that acts, for the ledger of consents: ``invite`` or ``client``."""
        return "invite" if self.is_person else "client"

    @property
    def is_person(self) -> bool:
        """Whether the credential is an invite link's session token, not a client key."""
        return self.session_id is not None

    def require_client(self) -> None:
        """Raises Forbidden when the credential is a session token."""
        if self.session_id is not None:
            raise Forbidden("This request requires a client key")

    def own(self, session: Session | None) -> Session:
        """Returns ``session`` if the caller may see it.

        Raises NotFound otherwise, so that sessions of other clients look like missing ones, and Forbidden when the
        person's invite link is not the session's newest one.
        """
        if session is None or session.client_id != self.client_id or self.session_id not in (None, session.id):
            raise NotFound("Session not found")
        if self.session_id is not None and self.invite != session.invite:
            raise Forbidden("This invite link was revoked, or replaced by a newer one")
        return session

    def require_living_client(self, has_key: Callable[[str], bool]) -> None:
        """Raises Forbidden for a person whose client has no valid key anymore."""
        if self.session_id is not None and not has_key(self.client_id):
            raise Forbidden("The client that created this invite link has no valid key")
