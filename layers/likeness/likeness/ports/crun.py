"""Ports of crun's API: its requests, and the history of its processing times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # annotations alone need them
    from likeness.domain.crun import AssetReport, H5Session, UpstreamProblem
    from likeness.domain.polling import History


class Crun(Protocol):
    """crun's API. Every request raises UpstreamRefused, UpstreamDeferred or UpstreamAmbiguous.

    It raises StorageUnavailable when the API key or the rate limiter is unavailable, before anything is sent.
    ``correlation_id`` is sent in a header, to match crun's records with ours. ``client_id`` is the client that causes
    the request, and whose share of the rate limit it uses.
    """

    def create_validation(self, callback_url: str, correlation_id: str | None = None) -> H5Session:
        """POST visual-validate-session."""
        ...

    def group_of(self, byted_token: str, correlation_id: str | None = None, client_id: str | None = None) -> str:
        """GET visual-validate-result: returns the GroupId. May consume the token."""
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
        """POST asset-upload: returns the AssetId. Not idempotent."""
        ...

    def asset_reports(
        self, crun_asset_ids: Sequence[str], correlation_id: str | None = None, client_id: str | None = None
    ) -> dict[str, AssetReport | UpstreamProblem]:
        """GET asset-info for several assets in parallel; returns the error in place of a report that failed."""
        ...

    def balance(self) -> float:
        """GET account/balance: returns the credits left."""
        ...


class PollHistory(Protocol):
    """How long assets have taken to become Active, and tasks to end."""

    def of(self, kind: str, now: float) -> History:
        """The history of an asset type, or of a model, in this month and the last, up to some minutes old.

        It is empty when it cannot be read.
        """
        ...
