"""Who is behind ``x-api-key``: a client by its key, or a person by a session token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from likeness.domain.caller import Caller, key_digest
from likeness.domain.signing import read_session_token
from likeness.ports.system import Clock, SigningKeys

_LONGEST_CREDENTIAL = 256


class ClientKeys(Protocol):
    """The stored hashes of client keys."""

    def find(self, key_hash: str) -> Caller | None:
        """The client of a key that is not revoked."""
        ...


def client_of(client_keys: ClientKeys, credential: str) -> Caller | None:
    """The client behind a client key, None for anything else. Nobody stores a key: its SHA-256 is looked up."""
    if not credential.startswith("lk_") or len(credential) > _LONGEST_CREDENTIAL:
        return None
    return client_keys.find(key_digest(credential))


@dataclass(frozen=True, slots=True)
class Authorize:
    """Resolves a credential."""

    client_keys: ClientKeys
    keys: SigningKeys
    clock: Clock

    def __call__(self, credential: str) -> Caller | None:
        """The caller, or None."""
        if credential.startswith("lk_"):
            return client_of(self.client_keys, credential)
        if len(credential) > _LONGEST_CREDENTIAL:
            return None
        now = self.clock.now()
        token = read_session_token(self.keys.current(), credential, now)
        if token is None and credential.startswith("st_"):
            token = read_session_token(self.keys.fresh(), credential, now)
        return Caller(token.client_id, session_id=token.session_id, invite=token.invite) if token else None
