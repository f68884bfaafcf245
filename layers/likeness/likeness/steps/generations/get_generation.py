"""GET /generations, /generations/{id} and /sessions/{id}/uses: reads without side effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from likeness.contracts.generation_views import generation_page_view, generation_view, uses_view
from likeness.contracts.listing import page_size
from likeness.domain.generation import GENERATION_ID, GenerationFilter, GenerationStatus
from likeness.domain.ids import SESSION_ID
from likeness.errors import InvalidRequest, NotFound
from likeness.steps.onboarding.get_session import own_session

if TYPE_CHECKING:
    from likeness.domain.caller import Caller
    from likeness.domain.generation import Generation, Media
    from likeness.ports.generations import GenerationStore
    from likeness.ports.onboarding import SessionStore


def own_generation(store: GenerationStore, caller: Caller, generation_id: str) -> Generation:
    """Returns the client's generation. Raises NotFound, also for one of another client, and Forbidden for a person.

    A malformed id causes no read.
    """
    caller.require_client()
    found = store.get(generation_id) if GENERATION_ID.fullmatch(generation_id) else None
    if found is None or found.client_id != caller.client_id:
        raise NotFound("Generation not found")
    return found


@dataclass(frozen=True, slots=True)
class GetGeneration:
    """Reads a client's generations, and the uses of a person. ``url_of`` returns the URL of saved media."""

    generations: GenerationStore
    sessions: SessionStore
    url_of: Callable[[Media], str]

    def one(self, caller: Caller, generation_id: str) -> dict[str, Any]:
        """Returns a generation's view, with new URLs of its media. Raises NotFound, and Forbidden for a person."""
        return generation_view(own_generation(self.generations, caller, generation_id), self.url_of)

    def list(
        self,
        caller: Caller,
        *,
        limit: str | None = None,
        cursor: str | None = None,
        status: str | None = None,
        session_id: str | None = None,
    ) -> dict[str, Any]:
        """Returns a page of the client's generations, newest first. The arguments are the raw query values.

        Raises Forbidden for a person, and InvalidRequest, which names the parameter.
        """
        caller.require_client()
        most = page_size(limit)
        if status is not None and status not in list(GenerationStatus):
            raise InvalidRequest(f"status: must be one of {', '.join(GenerationStatus)}", field="status")
        if session_id is not None and not SESSION_ID.fullmatch(session_id):
            raise InvalidRequest("session_id: must be the id of a session", field="session_id")
        wanted = GenerationFilter(status, session_id)
        return generation_page_view(
            self.generations.list_generations(caller.client_id, limit=most, cursor=cursor, wanted=wanted)
        )

    def uses(
        self, caller: Caller, session_id: str, *, limit: str | None = None, cursor: str | None = None
    ) -> dict[str, Any]:
        """Returns a page of the ledger of a person's uses, newest first, for the client and for the person.

        Raises NotFound, Forbidden for an invite link that was replaced, and InvalidRequest.
        """
        session = own_session(self.sessions, caller, session_id, by_receipt=True)
        return uses_view(self.generations.list_uses(session.id, limit=page_size(limit), cursor=cursor))
