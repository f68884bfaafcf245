"""A real browser with the deployed stack. Errors in a page that no assertion covers also fail the test."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Playwright,
    Request,
    Route,
    expect,
    sync_playwright,
)

from local.processes import free_port
from local.stack import Stack
from ops.client_keys import ClientKeys
from tests.integration.conftest import Api
from tests.qr_codes import read_picture
from tests.template_file import ROOT

#: What axe finds in Swagger UI itself: a route's button contains a link to the route.
DOCS_EXEMPT = ("nested-interactive",)
#: Disables Chromium's background requests, and what a container lacks.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
_SERIOUS = ("serious", "critical")
TIMEOUT_MS = 30_000


def chromium() -> str:
    """Returns the browser's path. Fails without one, because a skip would hide that nothing was tested."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        pytest.fail("chromium is missing: `apt-get install chromium`, or set CHROMIUM to a browser", pytrace=False)
    return found


def link_in(image: Locator) -> str:
    """Returns the text of a QR code, read from a screenshot as a phone would."""
    expect(image).to_be_visible()
    image.evaluate("(image) => image.decode()")
    return read_picture(image.screenshot())


@dataclass
class Watched:
    """A page and its problems: console errors, exceptions, violations of its policy, requests to other origins.

    ``allowed`` are regular expressions for problems that a test causes on purpose.
    """

    page: Page
    origins: set[str]
    allowed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def listen(self) -> None:
        """Begins to record problems."""
        self.page.on("console", self._record_console)
        self.page.on("pageerror", lambda error: self._note(str(error)))
        self.page.on("request", self._asked)
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', (breach) =>"
            " console.error(`policy: ${breach.violatedDirective} ${breach.blockedURI}`))"
        )

    def _record_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._note(f"{message.text} ({urlsplit(message.location['url']).path})")

    def _asked(self, request: Request) -> None:
        self.requests.append(request)
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https") and f"{parts.scheme}://{parts.netloc}" not in self.origins:
            self._note(f"a request to {parts.netloc}")

    def _note(self, text: str) -> None:
        self.problems.append(text)

    def unexpected(self) -> list[str]:
        """Returns the problems that are not allowed."""
        return [each for each in self.problems if not any(re.search(allowed, each) for allowed in self.allowed)]

    def accessible(self, where: str, exempt: tuple[str, ...] = ()) -> None:
        """Fails when axe-core finds a serious violation in the current page, except of the rules ``exempt``."""
        found = [each for each in Axe().run(self.page).response["violations"] if each["id"] not in exempt]
        serious = [f"{each['id']}: {each['help']}" for each in found if each["impact"] in _SERIOUS]
        details = [node["html"][:160] for each in found if each["impact"] in _SERIOUS for node in each["nodes"]]
        assert serious == [], f"{where}: {serious} {details}"


@pytest.fixture
def fresh_client(stack: Stack, api: Api, keys: ClientKeys) -> Api:
    """A client for this test alone, so that its list and statistics contain only the test's sessions."""
    return api.with_credential(keys.add(f"client-{free_port()}", [_origin(stack)]))


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    running = playwright.chromium.launch(executable_path=chromium(), args=list(_FLAGS))
    yield running
    running.close()


def _origin(stack: Stack) -> str:
    parts = urlsplit(stack.api_url)
    return f"{parts.scheme}://{parts.netloc}"


OpenPage = Callable[..., Watched]


@pytest.fixture
def open_page(browser: Browser, stack: Stack) -> Iterator[OpenPage]:
    """Opens a page: ``open_page(url, phone=False, allowed=[…], context=None, **context options)``.

    ``context`` opens a second tab beside a first one. Every page is checked when the test ends.
    """
    contexts: list[BrowserContext] = []
    pages: list[Watched] = []
    origins = {_origin(stack), stack.emulator_endpoint}

    def opened(
        url: str,
        *,
        phone: bool = True,
        allowed: list[str] | None = None,
        context: BrowserContext | None = None,
        **options: Any,
    ) -> Watched:
        if context is None:
            context = browser.new_context(**((PHONE if phone else DESKTOP) | options))
            context.set_default_timeout(TIMEOUT_MS)
            contexts.append(context)
        watched = Watched(context.new_page(), origins, allowed or [])
        watched.listen()
        pages.append(watched)
        watched.page.goto(url)
        return watched

    yield opened
    found = {index: each.unexpected() for index, each in enumerate(pages) if each.unexpected()}
    for context in contexts:
        for page in context.pages:
            page.unroute_all(behavior="ignoreErrors")  # a request of a page that polls may be on its way
        context.close()
    assert found == {}


@pytest.fixture
def modules(open_page: OpenPage, stack: Stack) -> Page:
    """An empty page that can import the pages' modules from their sources: ``await import("./state.js")``.

    The pages themselves contain a bundle, whose modules cannot be imported.
    """

    def serve(route: Route) -> None:
        name = urlsplit(route.request.url).path.rpartition("/")[2]
        if not name:
            return route.fulfill(content_type="text/html", body=_EMPTY)
        (file,) = (ROOT / "layers/likeness/pages").glob(f"[!b]*/{name}")  # not those of "built"
        return route.fulfill(content_type="text/javascript", body=file.read_text("utf-8"))

    page = open_page("about:blank").page
    page.route(f"{stack.api_url}/modules/*", serve)
    page.goto(f"{stack.api_url}/modules/")
    return page


_EMPTY = '<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Modules</title></html>'
