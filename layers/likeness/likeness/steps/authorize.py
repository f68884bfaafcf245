"""Who is behind ``x-api-key``: a client by its key, or a person by a session token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from likeness.domain.caller import Caller, key_digest
from likeness.domain.signing import read_session_token
from likeness.ports import Clock, SigningKeys

_LONGEST_CREDENTIAL = 256


class ClientKeys(Protocol):
    """The stored hashes of client keys."""

    def find(self, key_hash: str) -> Caller | None:
        """The client of a key that is not revoked."""
        ...


@dataclass(frozen=True, slots=True)
class Authorize:
    """Resolves a credential."""

    client_keys: ClientKeys
    keys: SigningKeys
    clock: Clock

    def __call__(self, credential: str) -> Caller | None:
        """The caller, or None. The key itself is never stored: its SHA-256 is looked up."""
        if len(credential) > _LONGEST_CREDENTIAL:
            return None
        if credential.startswith("lk_"):
            return self.client_keys.find(key_digest(credential))
        now = self.clock.now()
        token = read_session_token(self.keys.current(), credential, now)
        if token is None and credential.startswith("st_"):
            token = read_session_token(self.keys.fresh(), credential, now)
        return Caller(token.client_id, session_id=token.session_id) if token else None
