"""Sends crun's callbacks: unsigned POSTs with TaskInfo's data, also late, repeated or forged."""

import heapq
import itertools
import threading
import time
import uuid
from collections.abc import Callable
from typing import Protocol

import requests
import urllib3

from local.simulator.settings import CallbackBody, SimulatorSettings
from local.simulator.state import Clock, Store, Task

_THREADS = 4
_CONNECT_SECONDS, _READ_SECONDS = 3.0, 5.0
#: The simulated clock can jump, so that a thread looks at it at least this often while something is planned.
_TICK_SECONDS = 0.05
_AGAIN_SECONDS = 0.2
_RETRY_SECONDS = 1.0
_STOP_SECONDS = 2.0
#: The link of a forged success: nothing listens there.
FORGED_LINK = "http://127.0.0.1:9/forged.mp4"


class TaskData(Protocol):
    """Returns TaskInfo's data of a task, as of now."""

    def __call__(self, task: Task) -> dict[str, object]: ...


class CallbackSender:
    """Sends callbacks on a few threads, each at its time on the simulated clock.

    A response other than 2xx, or none, is followed by another try a second later, `callback_tries` in all. Redirects
    are not followed, and responses are not read.
    """

    def __init__(self, store: Store, clock: Clock, settings: Callable[[], SimulatorSettings], data: TaskData) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._data = data
        self._wake = threading.Condition()
        self._jobs: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._stopping = True
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads."""
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"crun-callback-{number}", daemon=True)
            for number in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Drop what is planned and end the threads; running requests get two seconds."""
        self.clear()
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def clear(self) -> None:
        """Drop what is planned."""
        with self._wake:
            self._jobs.clear()

    def plan(self, task: Task) -> None:
        """Plan a task's callbacks by the settings, in place of those planned before."""
        settings = self._settings()
        with self._store.lock:
            task.turn += 1
            starts = task.created_at if settings.callback_when == "created" else task.due
        if task.callback_url is None or starts is None:
            return
        for number in range(settings.callback_times):
            at = starts + settings.callback_delay_seconds + number * _AGAIN_SECONDS
            self._at(at, task, settings.callback_body, task.turn, settings.callback_tries)

    def send(self, task: Task, body: CallbackBody) -> None:
        """Send one callback as soon as possible. Raises ValueError when the task has no callback URL."""
        if task.callback_url is None:
            raise ValueError("the task has no callback URL")
        self._at(self._clock.now(), task, body, None, self._settings().callback_tries)

    def _at(self, when: float, task: Task, body: CallbackBody, turn: int | None, tries: int) -> None:
        with self._wake:
            if not self._stopping:
                job = lambda: self._post(task, body, turn, tries)  # noqa: E731 - the heap keeps it
                heapq.heappush(self._jobs, (when, next(self._order), job))
                self._wake.notify()

    def _post(self, task: Task, body: CallbackBody, turn: int | None, tries: int) -> None:
        with self._store.lock:
            if self._store.tasks.get(task.id) is not task or turn not in (None, task.turn):
                return
            data = forged(self._data(task), body)
        status = _status_of(str(task.callback_url), data)
        with self._store.lock:
            task.callbacks.append(status)
        if tries > 1 and (status is None or not 200 <= status < 300):
            self._at(self._clock.now() + _RETRY_SECONDS, task, body, turn, tries - 1)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            job()

    def _next(self) -> Callable[[], None] | None:
        with self._wake:
            while not self._stopping:
                if self._jobs and self._jobs[0][0] <= self._clock.now():
                    return heapq.heappop(self._jobs)[2]
                self._wake.wait(_TICK_SECONDS if self._jobs else None)
            return None


def forged(data: dict[str, object], body: CallbackBody) -> dict[str, object]:
    """Return a callback's body: the data, or a forgery with another task's id or the opposite outcome."""
    if body == "wrong_task":
        return data | {"task_id": str(uuid.uuid4())}
    if body == "wrong_status":
        if str(data["status"]).lower() == "success":
            failed = {"code": 501, "message": "forged", "media_urls": []}
            return data | {"status": "failed", "result": failed}
        return data | {"status": "success", "result": {"code": 200, "message": "success", "media_urls": [FORGED_LINK]}}
    return data


def _status_of(url: str, data: dict[str, object]) -> int | None:
    """Post a callback, and return the HTTP status of the response, or None."""
    try:
        with requests.Session() as session:
            # no proxy between this machine's servers
            session.trust_env = False
            timeout = (_CONNECT_SECONDS, _READ_SECONDS)
            with session.post(url, json=data, timeout=timeout, allow_redirects=False, stream=True) as response:
                return response.status_code
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
        return None
