"""Identifiers: a prefix for the kind of resource, and a ULID (https://github.com/ulid/spec)."""

from __future__ import annotations

import hashlib
import re

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
ULID = re.compile(_ULID)
SESSION_ID = re.compile(rf"ses_{_ULID}")
ASSET_ID = re.compile(rf"ast_{_ULID}")
GENERATION_ID = re.compile(rf"gen_{_ULID}")
#: Follows a session from the API to crun: the root of the trace that created it, or API Gateway's request id.
_CORRELATION_ID = re.compile("[0-9A-Za-z-]{1,64}")
_TRACE_ROOT = re.compile(r"(?:^|;)\s*Root=(1-[0-9a-f]{8}-[0-9a-f]{24})(?:;|$)")


def ulid(milliseconds: int, entropy: bytes) -> str:
    """26 characters of Crockford's base 32: 48 bits of time, then 80 bits of ``entropy`` (10 bytes)."""
    number = (milliseconds << 80) | int.from_bytes(entropy[:10], "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def oldest_ulid(milliseconds: int) -> str:
    """The first ULID of a millisecond."""
    return ulid(milliseconds, bytes(10))


def newest_ulid(milliseconds: int) -> str:
    """The last ULID of a millisecond."""
    return ulid(milliseconds, b"\xff" * 10)


def _number(of: str) -> int:
    number = 0
    for letter in of:
        number = number << 5 | _ALPHABET.index(letter)
    return number


def milliseconds_of(of: str) -> int:
    """The time in a ULID."""
    return _number(of[:10])


def ulid_before(of: str) -> str:
    """The ULID that sorts directly before ``of``, which must not be the first one."""
    number = _number(of) - 1
    return ulid(number >> 80, (number & (1 << 80) - 1).to_bytes(10, "big"))


def bare(identifier: str) -> str:
    """The ULID of ``ses_…`` or ``ast_…``."""
    return identifier[4:]


def session_id(milliseconds: int, entropy: bytes) -> str:
    """``ses_`` and a ULID."""
    return f"ses_{ulid(milliseconds, entropy)}"


def asset_id(milliseconds: int, entropy: bytes) -> str:
    """``ast_`` and a ULID."""
    return f"ast_{ulid(milliseconds, entropy)}"


def dropped_asset_id(milliseconds: int, key: str, version_id: str) -> str:
    """The id of an object that was dropped under ``inbox/``.

    The same object always gets the same id, so an event that is delivered twice registers one asset.
    """
    return asset_id(milliseconds, hashlib.sha256(f"{key}\n{version_id}".encode()).digest())


def known_correlation_id(found: object) -> str | None:
    """``found`` if it has the form of a correlation id, which is logged and sent to crun in a header; else None."""
    return found if isinstance(found, str) and _CORRELATION_ID.fullmatch(found) else None


def trace_root(header: str) -> str | None:
    """The root in an ``X-Amzn-Trace-Id`` header, or None. A caller may have written the rest, so it is ignored."""
    root = _TRACE_ROOT.search(header)
    return root[1] if root else None
