"""Identifiers: a prefix that says what it names, and a ULID (https://github.com/ulid/spec)."""

from __future__ import annotations

import hashlib
import re

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
SESSION_ID = re.compile(rf"ses_{_ULID}")
ASSET_ID = re.compile(rf"ast_{_ULID}")


def ulid(milliseconds: int, entropy: bytes) -> str:
    """26 characters of Crockford's base 32: 48 bits of time, then 80 bits of ``entropy`` (10 bytes)."""
    number = (milliseconds << 80) | int.from_bytes(entropy[:10], "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def session_id(milliseconds: int, entropy: bytes) -> str:
    """``ses_`` and a ULID."""
    return f"ses_{ulid(milliseconds, entropy)}"


def asset_id(milliseconds: int, entropy: bytes) -> str:
    """``ast_`` and a ULID."""
    return f"ast_{ulid(milliseconds, entropy)}"


def dropped_asset_id(milliseconds: int, key: str, version_id: str) -> str:
    """The id of an object that was dropped under ``inbox/``: the same object always gets the same id,

    so an event that arrives twice registers one asset.
    """
    return asset_id(milliseconds, hashlib.sha256(f"{key}\n{version_id}".encode()).digest())
