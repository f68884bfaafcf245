"""The sweep over all active assets, which finds those that crun has lost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suspect:
    """An asset that crun reported as unknown or Failed at ``seen_at`` (epoch seconds): a second check decides."""

    session_id: str
    asset_id: str
    seen_at: float


@dataclass(frozen=True, slots=True)
class Recheck:
    """The progress of the sweep over all active assets: after asset ``after`` of ``client``, "" at the beginning.

    ``asked`` counts the assets checked in this sweep, ``last_asked`` in the previous one. ``over`` is true until the
    next sweep is due. ``version`` counts the runs. Times are epoch seconds.
    """

    started_at: float
    #: Not ``client_id``, which is an index's key and may not be empty.
    client: str = ""
    after: str = ""
    asked: int = 0
    last_asked: int = 0
    over: bool = False
    suspects: tuple[Suspect, ...] = ()
    version: int = 0
