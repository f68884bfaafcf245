"""The operator's view of generations: facts from the table, the bucket and Step Functions.

It never contains a prompt, a link, a reference, or crun's words, which may quote a prompt.
"""

from __future__ import annotations

from typing import Any

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.generations import DynamoGenerations
from likeness.domain.generation import Generation, GenerationFilter, TaskReport
from likeness.domain.session import Problem
from likeness.domain.times import iso
from likeness.errors import NotFound
from ops.client_keys import ClientKeys
from ops.executions import executions
from ops.stack import Stack


class Generations:
    """The generations of a stack. ``on_aws``: executions have a page in AWS's console."""

    def __init__(self, stack: Stack, *, on_aws: bool) -> None:
        self._stack, self._on_aws = stack, on_aws
        self._store = DynamoGenerations(stack.client("dynamodb"), stack.outputs["TableName"])

    def newest(self, client_id: str | None, wanted: GenerationFilter, limit: int, cursor: str | None) -> dict[str, Any]:
        """Returns at most ``limit`` generations, newest first, and the ``cursor`` of the rest or None.

        With a filter there may be fewer although more follow, because a bounded number of pages is read. Without a
        client, they are those of every client that has or had a key, and ``cursor`` is None; ``complete`` says whether
        these are all. Raises NotFound for the filter of an unknown session.
        """
        if client_id is None and wanted.session_id:
            client_id = self._client_of(wanted.session_id)
        clients = [client_id] if client_id else self._clients()
        pages = [self._store.list_generations(each, limit=limit, cursor=cursor, wanted=wanted) for each in clients]
        found = sorted((each for page in pages for each in page.generations), key=_age)
        complete = len(found) <= limit and not any(page.cursor for page in pages)
        return {
            "generations": [_summary(each) for each in found[:limit]],
            "cursor": pages[0].cursor if client_id else None,
            "complete": complete,
        }

    def show(self, generation_id: str) -> dict[str, Any]:
        """Returns the state of a generation, with times in ISO 8601. Raises NotFound."""
        generation = self._store.get(generation_id)
        if generation is None:
            raise NotFound(f"no generation has the id {generation_id}")
        return _summary(generation) | {
            "drop_in": generation.drop_in,
            "updated_at": iso(generation.updated_at),
            "intended_at": iso(generation.intended_at),
            "intended_by": generation.intended_by,
            "submitted_at": iso(generation.submitted_at),
            "asked_at": iso(generation.asked_at),
            "erased_at": iso(generation.erased_at),
            "reserved": generation.reserved,
            "people": [
                {
                    "session_id": each.session_id,
                    "asset_ids": ", ".join(each.asset_ids),
                    "crun_asset_ids": ", ".join(each.crun_asset_ids),
                    "consent_given_at": each.consent_given_at,
                }
                for each in generation.people
            ],
            "report": generation.report and _report(generation.report),
            "media": self._media(generation),
            "executions": self._executions(generation),
        }

    def _clients(self) -> list[str]:
        keys = ClientKeys(self._stack.client("dynamodb"), self._stack.outputs["TableName"]).known()
        return sorted({each.client_id for each in keys})

    def _client_of(self, session_id: str) -> str:
        session = DynamoStore(self._stack.client("dynamodb"), self._stack.outputs["TableName"]).get_session(session_id)
        if session is None:
            raise NotFound(f"no session has the id {session_id}")
        return session.client_id

    def _media(self, generation: Generation) -> list[dict[str, Any]]:
        """Returns the files that were saved, and whether the bucket still has them: ``kept`` or ``gone``."""
        pages = self._stack.client("s3").get_paginator("list_objects_v2")
        prefix, bucket = f"generations/{generation.id}/", self._stack.outputs["UploadBucketName"]
        kept = {
            each["Key"] for page in pages.paginate(Bucket=bucket, Prefix=prefix) for each in page.get("Contents", ())
        }
        saved = {each.key for each in generation.media}
        return [
            {
                "content_type": each.content_type,
                "size_bytes": each.size_bytes,
                "sha256": each.sha256,
                "file": "kept" if each.key in kept else "gone",
            }
            for each in generation.media
        ] + [{"key": key, "file": "not recorded"} for key in sorted(kept - saved)]

    def _executions(self, generation: Generation) -> list[dict[str, Any]]:
        """Returns the executions of the generation that Step Functions still has."""
        machine = self._stack.outputs.get("GenerationStateMachineArn")
        if not machine:
            return []
        names = [generation.id, *(f"{generation.id}-r{number + 1}" for number in range(generation.executions))]
        return executions(self._stack.client("stepfunctions"), machine, names, on_aws=self._on_aws)


def _age(generation: Generation) -> float:
    return -generation.created_at


def _summary(generation: Generation) -> dict[str, Any]:
    return {
        "id": generation.id,
        "client_id": generation.client_id,
        "status": generation.status.value,
        "model": generation.model,
        "purpose": generation.purpose,
        "created_at": iso(generation.created_at),
        "ended_at": iso(generation.ended_at),
        "task_id": generation.task_id,
        "credits": generation.credits,
        "error": _problem(generation.error),
        "media_problem": _problem(generation.media_problem),
    }


def _problem(problem: Problem | None) -> dict[str, Any] | None:
    """Returns a problem without crun's words, which may be its message."""
    if problem is None:
        return None
    return {
        "code": problem.code,
        "message": None if problem.upstream_message else problem.message,
        "upstream_code": problem.upstream_code,
        "retryable": problem.retryable,
    }


def _report(report: TaskReport) -> dict[str, Any]:
    return {
        "status": report.status,
        "code": report.code,
        "credits": report.credits,
        "files": len(report.media_urls),
        "provider": report.provider,
        "model_version": report.model_version,
        "completed_at": iso(report.completed_at),
        "duration_seconds": report.duration_seconds,
    }
