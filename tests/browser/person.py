"""A person who uses the page by touch, mouse and keyboard only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Watched
from tests.integration.conftest import Api, come_back, face_check

#: The browser's console message for a failed request.
FAILED_LOAD = "Failed to load resource"


@dataclass
class Person:
    """One person and one page. Finds elements by their text, unless the text does not matter."""

    watched: Watched

    @property
    def page(self) -> Page:
        """The tab."""
        return self.watched.page

    def sees(self, place: str) -> None:
        """Waits until the page shows that view (``data-place``, see placeOf in state.js)."""
        expect(self.page.locator(f"main[data-place={place}] h1")).to_be_visible(timeout=90_000)

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """Returns a button by its name; a string must match completely."""
        return self.page.get_by_role("button", name=name, exact=isinstance(name, str))

    @property
    def main_button(self) -> Locator:
        """The first button of the view, in any language."""
        return self.page.locator("main .step > button").first

    def refocuses(self) -> None:
        """Focuses the window, so that the page polls immediately."""
        self.page.evaluate("dispatchEvent(new Event('focus'))")

    @property
    def finish_button(self) -> Locator:
        """The button for the end of the last step, in any language."""
        return self.page.locator(".finish > button:visible").first

    def sees_phase(self, phase: str) -> None:
        """Waits until the step of the files is in that phase (see phaseOf in state.js)."""
        expect(self.page.locator("main[data-place=files]")).to_have_attribute("data-phase", phase, timeout=90_000)

    def declines(self) -> None:
        """Does not agree to the text."""
        self.sees("consent")
        self.page.locator("main .step > button").nth(1).click()
        self.sees("declined")

    def agrees(self) -> None:
        """Ticks the box and continues to the face check."""
        self.sees("consent")
        self.page.get_by_role("checkbox").check()
        self.main_button.click()
        self.sees("ready")

    def starts(self) -> None:
        """Presses the view's first button, which opens the H5 page."""
        self.main_button.click()
        self.page.wait_for_url("**/h5/validate**")

    def passes(self, person: str = "alice", outcome: str = "pass") -> None:
        """Completes the H5 page, until the browser returns."""
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
        """Adds files that were not requested."""
        self.chooses(self.page.locator(".drop button").first, *files)

    def row(self, name: str) -> Locator:
        """Returns the row of the file of that name."""
        return self.page.locator(".file").filter(has=self.page.get_by_text(name, exact=True))

    def sees_file(self, name: str, state: str) -> Locator:
        """Waits until the file has a state (``data-state``); returns its row."""
        found = self.row(name)
        expect(found).to_have_attribute("data-state", state, timeout=90_000)
        return found


def consent_of_the_client() -> dict[str, str]:
    """Returns a consent that a developer obtained in their own application."""
    return {"text_version": "acme-7", "given_at": "2026-11-20T08:00:00Z"}


def invited(api: Api, **body: Any) -> dict[str, Any]:
    """Creates a session that starts when its person opens it, by default in English."""
    return api.session(**({"start": "on_open", "language": "en"} | body))


def agreed(api: Api, **body: Any) -> dict[str, Any]:
    """Creates the same session with a recorded consent."""
    return invited(api, **({"consent": consent_of_the_client()} | body))


def attempt_by_api(api: Api, session: dict[str, Any], outcome: str = "pass", person: str = "alice") -> None:
    """Performs a face check from the link to the callback, without the page."""
    made = api("POST", f"/sessions/{session['id']}/attempts")
    assert made.status_code == 201, made.text
    come_back(face_check(made.json()["attempt"]["h5_link"], outcome, person))


def verified(api: Api, **body: Any) -> dict[str, Any]:
    """Creates a verified session."""
    session = agreed(api, **body)
    attempt_by_api(api, session)
    api.wait(session["id"], lambda found: found["status"] == "verified")
    return session
