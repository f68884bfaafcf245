"""POST /sessions/{id}/requests, DELETE …/requests/{name} and POST …/finish: what the person is asked to send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from likeness.contracts.http import MoreRequests, file_requests
from likeness.contracts.views import session_view
from likeness.domain.asset import Asset
from likeness.domain.caller import Caller
from likeness.domain.file_requests import MAX_REQUESTS_PER_SESSION
from likeness.domain.progress import is_open
from likeness.domain.session import Session
from likeness.errors import ConditionFailed, Conflict, NotFound
from likeness.ports.store import Store
from likeness.ports.system import Clock
from likeness.steps.onboarding.get_session import own_session_with_assets

#: How often a change is tried when others change the session at the same time.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class RequestFiles:
    """Adds and withdraws file requests, and records that the person has finished.

    ``max_attempts`` per session is for the session's view.
    """

    store: Store
    clock: Clock
    max_attempts: int

    def add(self, caller: Caller, session_id: str, body: MoreRequests) -> tuple[dict[str, Any], bool]:
        """Returns the session's view, and whether a request is new: the same request again changes nothing.

        Raises NotFound, Forbidden for a person, and Conflict when a request of that name asks for something else, when
        there would be too many, or when the session accepts no uploads.
        """
        for _ in range(_TRIES):
            session, assets = own_session_with_assets(self.store, caller, session_id)
            caller.require_client()
            if not session.accepts_uploads:
                raise Conflict(f"The session is {session.status.value} and does not accept uploads")
            known = session.requests
            last = max((each.position for each in known.values()), default=-1)
            asked = file_requests(body.requests, last + 1)
            if any(each.name in known and not each.asks_the_same(known[each.name]) for each in asked):
                raise Conflict("A request of this name asks for another file", code="request_exists")
            new = [each for each in asked if each.name not in known]
            if not new:
                return self._view(session, assets, caller), False
            if len(known) + len(new) > MAX_REQUESTS_PER_SESSION:
                most = f"A session can have at most {MAX_REQUESTS_PER_SESSION} file requests"
                raise Conflict(most, code="too_many_file_requests")
            try:
                return self._view(self.store.add_requests(session, new), assets, caller), True
            except ConditionFailed:
                continue
        raise Conflict("The session was changed at the same time", retry_after=1)

    def withdraw(self, caller: Caller, session_id: str, name: str) -> dict[str, Any]:
        """Returns the session's view without the request; a file that waits for its upload stays without one.

        Raises NotFound, Forbidden for a person, and Conflict when the request's file has arrived.
        """
        for tried in range(_TRIES):
            session, assets = own_session_with_assets(self.store, caller, session_id)
            caller.require_client()
            # A name in a path may still be encoded.
            request = session.requests.get(name) or session.requests.get(unquote(name))
            if request is None:
                if tried:  # by the previous try, whose answer was lost, or by another caller
                    return self._view(session, assets, caller)
                raise NotFound("File request not found")
            asset = next((each for each in assets if each.id == request.asset_id), None)
            if not is_open(asset):
                raise Conflict("The file of this request has already arrived", code="request_filled")
            try:
                self.store.withdraw_request(session.id, request, asset)
            except ConditionFailed:
                continue
            session.requests.pop(request.name)
            return self._view(session, assets, caller)
        raise Conflict("The session was changed at the same time", retry_after=1)

    def finish(self, caller: Caller, session_id: str) -> dict[str, Any]:
        """Returns the session's view with ``finished_at``; a repetition keeps the first time.

        Raises NotFound, and Conflict when the person is not verified.
        """
        session, assets = own_session_with_assets(self.store, caller, session_id)
        if not session.accepts_uploads:
            raise Conflict(f"The session is {session.status.value} and cannot be finished")
        if session.group_id is None:
            raise Conflict("The person has not passed the face check yet", code="not_verified")
        if session.finished_at is None:
            try:
                session = self.store.finish_session(session.id, self.clock.now())
            except ConditionFailed:
                raise Conflict("The session was changed at the same time", retry_after=1) from None
        return self._view(session, assets, caller)

    def _view(self, session: Session, assets: list[Asset], caller: Caller) -> dict[str, Any]:
        now = self.clock.now()
        return session_view(session, assets, now=now, max_attempts=self.max_attempts, person=caller.is_person)
