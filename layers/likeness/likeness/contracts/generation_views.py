"""Responses about generations and uses. Without Pydantic, which would slow down cold starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from likeness.domain.generation import (
    Generation,
    GenerationPage,
    GenerationStatus,
    Media,
    Spending,
    UseEntry,
    UsePage,
)
from likeness.domain.session import Problem
from likeness.domain.times import iso

#: Why media are absent, with which crun's own links are shown: it has them, and only we could not save them.
_UNAVAILABLE = "media_unavailable"


def generation_view(generation: Generation, url_of: Callable[[Media], str] | None = None) -> dict[str, Any]:
    """A generation with its result. ``url_of`` returns a URL for a reader of the media, which is a secret.

    None where a generation has no media, because it is canceled or erased. Neither the input nor the prompt is ever
    part of it.
    """
    return _common(generation) | {
        "result": _result(generation, url_of),
        "media_problem": _media_problem(generation),
    }


def generation_page_view(page: GenerationPage) -> dict[str, Any]:
    """A page of a listing, whose generations have no media."""
    return {
        "generations": [_common(each) | {"media_problem": _problem(each.media_problem)} for each in page.generations],
        "next_cursor": page.cursor,
    }


def estimate_view(estimated: float, budget: float | None, spending: Spending | None) -> dict[str, Any]:
    """crun's estimate in credits, and what is left of the client's budget of this UTC day, if it has one."""
    left = None if budget is None or spending is None else spending.left(budget)
    return {
        "estimated_credits": estimated,
        "budget": None if left is None else {"daily_credits": budget, "left": left},
    }


def uses_view(page: UsePage) -> dict[str, Any]:
    """A page of the ledger of a person's uses."""
    return {"uses": [use_entry_view(each) for each in page.uses], "next_cursor": page.cursor}


def use_entry_view(entry: UseEntry) -> dict[str, Any]:
    """One use of a person's likeness."""
    return {
        "generation_id": entry.generation_id,
        "time": iso(entry.at),
        "asset_ids": list(entry.asset_ids),
        "purpose": entry.purpose,
        "model": entry.model,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "media_sha256": list(entry.media_sha256),
    }


def _common(generation: Generation) -> dict[str, Any]:
    return {
        "id": generation.id,
        "status": generation.status.value,
        "model": generation.model,
        "purpose": generation.purpose,
        "reference": generation.reference,
        "session_ids": generation.session_ids,
        "asset_ids": [asset_id for each in generation.people for asset_id in each.asset_ids],
        "created_at": iso(generation.created_at),
        "updated_at": iso(generation.updated_at),
        "submitted_at": iso(generation.submitted_at),
        "ended_at": iso(generation.ended_at),
        "task_id": generation.task_id,
        "credits": generation.credits,
        "error": _error(generation.error),
        "erased_at": iso(generation.erased_at),
    }


def _error(error: Problem | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "code": error.code,
        "message": error.upstream_message or error.message,
        "upstream_code": error.upstream_code,
        "retryable": error.retryable,
    }


def _result(generation: Generation, url_of: Callable[[Media], str] | None) -> dict[str, Any] | None:
    if generation.status is not GenerationStatus.SUCCEEDED or generation.erased_at is not None:
        return None
    media = [_media(each, url_of(each)) for each in generation.media] if url_of else []
    return {"media": media, "usage": dict(generation.report.usage) if generation.report else {}}


def _media(media: Media, url: str) -> dict[str, Any]:
    return {
        "url": url,
        "content_type": media.content_type,
        "size_bytes": media.size_bytes,
        "sha256": media.sha256,
    }


def _media_problem(generation: Generation) -> dict[str, Any] | None:
    view = _problem(generation.media_problem)
    if view and view["code"] == _UNAVAILABLE and generation.report:
        view["upstream_media_urls"] = list(generation.report.media_urls)
    return view


def _problem(problem: Problem | None) -> dict[str, Any] | None:
    return None if problem is None else {"code": problem.code, "message": problem.message}
