"""Responses of crun's API as values."""

from __future__ import annotations

from typing import NamedTuple

#: An UpstreamError that is returned instead of raised.
UpstreamProblem = Exception


class H5Session(NamedTuple):
    """crun's response to a new validation session. Both fields are secrets."""

    byted_token: str
    h5_link: str


class CrunCall(NamedTuple):
    """One request to crun and its outcome. ``call`` is the last part of its path.

    ``outcome`` is ``ok``, ``refused``, ``deferred`` or ``ambiguous``, as in errors.py. ``upstream_code`` is crun's
    code, if it returned one. ``errors`` are the lines that crun lists with a 422.
    """

    call: str
    outcome: str
    seconds: float
    upstream_code: int | None
    correlation_id: str | None
    errors: tuple[str, ...] = ()


class AssetReport(NamedTuple):
    """The state of an asset at crun: ``status`` unchanged, and the reason when it failed."""

    status: str
    error_code: str | None = None
    error_message: str | None = None
