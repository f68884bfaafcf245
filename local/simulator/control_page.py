"""The simulator's page under `/_sim`, without scripts: sessions, assets, tasks, faults, clock, settings and log."""

import json
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TypeVar, cast, get_args
from urllib.parse import parse_qs

from pydantic import ValidationError

from local.simulator.crun import Crun
from local.simulator.faults import FaultKind, FaultRule
from local.simulator.generation import TaskAction
from local.simulator.h5 import Action
from local.simulator.messages import Reply, Request
from local.simulator.pages import PAGE_HEADERS
from local.simulator.settings import CallName, SimulatorSettings
from local.simulator.state import Task, Validation, hash_token

# Without a referrer, browsers send no origin with a form.
_HEADERS = PAGE_HEADERS | {"Referrer-Policy": "same-origin"}
_LATEST = 100
_Entry = TypeVar("_Entry")
_ACTIONS = get_args(Action)
_TASK_ACTIONS = get_args(TaskAction)
_STYLE = """
:root{color-scheme:light dark;--link:#1f5fd1;--back:#fff;--ink:#16202c}
@media(prefers-color-scheme:dark){:root{--link:#8bb4ff;--back:#10151c;--ink:#eaf0f6}}
body{background:var(--back);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;max-width:70rem;margin:0 auto;
padding:1rem;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid #8886;overflow-wrap:normal}
code{font-size:.9em}button,input,select{font:inherit;padding:.3rem .6rem;margin:.1rem}
form{display:inline-flex;flex-wrap:wrap;gap:.3rem;align-items:end}label{display:inline-grid}label.check{display:inline;white-space:nowrap}
.wide form{flex-wrap:nowrap;align-items:center}
a{color:var(--link)}
.problem{border:2px solid #c33;padding:.5rem 1rem}
"""


