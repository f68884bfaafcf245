"""GET /api/v1/client/job/visual-validate-result and …/asset-info: crun's answers, out of our table.

Neither asks crun for anything: an issued token is good for as many questions as there are, for as long as the session
is kept, and who asks too early burns nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.drop_in import opens, result_is_on_its_way, session_of
from likeness.domain.session import Session, SessionStatus
from likeness.errors import NotFound, UpstreamDeferred
from likeness.ports.store import Store
from likeness.ports.system import Clock

Found = TypeVar("Found")

#: Whoever comes with the browser's redirect asks for what is still being looked up: the answer waits for it.
_RESULT_SECONDS, _FIRST_LOOK_SECONDS, _LONGEST_LOOK_SECONDS = 24.0, 0.2, 1.0
#: An index is some moments behind the table; what it has not got by then is not there.
_INDEX_PAUSES_SECONDS = (0.1, 0.3)


class UpstreamIds(Protocol):
    """Which of ours crun's ids are. What was written a moment ago may not be there yet."""

    def session_of(self, group_id: str, client_id: str | None = None) -> str | None:
        """The id of the session with that GroupId, whoever's it is.

        Of several with the same GroupId, the oldest of the client's that takes files.
        """
        ...

    def asset_of(self, client_id: str, asset_id: str) -> tuple[str, str] | None:
        """Session and asset id of an asset by its own id, if it is that client's, or by crun's, whoever's it is.

        Of several with the same AssetId, the oldest of the client's that is not erased.
        """
        ...


@dataclass(frozen=True, slots=True)
class GetResult:
    """Answers for crun."""

    store: Store
    ids: UpstreamIds
    clock: Clock
    sleep: Callable[[float], None]

    def group(self, caller: Caller, issued_token: str) -> str:
        """The GroupId. NotFound, as crun says it, before the check was passed and for a token that is none of the

        caller's; UpstreamDeferred when it was passed and crun has still not given the group.
        """
        session = self._session(caller, issued_token)
        until, pause = self.clock.now() + _RESULT_SECONDS, _FIRST_LOOK_SECONDS
        while result_is_on_its_way(session):
            if self.clock.now() + pause > until:
                raise UpstreamDeferred("The result is not available yet", retry_after=5)
            self.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_LOOK_SECONDS)
            session = self._session(caller, issued_token)
        if session.group_id is None:
            raise NotFound("validation was not passed")
        return session.group_id

    def asset(self, caller: Caller, asset_id: str) -> Asset:
        """An asset by either of its ids. NotFound for an erased one, and for what is not the caller's."""
        place = looked_up(lambda: self.ids.asset_of(caller.client_id, asset_id), self.sleep)
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


def looked_up(look: Callable[[], Found | None], sleep: Callable[[float], None]) -> Found | None:
    """What an index has, once it has caught up with what was written a moment ago; None when it has nothing."""
    found = look()
    for pause in _INDEX_PAUSES_SECONDS:
        if found is not None:
            break
        sleep(pause)
        found = look()
    return found
