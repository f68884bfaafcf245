"""GET /api/v1/client/job/visual-validate-result and …/asset-info: returns crun's responses from our table.

Neither route calls crun. An issued token can be used any number of times for as long as the session is kept, and an
early request does not use it up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.drop_in import opens, result_is_on_its_way, session_of
from likeness.domain.session import Session, SessionStatus
from likeness.errors import NotFound, UpstreamDeferred

if TYPE_CHECKING:
    from likeness.ports.store import Store
    from likeness.ports.system import Clock

Found = TypeVar("Found")

#: A caller that follows the browser's redirect asks before the look-up has ended, so the response waits for it.
_RESULT_SECONDS, _FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 24.0, 0.2, 1.0
#: The indexes are eventually consistent. An item that is still absent after these pauses does not exist.
_INDEX_PAUSES_SECONDS = (0.1, 0.3)


class UpstreamIds(Protocol):
    """Finds sessions and assets by crun's ids. Eventually consistent."""

    def session_of(self, group_id: str, client_id: str | None = None) -> str | None:
        """Returns the id of the session with that GroupId, of any client.

        Of several sessions with the same GroupId, it prefers the client's oldest that accepts files.
        """
        ...

    def asset_of(self, client_id: str, asset_id: str) -> tuple[str, str] | None:
        """Returns session and asset id of the client's asset with that id, or of any client's with that AssetId.

        Of several assets with the same AssetId, it prefers the client's oldest that is not erased.
        """
        ...


@dataclass(frozen=True, slots=True)
class GetResult:
    """Returns validation results and assets as crun does."""

    store: Store
    ids: UpstreamIds
    clock: Clock
    sleep: Callable[[float], None]

    def group(self, caller: Caller, issued_token: str) -> str:
        """Returns the GroupId.

        Raises NotFound, like crun, before the check is passed and for a token that is not the caller's. Raises
        UpstreamDeferred when the check was passed and crun has not yet returned the group.
        """
        session = self._session(caller, issued_token)
        until, pause = self.clock.now() + _RESULT_SECONDS, _FIRST_PAUSE_SECONDS
        while result_is_on_its_way(session):
            if self.clock.now() + pause > until:
                raise UpstreamDeferred("The result is not available yet", retry_after=5)
            self.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
            session = self._session(caller, issued_token)
        if session.group_id is None:
            raise NotFound("validation was not passed")
        return session.group_id

    def asset(self, caller: Caller, asset_id: str) -> Asset:
        """Returns an asset by either of its ids. Raises NotFound when it is erased or not the caller's."""
        place = find_in_index(lambda: self.ids.asset_of(caller.client_id, asset_id), self.sleep)
        asset = self.store.get_asset(*place) if place else None
        if asset is None or asset.client_id != caller.client_id or asset.status is AssetStatus.REDACTED:
            raise NotFound("asset_id: asset not found")
        return asset

    def _session(self, caller: Caller, issued_token: str) -> Session:
        session_id = session_of(issued_token)
        session = self.store.get_session(session_id) if session_id else None
        if (
            session is None
            or session.client_id != caller.client_id
            or session.status is SessionStatus.REDACTED
            or not opens(session, issued_token)
        ):
            raise NotFound("byted_token not found")
        return session


def find_in_index(find: Callable[[], Found | None], sleep: Callable[[float], None]) -> Found | None:
    """Returns what ``find`` finds in an index, retrying while the index may lag behind the table; else None."""
    found = find()
    for pause in _INDEX_PAUSES_SECONDS:
        if found is not None:
            break
        sleep(pause)
        found = find()
    return found
