"""Generations: the calls about tasks, what they cost, and the media links of their films."""

import random
import re
import secrets
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError
from fnmatch import fnmatchcase
from typing import Literal
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from local.simulator.callbacks import CallbackSender, forged
from local.simulator.messages import Answer, Reply, Request, invalid, problems_of, read_body, shown_time, web_address
from local.simulator.models import ASSET_SCHEME, MODELS, Input, described, listed
from local.simulator.render import FilmPlan, Renderer, sides
from local.simulator.settings import CallbackBody, SimulatorSettings, TaskFate, TaskOutcome
from local.simulator.state import Asset, Clock, MediaLink, Store, Task

MODELS_PATH = "/api/v1/client/job/Models"
MEDIA_PATH = "/media/"
TaskAction = Literal["success", "failed", "never", "vanishes", "callback"]

_MEDIA = re.compile(r"/media/([A-Za-z0-9_-]{43})\.(mp4|jpg)")
_PRICES = {"480p": 1.0, "720p": 2.0, "1080p": 5.0}
#: A task is pending for this part of its time, but at most for this many seconds.
_PENDING_PART, _PENDING_SECONDS = 0.25, 10.0
_PIXELS = {"480p": 854 * 480, "720p": 1280 * 720, "1080p": 1920 * 1080}


class TaskBody(BaseModel):
    """Body of CreateTask, EstimateTask and estimate-credits."""

    model_config = ConfigDict(strict=True)
    model: str = Field(min_length=1, max_length=128)
    callback_url: str | None = Field(None, max_length=2048, repr=False)
    input: dict[str, JsonValue] = Field(repr=False)

    @field_validator("callback_url")
    @classmethod
    def _is_uri(cls, value: str | None) -> str | None:
        return None if value is None else web_address(value)


