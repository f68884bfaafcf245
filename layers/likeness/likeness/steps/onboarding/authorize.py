"""Resolves ``x-api-key``: a client key to a client, a session token to a person, a receipt to its holder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from likeness.domain.caller import Caller, key_digest
from likeness.domain.receipt import receipt_digest
from likeness.domain.signing import read_session_token
from likeness.ports.system import Clock, SigningKeys

_LONGEST_CREDENTIAL = 256


class ClientKeys(Protocol):
    """The stored hashes of client keys."""

    def find(self, key_hash: str) -> Caller | None:
        """Returns the client of a key that is not revoked."""
        ...


class Receipts(Protocol):
    """The stored hashes of receipts."""

    def find(self, digest: str) -> Caller | None:
        """Returns the holder of a receipt that exists. Its session decides whether it is valid (``Caller.own``)."""
        ...


def client_of(client_keys: ClientKeys, credential: str) -> Caller | None:
    """Returns the client of a client key, None for anything else. Only the SHA-256 of a key is stored."""
    if not credential.startswith("lk_") or len(credential) > _LONGEST_CREDENTIAL:
        return None
    return client_keys.find(key_digest(credential))


@dataclass(frozen=True, slots=True)
class Authorize:
    """Resolves a credential."""

    client_keys: ClientKeys
    keys: SigningKeys
    clock: Clock
    receipts: Receipts

    def __call__(self, credential: str) -> Caller | None:
        """Returns the caller, None when the credential is not valid."""
        if credential.startswith("lk_"):
            return client_of(self.client_keys, credential)
        if len(credential) > _LONGEST_CREDENTIAL:
            return None
        if credential.startswith("rt_"):
            digest = receipt_digest(credential)
            return self.receipts.find(digest) if digest else None
        now = self.clock.now()
        token = read_session_token(self.keys.current(), credential, now)
        if token is None and credential.startswith("st_"):
            token = read_session_token(self.keys.fresh(), credential, now)
        return Caller(token.client_id, session_id=token.session_id, invite=token.invite) if token else None