class ControlPage:
    """Answers the page and its forms. `do` names the form; after it, the browser loads the page again."""

    def __init__(self, crun: Crun) -> None:
        self._crun = crun
        self._forms: dict[str, Callable[[dict[str, str]], str | None]] = {
            "session": self._finish,
            "task": self._end_task,
            "fault": self._add_fault,
            "clear_faults": lambda _: crun.clear_faults(),
            "clock": self._set_clock,
            "setting": self._change_setting,
            "reset": lambda _: crun.reset(),
        }

    def handle(self, request: Request) -> Reply:
        """Answer a GET, or a form's POST: 303 to the page or the callback, 422 with the page and the problem."""
        if request.method in ("GET", "HEAD"):
            return self._page(200)
        form = {key: values[-1].strip() for key, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        work = self._forms.get(form.get("do", ""))
        if request.method != "POST" or work is None:
            return self._page(404, "This form is unknown.")
        try:
            target = work(form)
        except ValidationError as exc:
            shown = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in exc.errors())
            return self._page(422, shown)
        except ValueError as exc:
            return self._page(422, str(exc))
        return Reply(303, headers={"Location": target or "?", "Cache-Control": "no-store"})

    # -- forms ---------------------------------------------------------------------------------------

    def _finish(self, form: dict[str, str]) -> str | None:
        if form.get("outcome") not in _ACTIONS:
            raise ValueError("choose an outcome")
        outcome = cast("Action", form["outcome"])
        callback = self._crun.h5.finish(form.get("session", ""), outcome, form.get("person"))
        return callback if "return" in form else None

    def _end_task(self, form: dict[str, str]) -> None:
        if form.get("action") not in _TASK_ACTIONS:
            raise ValueError("choose an action")
        action = cast("TaskAction", form["action"])
        self._crun.generation.end(form.get("task", ""), action, None, self._crun.settings.callback_body)

    def _add_fault(self, form: dict[str, str]) -> None:
        numbers = {name: json.loads(form[name]) for name in ("times", "code") if name in form}
        self._crun.add_faults(FaultRule.model_validate({"call": form.get("call"), "kind": form.get("kind")} | numbers))

    def _set_clock(self, form: dict[str, str]) -> None:
        self._crun.set_clock(float(form.get("offset_seconds", "0")))

    def _change_setting(self, form: dict[str, str]) -> None:
        text = form.get("value", "")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        self._crun.update_settings(**{form.get("name", ""): value})

    # -- the page ------------------------------------------------------------------------------------

    def _page(self, status: int, problem: str = "") -> Reply:
        with self._crun.store.lock:
            parts = (
                self._sessions(),
                self._assets(),
                self._tasks(),
                self._faults(),
                self._clock(),
                self._log(),
                self._settings(),
            )
        note = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
        html = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><title>crun simulator</title>'
            f"<style>{_STYLE}</style></head><body><main><h1>crun simulator</h1>{note}"
            f'<p><a href="?">Load again</a> {_form("reset", "", "Delete everything")}</p>{"".join(parts)}'
            "</main></body></html>"
        )
        return Reply(status, html.encode(), dict(_HEADERS))

    def _sessions(self) -> str:
        rows = [
            (_code(hash_token(each.token)), _result(each), self._left(each), str(each.lookups), self._actions(each))
            for each in _latest(self._crun.store.validations.values())
        ]
        return _section("Sessions", ("Session", "Result", "Link", "Look-ups", "The person"), rows)

    def _left(self, validation: Validation) -> str:
        if validation.outcome is not None:
            return "used"
        left = self._crun.h5.seconds_left(validation)
        return f"{left:.0f} s left" if left > 0 else "lapsed"

    def _actions(self, validation: Validation) -> str:
        group = self._crun.store.groups.get(validation.group_id or "")
        if group is not None and group.mismatch:
            return "is not in the files"
        passed = validation.outcome == "pass"
        if not passed and (validation.outcome is not None or self._crun.h5.seconds_left(validation) <= 0):
            return ""
        session = escape(hash_token(validation.token))
        offered = ("mismatch",) if passed else _ACTIONS
        buttons = "".join(f'<button name="outcome" value="{each}">{each.capitalize()}</button>' for each in offered)
        back = '<label class="check"><input type="checkbox" name="return" checked> return to the callback</label>'
        return (
            f'<form method="post"{"" if passed else " target=_blank"}><input type="hidden" name="do" value="session">'
            f'<input type="hidden" name="session" value="{session}">{buttons}{"" if passed else back}</form>'
        )

    def _assets(self) -> str:
        store = self._crun.store
        rows = [
            (
                _code(each.id),
                escape(each.name),
                each.asset_type,
                each.status + (f": {escape(': '.join(each.error))}" if each.error else ""),
                _code(each.group_id),
            )
            for each in map(store.ripen, _latest(store.assets.values()))
        ]
        return _section("Assets", ("Asset", "Name", "Type", "Status", "Group"), rows)

    def _tasks(self) -> str:
        balance = self._crun.generation.balance()  # also gives each task its status by now
        rows = [
            (
                _code(each.id),
                escape(each.model),
                each.status + (f": {escape(each.message)}" if each.status == "failed" else ""),
                f"{each.credits:g}",
                ", ".join("no response" if status is None else str(status) for status in each.callbacks),
                self._task_actions(each),
            )
            for each in _latest(self._crun.store.tasks.values())
        ]
        columns = ("Task", "Model", "Status", "Credits", "Callbacks", "Its end")
        return _section("Tasks", columns, rows, f"<p>{balance:g} credits are left.</p>")

    def _task_actions(self, task: Task) -> str:
        running = _TASK_ACTIONS[:-1] if task.ended_at is None else ()
        offered = (*running, *(_TASK_ACTIONS[-1:] if task.callback_url else ()))
        if not offered:
            return ""
        buttons = "".join(f'<button name="action" value="{each}">{each.capitalize()}</button>' for each in offered)
        return (
            '<form method="post"><input type="hidden" name="do" value="task">'
            f'<input type="hidden" name="task" value="{task.id}">{buttons}</form>'
        )

    def _faults(self) -> str:
        rows = [
            (
                str(each["call"]),
                str(each["kind"]),
                str(each["code"] or ""),
                f"{each['hit']} of {each['times'] or 'all'}",
            )
            for each in self._crun.faults.in_force()
        ]
        fields = (
            _choice("Call", "call", ("any", *get_args(CallName)))
            + _choice("Kind", "kind", get_args(FaultKind))
            + _field("Code", "code", "", "number")
            + _field("Times", "times", "1", "number")
        )
        more = _form("fault", fields, "Add") + " " + _form("clear_faults", "", "Remove all")
        return _section("Faults", ("Call", "Kind", "Code", "Calls hit"), rows, more)

    def _clock(self) -> str:
        offset = f"{self._crun.clock.offset_seconds:g}"
        fields = _field("Seconds ahead of this machine", "offset_seconds", offset, "number")
        return _section("Clock", (), [], _form("clock", fields, "Set"))

    def _settings(self) -> str:
        described = SimulatorSettings.model_fields
        rows = [
            (
                _code(name),
                _form(
                    "setting",
                    f'<input type="hidden" name="name" value="{name}"><input name="value" aria-label="{name}"'
                    f' value="{escape(value if isinstance(value, str) else json.dumps(value))}">',
                    "Set",
                ),
                escape(described[name].description or ""),
            )
            for name, value in self._crun.settings.model_dump(mode="json").items()
        ]
        return _section("Settings", ("Name", "Value", "Meaning"), rows)

    def _log(self) -> str:
        rows = [
            (
                str(each.number),
                f"{each.method} {escape(each.call)}",
                "no response" if each.status is None else str(each.status),
                "" if each.code is None else str(each.code),
                each.fault or "",
                _code(each.token_hash or each.asset_id or each.task_id or ""),
            )
            for each in _latest(self._crun.store.log())
        ]
        return _section("Log", ("No.", "Call", "Status", "Code", "Fault", "Session, asset or task"), rows)


def _latest(entries: Iterable[_Entry]) -> list[_Entry]:
    return list(entries)[: -_LATEST - 1 : -1]


def _result(validation: Validation) -> str:
    if validation.outcome is None:
        return "none yet"
    return f"{validation.outcome} {_code(validation.group_id)}" if validation.group_id else validation.outcome


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>" if text else ""


def _section(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], more: str = "") -> str:
    """Return a section with a table. The cells are HTML."""
    table = ""
    if rows:
        head = "".join(f'<th scope="col">{each}</th>' for each in columns)
        body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
        table = (
            f'<div class="wide" tabindex="0" role="group" aria-label="{title}"><table><thead><tr>{head}</tr></thead>'
        )
        table += f"<tbody>{body}</tbody></table></div>"
    elif columns:
        table = "<p>None.</p>"
    return f'<section id="{title.lower()}"><h2>{title}</h2>{table}{more}</section>'


def _form(name: str, fields: str, button: str) -> str:
    hidden = f'<input type="hidden" name="do" value="{name}">'
    return f'<form method="post">{hidden}{fields}<button>{button}</button></form>'


def _field(label: str, name: str, value: str, kind: str) -> str:
    return f'<label>{label}<input type="{kind}" step="any" name="{name}" value="{escape(value)}"></label>'


def _choice(label: str, name: str, values: tuple[str, ...]) -> str:
    options = "".join(f"<option>{each}</option>" for each in values)
    return f'<label>{label}<select name="{name}">{options}</select></label>'
