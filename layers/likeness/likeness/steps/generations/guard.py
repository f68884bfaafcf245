"""The guard of generations: which people an input shows, and whether their likeness may be used for a purpose.

It is the same for our own routes and for crun's. Its errors name a field's path and quote nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from likeness.domain.generation import MAX_PEOPLE, PersonUse
from likeness.domain.generation_models import FALLBACK, GenerationModel
from likeness.domain.guarded_text import (
    MAX_DEPTH,
    MAX_INPUT_BYTES,
    NO_ASSET_HERE,
    OwnAddresses,
    possible_ids,
    strings_of,
    why_refused,
)
from likeness.domain.ids import ASSET_ID
from likeness.errors import AssetNotFound, Conflict, InvalidRequest
from likeness.steps.generations.recheck import refusal_of

if TYPE_CHECKING:
    from likeness.domain.asset import Asset
    from likeness.domain.caller import Caller
    from likeness.domain.media.types import AssetType
    from likeness.domain.session import Session
    from likeness.domain.terms import TermsPolicy
    from likeness.ports.generations import GenerationStore, Place
    from likeness.ports.system import Clock
    from likeness.steps.crun_routes.get_result import UpstreamIds

#: The exact form of an asset of crun. An id is text, and is compared as it is.
_CRUN_ASSET = re.compile("asset://([A-Za-z0-9][A-Za-z0-9._~-]{0,199})")
_URL = re.compile("https?://[!-~]{1,8000}", re.IGNORECASE)
#: The index is eventually consistent: an asset that is not found is looked up once more after this pause.
_INDEX_PAUSE_SECONDS = 0.3
#: How many strings of one input may have the shape of an id without being one. Each costs one or two look-ups.
MAX_POSSIBLE_IDS = 20


class Guarded(NamedTuple):
    """An input that may be sent to crun, and the people whose likeness it uses, in their order.

    ``content`` has crun's ids in place of ours. ``purpose`` is the one that was checked.
    """

    content: dict[str, Any]
    people: tuple[PersonUse, ...]
    purpose: str | None


class _Reference(NamedTuple):
    """A place in the input that names an asset by ``id``, ours or crun's."""

    field: str
    position: int
    kind: AssetType
    id: str

    @property
    def path(self) -> str:
        return f"input.{self.field}[{self.position}]"


