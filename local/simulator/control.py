"""The control API under `/_sim/`, for tests that see the simulator only over HTTP. Loopback clients only."""

import ipaddress
import json
from collections.abc import Callable
from dataclasses import asdict
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from local.simulator.control_page import ControlPage
from local.simulator.crun import Crun
from local.simulator.faults import FaultRule
from local.simulator.generation import TaskAction
from local.simulator.h5 import Action
from local.simulator.messages import Reply, Request, json_reply
from local.simulator.settings import CallbackBody

PREFIX = "/_sim/"
_RULES = TypeAdapter(list[FaultRule])
_OBJECT = TypeAdapter(dict[str, object])


class _ClockBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    offset_seconds: float


class _KeyBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    api_key: SecretStr


class _SessionBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    session: str
    outcome: Action
    person: str | None = None


class _TaskBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    task_id: str
    action: TaskAction
    message: str | None = None
    callback_body: CallbackBody = "true"


class Control:
    """Answers the control API.

    - `POST faults`: a rule, a list of rules, or `{"rules": [...]}`; `GET` and `DELETE faults`
    - `POST settings`: some fields of `SimulatorSettings`; `GET settings`
    - `POST clock` `{"offset_seconds": n}`: moves the time for links and tokens (the downloader's clock is the
      setting `fetch_skew_seconds`)
    - `POST key` `{"api_key": "…"}`: rotates the key; `POST reset`: deletes everything except settings and key
    - `POST sessions` `{"session": "<hash>", "outcome": "pass"}`: does what the person does on the link of the session
      with this hash (`GET state` lists them), with an optional `person`; the response has the callback's URL
    - `POST tasks` `{"task_id": "…", "action": "failed"}`: ends a generation now, with an optional `message`: `success`,
      `failed`, `never`, `vanishes`; `callback` sends one, with an optional `callback_body`
    - `GET create-requests`: the CreateTask calls received, with their bodies
    - `GET log`, `GET state`, `GET health`

    `GET` and `POST` without a name serve the page for people (`control_page.py`).
    """

    def __init__(self, crun: Crun, origins: Callable[[], set[str]]) -> None:
        self._crun = crun
        self._origins = origins
        self._page = ControlPage(crun)
        self._routes: dict[tuple[str, str], Callable[[bytes], object]] = {
            ("GET", "health"): lambda _: {"ok": True},
            ("GET", "log"): lambda _: {"entries": crun.store.log_as_dicts()},
            ("GET", "state"): lambda _: crun.state(),
            ("GET", "settings"): lambda _: crun.settings.model_dump(mode="json"),
            ("POST", "settings"): self._change_settings,
            ("GET", "faults"): lambda _: {"rules": crun.faults.in_force()},
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): self._clear_faults,
            ("POST", "clock"): self._set_clock,
            ("POST", "key"): self._change_key,
            ("POST", "sessions"): self._finish,
            ("POST", "tasks"): self._end_task,
            ("GET", "create-requests"): lambda _: {"requests": [asdict(each) for each in crun.create_requests()]},
            ("POST", "reset"): self._reset,
        }

    def handle(self, request: Request) -> Reply:
        """Answer one control request; 403 for other machines and web pages, 422 naming the field for a bad body."""
        if not _is_local(request):
            return json_reply(403, {"error": "the control API is for loopback clients"})
        if request.headers.get("origin", "") not in {"", *self._origins()}:
            # a page of any site can post to loopback or to the gateway, although it cannot read the response
            return json_reply(403, {"error": "the control API is not for pages of other sites"})
        if request.path in (PREFIX, PREFIX[:-1]):
            return self._page.handle(request)
        route = self._routes.get((request.method, request.path.removeprefix(PREFIX)))
        if route is None:
            return json_reply(404, {"error": "unknown control call"})
        try:
            return json_reply(200, route(request.body))
        except ValidationError as exc:
            problems = [
                {"field": ".".join(str(part) for part in each["loc"]), "problem": each["msg"]}
                for each in exc.errors(include_input=False, include_url=False, include_context=False)
            ]
            return json_reply(422, {"error": "bad body", "problems": problems})
        except (json.JSONDecodeError, UnicodeDecodeError):
            return json_reply(422, {"error": "the body is not JSON"})
        except ValueError as exc:
            return json_reply(422, {"error": str(exc)})

    def _add_faults(self, body: bytes) -> object:
        value = json.loads(body)
        if isinstance(value, dict):
            value = value.get("rules", [value])
        self._crun.add_faults(*_RULES.validate_python(value))
        return {"rules": self._crun.faults.in_force()}

    def _clear_faults(self, _: bytes) -> object:
        self._crun.clear_faults()
        return {"rules": []}

    def _change_settings(self, body: bytes) -> object:
        return self._crun.update_settings(**_OBJECT.validate_json(body)).model_dump(mode="json")

    def _set_clock(self, body: bytes) -> object:
        offset = _ClockBody.model_validate_json(body).offset_seconds
        self._crun.set_clock(offset)
        return {"offset_seconds": offset}

    def _change_key(self, body: bytes) -> object:
        self._crun.change_key(_KeyBody.model_validate_json(body).api_key.get_secret_value())
        return {"ok": True}

    def _finish(self, body: bytes) -> object:
        asked = _SessionBody.model_validate_json(body)
        return {"callback_url": self._crun.h5.finish(asked.session, asked.outcome, asked.person)}

    def _end_task(self, body: bytes) -> object:
        asked = _TaskBody.model_validate_json(body)
        self._crun.generation.end(asked.task_id, asked.action, asked.message, asked.callback_body)
        return {"ok": True}

    def _reset(self, _: bytes) -> object:
        self._crun.reset()
        return {"ok": True}


def _is_local(request: Request) -> bool:
    """Return whether peer and Host are loopback; checking the Host prevents DNS rebinding."""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    return _is_loopback(request.client_host) and (host == "localhost" or _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
