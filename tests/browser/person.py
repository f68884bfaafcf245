"""A person before the page: what a thumb, a mouse or a keyboard can do, and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Watched
from tests.integration.conftest import Api, come_back, face_check

#: What the browser itself says to the console when an answer is no success, or none comes.
FAILED_LOAD = "Failed to load resource"


@dataclass
class Person:
    """One person and one page. Finds things by what they say, except where the words are not the matter."""

    watched: Watched

    @property
    def page(self) -> Page:
        """The tab."""
        return self.watched.page

    def sees(self, place: str) -> None:
        """Waits until the page shows that view (``data-place``, see placeOf in state.js)."""
        expect(self.page.locator(f"main[data-place={place}] h1")).to_be_visible(timeout=90_000)

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """A button by its name; a string must be the whole of it."""
        return self.page.get_by_role("button", name=name, exact=isinstance(name, str))

    @property
    def main_button(self) -> Locator:
        """The first button of the view, whatever the language."""
        return self.page.locator("main .step > button").first

    def looks_again(self) -> None:
        """Comes back to the window: what a page would ask for in some seconds it asks for at once."""
        self.page.evaluate("dispatchEvent(new Event('focus'))")

    def agrees(self) -> None:
        """Ticks the box and goes on to the face check."""
        self.sees("consent")
        self.page.get_by_role("checkbox").check()
        self.main_button.click()
        self.sees("ready")

    def starts(self) -> None:
        """Presses the view's first button, and arrives at the H5 page."""
        self.main_button.click()
        self.page.wait_for_url("**/h5/validate**")

    def passes(self, person: str = "alice", outcome: str = "pass") -> None:
        """What is to be clicked on the H5 page, until the browser is sent back."""
        choice = self.page.locator(f"input[name=person][value={person}]")
        choice.check()
        self.page.locator(f"button[value={outcome}]").click()
        if outcome != "cancel":
            self.page.locator("button[name=done]").click()
        self.page.wait_for_url("**/invite")

    def chooses(self, button: Locator, *files: Any) -> None:
        """Picks files in the chooser that ``button`` opens."""
        with self.page.expect_file_chooser() as opened:
            button.click()
        opened.value.set_files([str(each) if isinstance(each, Path) else each for each in files])

    def adds(self, *files: Any) -> None:
        """Adds files that nobody has asked for by name."""
        self.chooses(self.page.locator(".drop button").first, *files)

    def row(self, name: str) -> Locator:
        """The line of the file of that name."""
        return self.page.locator(".file").filter(has=self.page.get_by_text(name, exact=True))

    def sees_file(self, name: str, state: str) -> Locator:
        """Waits until the file stands so (``data-state``); its line."""
        found = self.row(name)
        expect(found).to_have_attribute("data-state", state, timeout=90_000)
        return found


def consent_of_the_client() -> dict[str, str]:
    """What a developer sends who has asked for the consent in the own product."""
    return {"text_version": "acme-7", "given_at": "2026-11-20T08:00:00Z"}


def invited(api: Api, **body: Any) -> dict[str, Any]:
    """A session whose person opens the link: English unless told otherwise."""
    return api.session(**({"start": "on_open", "language": "en"} | body))


def agreed(api: Api, **body: Any) -> dict[str, Any]:
    """The same, with the consent on record."""
    return invited(api, **({"consent": consent_of_the_client()} | body))


def attempt_by_api(api: Api, session: dict[str, Any], outcome: str = "pass", person: str = "alice") -> None:
    """A face check from the link to the callback, without the page."""
    made = api("POST", f"/sessions/{session['id']}/attempts")
    assert made.status_code == 201, made.text
    come_back(face_check(made.json()["attempt"]["h5_link"], outcome, person))


def verified(api: Api, **body: Any) -> dict[str, Any]:
    """A session whose person has passed."""
    session = agreed(api, **body)
    attempt_by_api(api, session)
    api.wait(session["id"], lambda found: found["status"] == "verified")
    return session
