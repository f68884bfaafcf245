"""What crun's API answers, as values."""

from __future__ import annotations

from dataclasses import dataclass

#: An error of the upstream tree, held as a value.
UpstreamProblem = Exception


@dataclass(frozen=True, slots=True)
class H5Session:
    """What crun answers to a new validation session. Both fields are secrets."""

    byted_token: str
    h5_link: str


@dataclass(frozen=True, slots=True)
class CrunCall:
    """One request to crun and what came of it. ``call`` is the last part of its path.

    ``outcome``: ``ok``, ``refused``, ``deferred`` or ``ambiguous``, as in the tree of errors; ``upstream_code`` is
    crun's own figure, if it gave one; ``errors`` what it lists with a 422.
    """

    call: str
    outcome: str
    seconds: float
    upstream_code: int | None
    correlation_id: str | None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AssetReport:
    """What crun says of an asset: ``status`` as it came, and why it failed."""

    status: str
    error_code: str | None = None
    error_message: str | None = None