class Generation:
    """Answers the calls about tasks. A task ends by the simulated clock; its film is rendered meanwhile."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: Callable[[], SimulatorSettings],
        public_base_url: Callable[[], str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._public_base_url = public_base_url
        self._renderer = Renderer()
        self._callbacks = CallbackSender(store, clock, settings, self._data)
        self._used: dict[TaskOutcome, int] = {}

    def start(self) -> None:
        """Start to send callbacks."""
        self._callbacks.start()

    def stop(self) -> None:
        """Stop callbacks and rendering."""
        self._callbacks.stop()
        self._renderer.clear()

    def clear(self) -> None:
        """Drop planned callbacks, and films."""
        self._callbacks.clear()
        self._renderer.clear()
        with self._store.lock:
            self._used.clear()

    # -- calls ---------------------------------------------------------------------------------------

    def create_task(self, request: Request) -> Answer:
        """POST CreateTask: a task's id, or a refusal; the estimate is reserved."""
        read = self._read(request)
        if isinstance(read, Answer):
            return read
        body, wanted = read
        settings = self._settings()
        with self._store.lock:
            assets = self._assets(wanted)
            if isinstance(assets, Answer):
                return assets
            outcome = self._configured_outcome(wanted.prompt, settings)
            if outcome is not None and outcome.outcome == "refused":
                return invalid(outcome.message) if outcome.code == 422 else Answer(outcome.code, outcome.message)
            cost = _cost(wanted, settings)
            balance = self.balance()
            if balance <= 0 or cost > balance:
                return Answer(402, "insufficient credits")
            task = self._add(body, wanted, assets, outcome, cost)
        if task.fate == "success":
            self._renderer.begin(task.plan)
        self._callbacks.plan(task)
        return Answer(200, data={"task_id": task.id}, task_id=task.id)

    def task_info(self, request: Request) -> Answer:
        """GET TaskInfo: a task's status, what it cost, and its media links."""
        task_id = request.query_value("task_id")
        if not task_id:
            return invalid("task_id: field required")
        settings = self._settings()
        with self._store.lock:
            task = self._store.tasks.get(task_id)
            if task is not None:
                task.looks += 1
                visible_at = task.created_at + settings.task_visible_after_seconds
                if task.fate != "vanishes" and visible_at <= self._clock.now():
                    return Answer(200, data=self._data(task), task_id=task.id)
        return Answer(404, "task not found") if settings.task_unknown == "404" else Answer(200)

    def estimate_task(self, request: Request) -> Answer:
        """POST EstimateTask: `estimated_credits`, `balance` and `affordable`."""
        cost = self._estimate(request, "EstimateTask")
        if isinstance(cost, Answer):
            return cost
        balance = self.balance()
        return Answer(200, data={"estimated_credits": cost, "balance": balance, "affordable": cost <= balance})

    def estimate_credits(self, request: Request) -> Answer:
        """POST estimate-credits: `credits` and `estimated`."""
        cost = self._estimate(request, "estimate-credits")
        return cost if isinstance(cost, Answer) else Answer(200, data={"credits": cost, "estimated": True})

    def models(self, request: Request) -> Answer:
        """GET Models: the list; GET Models/{model}: one model with the schema of its input."""
        name = unquote(request.path.removeprefix(MODELS_PATH).removeprefix("/"))
        if not name:
            return Answer(200, data={"total": len(MODELS), "models": [listed(each) for each in MODELS]})
        return Answer(200, data=described(name)) if name in MODELS else Answer(404, "model not found")

    def balance(self) -> float:
        """Return the credits that are left; running tasks reserve their estimates."""
        with self._store.lock:
            spent = sum(self._ripen(task).credits for task in self._store.tasks.values())
            return round(self._settings().balance - spent, 4)

    # -- media ---------------------------------------------------------------------------------------

    def serve(self, request: Request) -> Reply:
        """Serve a film or its last frame, like an object storage: a link that has expired is refused with XML."""
        match = _MEDIA.fullmatch(request.path)
        with self._store.lock:
            link = self._store.media.get(match[1]) if match else None
            if request.method not in ("GET", "HEAD"):
                return _storage_error(405, "MethodNotAllowed")
            if link is None or match is None or link.last_frame != (match[2] == "jpg"):
                return _storage_error(404, "NoSuchKey")
            if link.ends_at <= self._clock.now():
                status = self._settings().media_gone_status
                gone = _storage_error(status, "AccessDenied" if status == 403 else "NoSuchKey")
                gone.task_id = link.task.id
                return gone
            link.task.downloads += request.method == "GET"
        try:
            film = self._renderer.film(link.task.plan)
        except (TimeoutError, CancelledError):
            return _storage_error(503, "SlowDown")
        content, kind = (film.last_frame, "image/jpeg") if link.last_frame else (film.mp4, "video/mp4")
        return Reply(200, content, {"Content-Type": kind}, outcome=200, task_id=link.task.id)

    # -- control -------------------------------------------------------------------------------------

    def end(self, task_id: str, action: TaskAction, message: str | None, body: CallbackBody) -> None:
        """Give a task another outcome now, or send a callback. Raises ValueError when it is unknown or has ended."""
        with self._store.lock:
            task = self._store.tasks.get(task_id)
            if task is None:
                raise ValueError("no task has this id")
            if action == "callback":
                self._callbacks.send(task, body)
                return
            ended = self._ripen(task).ended_at is not None
            if ended and action != "vanishes":
                raise ValueError("the task has ended")
            task.fate, task.message = action, message or task.message or TaskOutcome.model_fields["message"].default
            if action in ("success", "failed"):
                task.due = self._clock.now()
            elif action == "never":
                task.due = None
        if not ended and self._settings().callback_when == "ended":
            self._callbacks.plan(task)

    def callback_of(self, task_id: str, body: CallbackBody = "true") -> tuple[str | None, dict[str, object]]:
        """Return the URL and the body of a task's callback as of now, for a test that delivers it without a network.

        Raises KeyError when the task is unknown.
        """
        with self._store.lock:
            task = self._store.tasks[task_id]
            return task.callback_url, forged(self._data(task), body)

    def summary(self) -> dict[str, object]:
        """Return the balance and, for each task, what tests assert on; without prompts, URLs and links."""
        with self._store.lock:
            tasks = {
                task.id: {
                    "model": task.model,
                    "status": task.status,
                    "fate": task.fate,
                    "credits": task.credits,
                    "looks": task.looks,
                    "downloads": task.downloads,
                    "callbacks": list(task.callbacks),
                }
                for task in map(self._ripen, self._store.tasks.values())
            }
            return {"balance": self.balance(), "tasks": tasks}

    # -- tasks ---------------------------------------------------------------------------------------

    def _read(self, request: Request) -> tuple[TaskBody, Input] | Answer:
        body = read_body(TaskBody, request.body)
        if isinstance(body, Answer):
            return body
        if body.model not in MODELS:
            return invalid("model: unknown model")
        try:
            return body, MODELS[body.model].model_validate(body.input)
        except ValidationError as exc:
            return invalid(*problems_of(exc, "input"))

    def _estimate(self, request: Request, call: str) -> float | Answer:
        settings = self._settings()
        if settings.estimate_call not in (call, "both"):
            return Answer(settings.estimate_refusal_code, "this feature is not available")
        read = self._read(request)
        if isinstance(read, Answer):
            return read
        with self._store.lock:
            assets = self._assets(read[1])
        return assets if isinstance(assets, Answer) else _cost(read[1], settings)

    def _assets(self, wanted: Input) -> list[Asset] | Answer:
        """Return the assets of an input in their order, or a refusal that names the fields of unknown ones."""
        found, problems = [], []
        for field, kind, value in wanted.files():
            if not value.startswith(ASSET_SCHEME):
                continue
            asset = self._store.assets.get(value.removeprefix(ASSET_SCHEME))
            if asset is None:
                problems.append(f"input.{field}: asset not found")
            elif asset.asset_type != kind:
                problems.append(f"input.{field}: the asset is not of the type {kind}")
            else:
                found.append(self._store.ripen(asset))
        return invalid(*problems) if problems else found

    def _configured_outcome(self, prompt: str, settings: SimulatorSettings) -> TaskOutcome | None:
        for each in settings.task_outcomes:
            used = self._used.get(each, 0)
            if fnmatchcase(prompt, each.prompt) and (each.times is None or used < each.times):
                self._used[each] = used + 1
                return each
        return None

    def _add(
        self, body: TaskBody, wanted: Input, assets: list[Asset], outcome: TaskOutcome | None, cost: float
    ) -> Task:
        settings, now, number = self._settings(), self._clock.now(), len(self._store.tasks) + 1
        after = _seconds(settings, number)
        fate: TaskFate = "success"
        message = ""
        if outcome is not None and outcome.outcome != "refused":
            fate, message = outcome.outcome, outcome.message
            after = after if outcome.after_seconds is None else outcome.after_seconds
        if any(each.status != "Active" for each in assets):
            fate, message, after = "failed", "An asset is not active.", 0.0
        elif assets and wanted.byteplus_fallback:
            fate, message, after = "failed", "An asset was not found.", 0.0
        pictures = tuple(each.picture for each in assets if each.picture is not None)
        groups = self._store.groups
        width, height = sides(wanted.aspect_ratio, pictures)
        task = Task(
            id=str(uuid.uuid4()),
            number=number,
            model=body.model,
            request=body.model_dump(exclude_unset=True),
            callback_url=body.callback_url,
            plan=FilmPlan(
                width,
                height,
                wanted.duration,
                wanted.audio,
                pictures,
                tuple(dict.fromkeys(groups[each.group_id].person for each in assets)),
            ),
            last_frame=wanted.return_last_frame,
            resolution=wanted.resolution,
            created_at=now,
            due=None if fate == "never" else now + after,
            fate=fate,
            message=message,
            reserved=cost,
            credits=cost,
        )
        self._store.tasks[task.id] = task
        return task

    def _ripen(self, task: Task) -> Task:
        """Return the task with the status that it has by now; when it ends, with its cost and its media links."""
        if task.ended_at is not None:
            return task
        settings, now = self._settings(), self._clock.now()
        if task.due is not None and task.due <= now:
            failed = task.fate == "failed"
            part = settings.failed_credits_part if failed else settings.success_credits_part
            task.status = "failed" if failed else "success"
            task.ended_at, task.credits = task.due, round(task.reserved * part, 4)
            if not failed:
                self._link(task, task.due)
            return task
        whole = 0.0 if task.due is None else task.due - task.created_at
        pending = min(_PENDING_SECONDS, _PENDING_PART * whole)
        task.status = "running" if now >= task.created_at + pending else "pending"
        return task

    def _link(self, task: Task, start: float) -> None:
        """Make media links that work for the settings' time from `start`."""
        ends_at = start + self._settings().media_link_seconds
        task.media = []
        for last_frame in (False, True)[: 1 + task.last_frame]:
            token = secrets.token_urlsafe(32)
            self._store.media[token] = MediaLink(task, last_frame, ends_at)
            task.media.append(token)

    def _data(self, task: Task) -> dict[str, object]:
        """Return TaskInfo's data, as of now."""
        settings = self._settings()
        self._ripen(task)
        if task.status == "success" and settings.renew_media_links:
            self._link(task, self._clock.now())
        ended, failed = task.ended_at, task.status == "failed"
        data: dict[str, object] = {
            "task_id": task.id,
            "provider": task.model.partition("/")[0],
            "model_version": task.model.partition("/")[2],
            "status": task.status.upper() if settings.task_status_case == "upper" else task.status,
            "param": task.request,
            "create_at": shown_time(task.created_at, settings.create_time_format),
            "complete_at": None if ended is None else shown_time(ended, settings.update_time_format),
            "duration_s": None if ended is None else round(ended - task.created_at, 3),
            "credits": task.credits,
            "result": None,
            "source": "api",
        }
        if failed and not settings.failed_credits_shown:
            del data["credits"]
        if failed:
            in_result = settings.failed_reason_in != "reason"
            message = task.message if in_result else "failed"
            data["result"] = {"code": 501, "message": message, "media_urls": [], "usage": {}}
            if settings.failed_reason_in != "message":
                data["reason"] = task.message
        elif ended is not None:
            data |= self._success(task, settings)
        return data

    def _success(self, task: Task, settings: SimulatorSettings) -> dict[str, object]:
        base = f"{self._public_base_url()}{MEDIA_PATH}"
        urls = [f"{base}{token}.{end}" for token, end in zip(task.media, ("mp4", "jpg"), strict=False)]
        tokens = _PIXELS[task.resolution] * 24 * task.plan.seconds // 1024
        result: dict[str, object] = {"code": 200, "message": "success", "usage": {"total_tokens": tokens}}
        if settings.media_urls_in != "data":
            result["media_urls"] = urls
        return {"result": result} | ({"media_urls": urls} if settings.media_urls_in != "result" else {})


def _seconds(settings: SimulatorSettings, number: int) -> float:
    """Return for how many seconds the task with this number runs; the number is the seed."""
    drawn = random.Random(f"{settings.seed}:task:{number}")  # noqa: S311 - a duration, not a secret
    return drawn.uniform(settings.task_min_seconds, settings.task_max_seconds)


def _cost(wanted: Input, settings: SimulatorSettings) -> float:
    """Return the estimate of a generation, in credits."""
    return round(wanted.duration * settings.credits_per_second * _PRICES[wanted.resolution], 4)


def _storage_error(status: int, code: str) -> Reply:
    page = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return Reply(status, page.encode(), {"Content-Type": "application/xml"}, outcome=status)
