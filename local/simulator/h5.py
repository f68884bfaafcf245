"""The H5 link: the page a person sees, the check, and the redirect to the callback."""

import re
from collections.abc import Callable
from typing import Literal, cast
from urllib.parse import parse_qs, urlencode

from local.simulator import pages
from local.simulator.messages import Reply, Request
from local.simulator.settings import SimulatorSettings
from local.simulator.state import Clock, Outcome, Store, Validation

Action = Literal["pass", "fail", "cancel", "lapse", "mismatch"]
PATH = "/h5/validate"
PASSED = "10000"
_PERSON = re.compile(r"[a-z0-9_-]{1,32}")


class H5:
    """Serves the link. A script passes with one POST, `outcome=pass&person=alice`, whose response is a 303."""

    def __init__(self, store: Store, clock: Clock, settings: Callable[[], SimulatorSettings]) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    def handle(self, request: Request) -> Reply:
        """Answer a GET (which changes nothing) or a POST of the link."""
        frame = _frame(request.query)
        with self._store.lock:
            validation = self._store.validations.get(request.query_value("bytedToken") or "")
            if validation is None or _without_language(request.query) != validation.link_query:
                # crun signs its links: they are invalid when a parameter is lost or re-encoded
                return _page(403, pages.message_page(frame, "unknown"))
            if request.method == "POST":
                return self._post(validation, frame, request)
            validation.page_views += 1
            return self._show(validation, frame)

    def finish(self, token_hash: str, outcome: Action, person: str | None = None) -> str | None:
        """Do what a person does on a link, for the validation whose token has this hash. Returns the callback's URL.

        `mismatch` is a pass after which no picture or clip shows the person; it also changes a check that was passed.
        `lapse` ends the link's time, and has no callback. Raises ValueError when the validation is unknown, or its
        link has lapsed or was used.
        """
        with self._store.lock:
            validation = self._store.validation_of(token_hash)
            if validation is None:
                raise ValueError("no session has this id")
            if outcome == "mismatch" and validation.outcome == "pass":
                self._store.groups[str(validation.group_id)].mismatch = True
                return self._callback(validation)
            if validation.outcome is not None:
                raise ValueError("the check has a result")
            if self.seconds_left(validation) <= 0:
                raise ValueError("the link has lapsed")
            if outcome == "lapse":
                validation.issued_at = self._clock.now() - self._settings().link_seconds
                return None
            form = {"outcome": "pass" if outcome == "mismatch" else outcome} | ({"person": person} if person else {})
            if not self._check(validation, form):
                raise ValueError("a person's name has up to 32 letters, digits, - and _")
            if outcome == "mismatch":
                self._store.groups[str(validation.group_id)].mismatch = True
            return self._callback(validation)

    def _show(self, validation: Validation, frame: pages.Frame) -> Reply:
        if validation.outcome is not None:
            return _page(200, pages.result_page(frame, validation.outcome))
        left = self.seconds_left(validation)
        if left <= 0:
            return _page(410, pages.message_page(frame, "expired"))
        return _page(200, pages.check_page(frame, self._settings().default_person, int(left)))

    def _post(self, validation: Validation, frame: pages.Frame, request: Request) -> Reply:
        form = {key: values[-1] for key, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        if validation.outcome is None:
            if self.seconds_left(validation) <= 0:
                return _page(410, pages.message_page(frame, "expired"))
            if not self._check(validation, form):
                return _page(400, pages.message_page(frame, "bad"))
        # the page's own form shows the result first; a cancelled check redirects immediately
        if "review" in form and validation.outcome in ("pass", "fail"):
            return _page(200, pages.result_page(frame, validation.outcome))
        headers = {"Location": self._callback(validation), "Cache-Control": "no-store"}
        return Reply(303, headers={**headers, "Referrer-Policy": "no-referrer"})

    def _check(self, validation: Validation, form: dict[str, str]) -> bool:
        """Set the outcome of the form, which is final; return False for a bad form."""
        settings = self._settings()
        outcome = form.get("outcome")
        person = form.get("person", settings.default_person)
        if person == pages.SOMEONE_ELSE:
            person = form.get("other_person", "")
        person = person.strip().lower()
        if outcome not in ("pass", "fail", "cancel") or not _PERSON.fullmatch(person):
            return False
        validation.outcome = cast("Outcome", outcome)
        validation.person = person
        if outcome == "pass":
            validation.result_code = PASSED
            validation.group_id = self._store.open_group(person).id
        elif outcome == "fail":
            validation.result_code = form.get("result_code", settings.fail_result_code)
            validation.algorithm_code = form.get("algorithm_code", settings.fail_algorithm_code)
        else:
            validation.result_code = settings.cancel_result_code
        return True

    def _callback(self, validation: Validation) -> str:
        """Return the callback URL with the result parameters, joined like crun does."""
        settings = self._settings()
        parameters = {
            "bytedToken": validation.token,
            "resultCode": validation.result_code or "",
            "algorithmBaseRespCode": validation.algorithm_code,
            # 1 means that the check is billed, with any result
            "reqMeasureInfoValue": "0" if validation.outcome == "cancel" else "1",
            "verify_type": "real_time",
        }
        if validation.outcome != "pass" and not settings.failure_includes_token:
            del parameters["bytedToken"]
        address, mark, fragment = validation.callback_url.partition("#")
        joint = settings.callback_join if "?" in address else "?"
        return f"{address}{joint}{urlencode(parameters)}{mark}{fragment}"

    def seconds_left(self, validation: Validation) -> float:
        """Return for how many seconds a link can still be opened; 0 or less when it has lapsed."""
        return validation.issued_at + self._settings().link_seconds - self._clock.now()


def _without_language(query: str) -> str:
    return "&".join(part for part in query.split("&") if part.partition("=")[0] != "lng")


def _frame(query: str) -> pages.Frame:
    asked = parse_qs(query).get("lng", ["zh"])[-1]
    language = next((each for each in pages.LANGUAGES if each == asked), "zh")
    rest = _without_language(query)
    actions = {each: f"validate?{rest}&lng={each}" for each in pages.LANGUAGES}
    return pages.Frame(cast("pages.Language", language), actions)


def _page(status: int, html: str) -> Reply:
    return Reply(status, html.encode(), dict(pages.PAGE_HEADERS))
