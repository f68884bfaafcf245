"""One onboarding as a developer and a person perform it, with their retries."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import requests

from likeness.domain.asset import IN_PROGRESS
from likeness.domain.session import Session, SessionStatus
from local.media import portrait
from tests.faults.simulated_aws import SimulatedAws, Story

FACES = [portrait("alice", 600 + 10 * index, 800, image_format="JPEG") for index in range(3)]
_TRIES = 40
#: How long the developer's page polls, in seconds: longer than a step can fail. After ten minutes
#: it polls once a minute.
_TIMEOUT_SECONDS, _OFTEN = 24 * 3600, 600


class GaveUp(Exception):
    """When every retry of a caller failed."""


@dataclass
class Onboarding:
    """A session with three files: one uploaded before the check, one after it, one dropped into the inbox."""

    account: SimulatedAws
    reloads: bool = True
    session_id: str = ""
    passed_at: float = 0.0
    verified_at: float = 0.0
    ended: bool = False

    def story(self) -> Story:
        """Runs from the first call to the last upload. ``ended`` stays False when somebody gives up."""
        with suppress(GaveUp):
            yield from self._steps()
            self.ended = True

    def _steps(self) -> Story:
        view = yield from self._until_created(
            "/sessions", idempotency_key=f"order-{self.account.now}", body={"assets": [registration(0)]}
        )
        self.session_id = view["id"]
        yield 5
        self.account.put_object(view["assets"][0]["upload"]["fields"]["key"], FACES[0])
        yield from self._pass(view["attempt"]["h5_link"])
        yield from self._until_verified()
        view = yield from self._until_created(
            "/sessions/{session_id}/assets", body=registration(1), session_id=self.session_id
        )
        self.account.put_object(view["upload"]["fields"]["key"], FACES[1])
        yield 40
        self.account.put_object(f"inbox/{self.session_id}/third.jpg", FACES[2])

    def _until_created(self, resource: str, **options: Any) -> Any:
        for _ in range(_TRIES):
            answer = self.account.api("POST", resource, **options)
            if answer.status == 201:
                return answer.body
            assert answer.status in (409, 429, 500, 502, 503), answer
            yield 5
        raise GaveUp(resource)

    def _pass(self, h5_link: str) -> Story:
        yield 10
        callback = take_check(h5_link, "pass")
        self.passed_at = self.account.now
        self.account.callbacks.append(callback)
        for _ in range(_TRIES if self.reloads else 1):
            if self.account.browser(callback).status == 303:
                break
            yield 4

    def _until_verified(self) -> Story:
        began = self.account.now
        while (waited := self.account.now - began) < _TIMEOUT_SECONDS:
            yield 5 if waited < _OFTEN else 60
            session = self.session()
            if session.group_id:
                self.verified_at = self.account.now
                return
            if session.status is SessionStatus.REDACTED:
                raise GaveUp("the session was erased")
            if session.last_error:
                view = yield from self._until_created("/sessions/{session_id}/attempts", session_id=session.id)
                yield from self._pass(view["attempt"]["h5_link"])
        raise GaveUp("the session was never verified")

    def session(self) -> Session:
        """Returns the current session."""
        found = self.account.store.get_session(self.session_id)
        assert found
        return found

    def redeliver(self) -> None:
        """Delivers everything a second time: messages, S3's events, the browser's requests."""
        for body in list(self.account.delivered):
            self.account.send(body)
        for event in self.account.uploads:
            self.account.deliver_upload(event)
        for url in self.account.callbacks:
            self.account.browser(url)

    def snapshot(self) -> object:
        """Returns everything that a redelivery must not change."""
        session, assets = self.account.store.load(self.session_id)
        store = self.account.simulator.store
        tokens = {each.token: each.successful_lookups for each in store.validations.values()}
        return session, assets, tokens, sorted(store.assets)

    def unsettled(self) -> list[str]:
        """Returns the assets that are still in progress."""
        assets = self.account.store.list_assets(self.session_id)
        # A registration that was repeated after a lost response never receives its file, so it does not count.
        return [f"{each.name} is {each.status.value}" for each in assets if each.status in IN_PROGRESS]


def take_check(h5_link: str, outcome: str) -> str:
    """Performs the face check on the H5 page; returns the URL of the redirect."""
    back = requests.post(h5_link, data={"outcome": outcome, "person": "alice"}, allow_redirects=False, timeout=10)
    return back.headers["Location"]


def registration(index: int, name: str | None = None) -> dict[str, Any]:
    """Returns the body that registers ``FACES[index]``."""
    return {
        "name": name or f"face {index}",
        "asset_type": "Image",
        "content_type": "image/jpeg",
        "size_bytes": len(FACES[index]),
    }
