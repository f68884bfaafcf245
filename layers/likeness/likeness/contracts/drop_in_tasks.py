"""Responses of crun's own routes about tasks. Without Pydantic, which would slow down cold starts.

Source: crun's documentation of its generation tasks.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from likeness.domain.drop_in import TaskEstimate
from likeness.domain.generation import WITHHELD, Generation, GenerationStatus, Media

#: crun's codes of a task's result: success, server error, and a task that has failed.
_DONE, _SERVER_ERROR, _FAILED = 200, 500, 501


def task_info(generation: Generation, url_of: Callable[[Media], str]) -> dict[str, Any]:
    """The data of TaskInfo, and of the callback. It contains the caller's own input, and URLs that are secrets.

    ``status`` is ``pending``, ``running``, ``success`` or ``failed``. A success has its media: until they are saved,
    the task is running. One whose media are withheld is failed, and so is one whose outcome is not known.
    """
    report, result = generation.report, _result(generation, url_of)
    provider, _, version = generation.model.partition("/")
    return {
        "task_id": generation.task_id,
        "provider": (report and report.provider) or provider,
        "model_version": (report and report.model_version) or version,
        "status": _status(generation, result),
        "param": _param(generation),
        "create_at": _iso(generation.submitted_at or generation.created_at),
        "complete_at": _completed(generation),
        "duration_s": report.duration_seconds if report and generation.is_over else None,
        "credits": _credits(generation),
        "result": result,
        "source": "api",
    }


def created_task(generation: Generation) -> dict[str, Any]:
    """The data of CreateTask."""
    return {"task_id": generation.task_id}


def estimate_task(estimate: TaskEstimate) -> dict[str, Any]:
    """The data of EstimateTask."""
    return {
        "estimated_credits": estimate.credits,
        "balance": estimate.balance,
        "affordable": estimate.affordable,
    }


def estimate_credits(estimate: TaskEstimate) -> dict[str, Any]:
    """The data of estimate-credits."""
    return {"credits": estimate.credits, "estimated": True}


def account_balance(balance: float) -> dict[str, Any]:
    """The data of account/balance."""
    return {"balance": balance}


def _status(generation: Generation, result: dict[str, Any] | None) -> str:
    if result is None:
        return "pending" if generation.status is GenerationStatus.QUEUED else "running"
    return "success" if result["code"] == _DONE else "failed"


def _result(generation: Generation, url_of: Callable[[Media], str]) -> dict[str, Any] | None:
    """The result, None while the task is running."""
    if not generation.is_over:
        return None
    if generation.status is GenerationStatus.UNCERTAIN:
        return _failure(_SERVER_ERROR, generation.error.message if generation.error else "The outcome is not known")
    if generation.status is not GenerationStatus.SUCCEEDED:
        error = generation.error
        code = error.upstream_code if error and error.upstream_code else ""
        message = (error.upstream_message or error.message) if error else "The task has failed"
        return _failure(int(code) if code.isdecimal() else _FAILED, message)
    if generation.outcome == WITHHELD and generation.media_problem:
        return _failure(_FAILED, f"{generation.media_problem.message} ({generation.media_problem.code})")
    if generation.erased_at is not None:
        return _failure(_FAILED, "The media were erased (erased)")
    usage = dict(generation.report.usage) if generation.report else {}
    return {"code": _DONE, "message": "success", "usage": usage, "media_urls": _media_urls(generation, url_of)}


def _failure(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "media_urls": [], "usage": {}}


def _media_urls(generation: Generation, url_of: Callable[[Media], str]) -> list[str]:
    """Our URLs of the saved media, and crun's own of those that could not be saved."""
    saved = {_number(each): url_of(each) for each in generation.media}
    known = generation.report.media_urls if generation.media_problem and generation.report else ()
    if len(known) < max(saved, default=0):
        return list(saved.values())
    return [saved.get(number, url) for number, url in enumerate(known, 1)]


def _number(media: Media) -> int:
    """The position of a file in crun's list, by its key ``generations/<id>/<number>.<extension>``."""
    return int(media.key.rpartition("/")[2].partition(".")[0])


def _param(generation: Generation) -> dict[str, Any]:
    """The caller's own request, without what was erased."""
    text = generation.given or generation.input
    return {
        "model": generation.model,
        **({"callback_url": generation.callback_url} if generation.callback_url else {}),
        **({"input": json.loads(text)} if text else {}),
    }


def _completed(generation: Generation) -> int | None:
    if not generation.is_over:
        return None
    reported = generation.report.completed_at if generation.report else None
    return int(reported or generation.ended_at or generation.updated_at)


def _credits(generation: Generation) -> float | None:
    """What was reserved, if a budget is set; then what the task has cost, as crun says."""
    if generation.credits is not None:
        return generation.credits
    return generation.reserved or None if not generation.is_over else None


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
