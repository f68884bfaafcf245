"""The caller of a request: a developer's client, the person of one session, or the holder of a session's receipt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from likeness.domain.receipt import Holder
from likeness.domain.session import Session
from likeness.errors import Forbidden, InvalidCredential, NotFound


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
    #: The client's budget of a UTC day in credits, None where the deployment's applies; and whether crun's own route
    #: shows the account's balance to it.
    daily_credits: float | None = None
    sees_balance: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """The result of the authorizer. ``session_id`` is set for a person, who may act on that session only.

    ``receipt`` is the digest of a personal link, which permits less: see ``own``.
    """

    client_id: str
    return_origins: tuple[str, ...] = ()
    session_id: str | None = None
    #: The number of the person's invite link.
    invite: int = 0
    #: The purpose that applies to a use check of this client that names none.
    purpose: str = ""
    #: As in ``ClientKey``.
    daily_credits: float | None = None
    sees_balance: bool = False
    receipt: str = ""
    #: Whose receipt it is, and the digest of the one that it replaces with its first use.
    holder: Holder = Holder.PERSON
    replaces: str = ""

    @property
    def source(self) -> str:
        """Who acts, for the ledger of consents: ``person`` or ``client``."""
        return self.holder.value if self.session_id is not None else "client"

    @property
    def credential(self) -> str:
        """The kind of credential that acts, for the ledger of consents: ``invite``, ``receipt`` or ``client``."""
        if self.receipt:
            return "receipt"
        return "invite" if self.is_person else "client"

    @property
    def is_person(self) -> bool:
        """Whether the credential is of one session, not a client key."""
        return self.session_id is not None

    def require_client(self) -> None:
        """Raises Forbidden when the credential is of one session."""
        if self.session_id is not None:
            raise Forbidden("This request requires a client key")

    def own(self, session: Session | None, *, by_receipt: bool = False) -> Session:
        """Returns ``session`` if the caller may see it. ``by_receipt``: whether a receipt permits the request.

        Raises NotFound otherwise, so that sessions of other clients look like missing ones, and Forbidden when the
        person's invite link is not the session's newest one. A receipt gets the same InvalidCredential for each session
        that it is not, or no longer, valid for.
        """
        if self.receipt:
            if not by_receipt:
                raise Forbidden("A personal link does not permit this request")
            return self._own_by_receipt(session)
        if session is None or session.client_id != self.client_id or self.session_id not in (None, session.id):
            raise NotFound("Session not found")
        if self.session_id is not None and self.invite != session.invite:
            raise Forbidden("This invite link was revoked, or replaced by a newer one")
        return session

    def _own_by_receipt(self, session: Session | None) -> Session:
        if session is None or (session.id, session.client_id) != (self.session_id, self.client_id):
            raise InvalidCredential
        valid = session.receipt_of(self.holder)
        if valid is None or valid.digest != self.receipt:
            raise InvalidCredential
        return session

    def require_living_client(self, has_key: Callable[[str], bool]) -> None:
        """Raises Forbidden for a person whose client has no valid key anymore."""
        if self.session_id is not None and not has_key(self.client_id):
            raise Forbidden("The client that created this invite link has no valid key")
