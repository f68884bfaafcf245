"""The callback of a task that crun's own route has created: what is POSTed, and where, made anew for each try."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from likeness.contracts.drop_in_tasks import task_info
from likeness.domain.generation import Generation, Media
from likeness.ports.generations import GenerationStore

#: Like crun's callback, it has no signature: a receiver asks TaskInfo.
HEADERS = {"Content-Type": "application/json", "User-Agent": "Likeness"}


@dataclass(frozen=True, slots=True)
class TaskCallback:
    """A POST to the caller's server. Both are secrets: the body has the prompt and URLs of the media."""

    url: str
    body: str


@dataclass(frozen=True, slots=True)
class CallBack:
    """Makes callbacks. ``url_of`` returns the URL of saved media, which is valid for an hour."""

    generations: GenerationStore
    url_of: Callable[[Media], str]

    def __call__(self, generation_id: str) -> TaskCallback | None:
        """Returns the callback; None when nobody wants one, when it was erased, or while the task is running."""
        generation = self._wanted(generation_id)
        if generation is None or generation.callback_url is None:
            return None
        return TaskCallback(generation.callback_url, json.dumps(task_info(generation, self.url_of)))

    def is_wanted(self, generation_id: str) -> bool:
        """Returns whether there is one, without making it."""
        return self._wanted(generation_id) is not None

    def _wanted(self, generation_id: str) -> Generation | None:
        generation = self.generations.get(generation_id)
        if generation is None or not generation.is_over or generation.task_id is None:
            return None
        return None if generation.callback_url is None else generation
