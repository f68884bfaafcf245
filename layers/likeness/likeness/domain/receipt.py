"""The receipt of a consent: a personal link, whose credential leads to the person's own page.

The credential is ``rt_`` and 256 random bits. Only its SHA-256 is stored: in an item of its own, by which the
authorizer finds it, and in the session, which has one receipt per holder. A receipt that is not in its session is of no
use, so a change of the session ends it at once.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

_BYTES = 32
_RECEIPT = re.compile("rt_[0-9A-Za-z_-]{43}")
#: How long a receipt that replaces another one waits for its first use, in seconds.
PENDING_SECONDS = 86_400.0


class Holder(StrEnum):
    """Who has a receipt, for the ledger of consents: the person, or the client for its own records."""

    PERSON = "person"
    CLIENT = "client"


def receipt_of(entropy: bytes) -> str:
    """Returns the credential made of 32 random bytes."""
    if len(entropy) != _BYTES:
        raise ValueError(f"a receipt is made of {_BYTES} bytes")
    return "rt_" + base64.urlsafe_b64encode(entropy).rstrip(b"=").decode()


def receipt_digest(credential: str) -> str | None:
    """Returns the SHA-256 of a receipt's credential in hex, None for anything that is not one."""
    return hashlib.sha256(credential.encode()).hexdigest() if _RECEIPT.fullmatch(credential) else None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The valid receipt of one holder, as its session has it. ``created_at`` is in epoch seconds."""

    digest: str
    created_at: float


class IssuedReceipt(NamedTuple):
    """A receipt as the authorizer finds it. ``created_at`` is in epoch seconds.

    ``replaces`` is the digest of the receipt that asked for it, and that stays valid until this one is first used: the
    response with the new link may get lost.
    """

    digest: str
    session_id: str
    client_id: str
    holder: Holder
    created_at: float
    replaces: str | None = None

    @property
    def receipt(self) -> Receipt:
        """What the session stores of it."""
        return Receipt(self.digest, self.created_at)