@dataclass(frozen=True, slots=True)
class Guard:
    """Checks inputs. ``models`` are those that take assets, and ``bucket`` is the one with the people's files."""

    generations: GenerationStore
    ids: UpstreamIds
    clock: Clock
    terms: TermsPolicy
    models: Mapping[str, GenerationModel]
    bucket: str
    sleep: Callable[[float], None]

    def __call__(
        self, caller: Caller, model: str, content: dict[str, Any], purpose: str | None, hosts: Sequence[str]
    ) -> Guarded:
        """Returns the input to send, with its people. ``hosts`` are the names by which this API is reached.

        Raises InvalidRequest, AssetNotFound, and Conflict with the first reason why a person's likeness may not be
        used. An input without assets is returned as it is.
        """
        purpose = purpose or caller.purpose or None
        if purpose is not None:
            self.terms.require_known([purpose], "purpose")
        references = self._references(model, content, OwnAddresses((self.bucket, *hosts)))
        self._require_no_ids(caller, content, {each.path for each in references})
        if not references:
            return Guarded(content, (), purpose)
        if content.get(FALLBACK):
            raise _invalid(f"input.{FALLBACK}", "must be false with an asset, which only crun's own upstream has")
        places = self._places(caller, references)
        sessions, assets = self.generations.load_assets(list(dict.fromkeys(places.values())))
        used = [(each, *self._row(caller, each, places[each.id], sessions, assets)) for each in references]
        for reference, session, asset in used:
            self._require_permitted(reference, session, asset, purpose)
        people = _people(used)
        if len(people) > MAX_PEOPLE:
            raise _invalid("input", f"must not show more than {MAX_PEOPLE} people")
        return Guarded(_with_crun_ids(content, used), people, purpose)

    # -- the input itself

    def _references(self, model: str, content: dict[str, Any], own: OwnAddresses) -> list[_Reference]:
        """Returns the places that name assets. Raises InvalidRequest."""
        try:
            strings = list(strings_of(content))
        except ValueError as exc:
            raise _invalid(str(exc), f"must be JSON with at most {MAX_DEPTH} levels and finite numbers") from None
        if len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()) > MAX_INPUT_BYTES:
            raise _invalid("input", f"must have at most {MAX_INPUT_BYTES} bytes")
        found: list[_Reference] = []
        known = self.models.get(model)
        if known:
            problem = known.problem(content)
            if problem:
                raise _invalid(f"input.{problem[0]}", problem[1])
            for field, position, kind, item in known.files(content):
                reference = _reference(field, position, kind, item)
                if reference:
                    found.append(reference)
        expected = {each.path for each in found}
        for path, text in strings:
            why = None if path in expected else why_refused(text, own)
            if why:
                raise _invalid(path, why if known or why != NO_ASSET_HERE else self._no_assets())
        return found

    def _no_assets(self) -> str:
        """Why an asset is not accepted for a model that is not on the operator's list, or that has a typing error."""
        return f"assets are accepted only for the models of the operator's list ({', '.join(self.models) or 'empty'})"

    def _require_no_ids(self, caller: Caller, content: dict[str, Any], expected: set[str]) -> None:
        """Raises InvalidRequest when a string outside of the places for assets is the id of one at crun."""
        possible: dict[tuple[str, ...], str] = {}
        for path, text in strings_of(content):
            found = () if path in expected else possible_ids(text)
            if found:
                possible.setdefault(found, path)
        for position, (found, path) in enumerate(possible.items()):
            if position == MAX_POSSIBLE_IDS:
                raise _invalid(path, f"must not have more than {MAX_POSSIBLE_IDS} strings that may be ids")
            if any(self.ids.asset_of(caller.client_id, each) for each in found):
                raise _invalid(path, NO_ASSET_HERE)

    # -- its assets and their people

    def _places(self, caller: Caller, references: Sequence[_Reference]) -> dict[str, Place]:
        """Returns session and asset id for each id. Raises AssetNotFound."""
        wanted = list(dict.fromkeys(each.id for each in references))
        places = self._found(caller, wanted)
        missing = [each for each in wanted if each not in places]
        if missing:
            self.sleep(_INDEX_PAUSE_SECONDS)
            places |= self._found(caller, missing)
        for each in references:
            if each.id not in places:
                raise _not_found(each)
        return places

    def _found(self, caller: Caller, wanted: Sequence[str]) -> dict[str, Place]:
        looked_up = ((each, self.ids.asset_of(caller.client_id, each)) for each in wanted)
        return {each: place for each, place in looked_up if place}

    def _row(
        self,
        caller: Caller,
        reference: _Reference,
        place: Place,
        sessions: Mapping[str, Session],
        assets: Mapping[str, Asset],
    ) -> tuple[Session, Asset]:
        """Returns the rows behind a reference. Raises AssetNotFound, and InvalidRequest for another type of file."""
        session, asset = sessions.get(place[0]), assets.get(place[1])
        if session is None or asset is None or session.client_id != caller.client_id:
            raise _not_found(reference)
        if asset.asset_type is not reference.kind:
            raise _invalid(reference.path, f"must be an asset of type {reference.kind.value}")
        return session, asset

    def _require_permitted(self, reference: _Reference, session: Session, asset: Asset, purpose: str | None) -> None:
        """Raises Conflict when the asset may not be used for ``purpose``."""
        alone = PersonUse(session.id, (asset.id,), (asset.crun_asset_id or "",))
        problem = refusal_of([alone], {session.id: session}, {asset.id: asset}, purpose, self.clock.now())
        if problem:
            raise Conflict(problem.message, code=problem.code, field=reference.path, asset_id=asset.id)


def _reference(field: str, position: int, kind: AssetType, item: object) -> _Reference | None:
    """Returns the asset that an item names, None for a URL. Raises InvalidRequest for anything else."""
    if isinstance(item, str):
        at_crun = _CRUN_ASSET.fullmatch(item)
        if at_crun or ASSET_ID.fullmatch(item):
            return _Reference(field, position, kind, at_crun[1] if at_crun else item)
        if _URL.fullmatch(item):
            return None
    raise _invalid(f"input.{field}[{position}]", "must be asset://<id>, ast_<id>, or an http or https URL")


def _people(used: Sequence[tuple[_Reference, Session, Asset]]) -> tuple[PersonUse, ...]:
    by_session: dict[str, dict[str, str]] = {}
    given: dict[str, str | None] = {}
    for _, session, asset in used:
        by_session.setdefault(session.id, {})[asset.id] = asset.crun_asset_id or ""
        given[session.id] = session.consent.given_at if session.consent else None
    return tuple(
        PersonUse(session_id, tuple(assets), tuple(assets.values()), given[session_id])
        for session_id, assets in by_session.items()
    )


def _with_crun_ids(content: Mapping[str, Any], used: Sequence[tuple[_Reference, Session, Asset]]) -> dict[str, Any]:
    """Returns the input with the ids under which crun has the files now."""
    sent = dict(content)
    for reference, _, asset in used:
        items = list(sent[reference.field])
        items[reference.position] = f"asset://{asset.crun_asset_id}"
        sent[reference.field] = items
    return sent


def _invalid(path: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: {why}", field=path)


def _not_found(reference: _Reference) -> AssetNotFound:
    return AssetNotFound(f"{reference.path}: asset not found", field=reference.path)
