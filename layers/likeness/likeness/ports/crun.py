"""Ports of crun's API: its calls, and how long its answers have taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # annotations alone need them
    from likeness.domain.crun import AssetReport, H5Session, UpstreamProblem
    from likeness.domain.media.types import AssetType
    from likeness.domain.polling import History


class Crun(Protocol):
    """crun's API. Every call raises UpstreamRefused, UpstreamDeferred or UpstreamAmbiguous.

    StorageUnavailable says that what a call needs before it goes out (the key, a permit of the rate limiter) was not to
    be had. ``correlation_id`` goes along in a header, so that crun's records and ours can be laid side by side.
    ``client_id`` is the client on whose behalf it is asked: the call counts in that client's share of the
    allowance.
    """

    def create_validation(self, callback_url: str, correlation_id: str | None = None) -> H5Session:
        """POST visual-validate-session."""
        ...

    def group_of(self, byted_token: str, correlation_id: str | None = None, client_id: str | None = None) -> str:
        """GET visual-validate-result: the GroupId. May consume the token."""
        ...

    def upload_asset(
        self,
        *,
        name: str,
        asset_type: str,
        asset_url: str,
        group_id: str,
        correlation_id: str | None = None,
        client_id: str | None = None,
    ) -> str:
        """POST asset-upload: the AssetId. Not idempotent."""
        ...

    def asset_reports(
        self, crun_asset_ids: Sequence[str], correlation_id: str | None = None, client_id: str | None = None
    ) -> dict[str, AssetReport | UpstreamProblem]:
        """GET asset-info for several assets side by side; what went wrong stands in the place of the report."""
        ...

    def balance(self) -> float:
        """GET account/balance: the credits left."""
        ...


class PollHistory(Protocol):
    """How long assets have taken to turn Active."""

    def of(self, asset_type: AssetType, now: float) -> History:
        """What was seen of a type in this month and the last, some minutes old; nothing when it cannot be read."""
        ...
