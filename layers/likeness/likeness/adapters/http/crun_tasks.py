"""crun's generation tasks, for the functions that make videos. The others load the smaller CrunClient alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from likeness.adapters.http.crun_client import CrunClient
from likeness.contracts.crun import read_id
from likeness.contracts.crun_tasks import read_estimate, read_task_report, texts_of
from likeness.domain.generation import TaskReport
from likeness.errors import UpstreamAmbiguous, UpstreamError, UpstreamIncomplete, UpstreamRefused

#: Two routes with the same purpose are documented: the route, and the field with the credits.
_ESTIMATES = (("EstimateTask", "estimated_credits"), ("estimate-credits", "credits"))
_NOT_FOUND = 404
#: A status by which a server shows that it does not have a route.
_NO_ROUTE = frozenset({_NOT_FOUND, 405})


class CrunTasksClient(CrunClient):
    """The ports ``Crun`` and ``CrunTasks``."""

    #: The index of the estimate's route that has answered, as long as the process lives.
    _estimate = 0

    def create_task(
        self,
        model: str,
        content: Mapping[str, Any],
        callback_url: str,
        correlation_id: str | None = None,
        client_id: str | None = None,
    ) -> str:
        """See the port."""
        self._take(1, client_id)
        body = {"model": model, "callback_url": callback_url, "input": content}
        sent = [*texts_of(content), callback_url]
        return read_id(self._call("POST", "job/CreateTask", "task_id", correlation_id, body, sent), "task_id")

    def task(self, task_id: str, correlation_id: str | None = None, client_id: str | None = None) -> TaskReport | None:
        """See the port. A task that is not known is 404, or a success without data."""
        self._take(1, client_id)
        query = f"job/TaskInfo?task_id={quote(task_id, safe='')}"
        try:
            data = self._call("GET", query, "status", correlation_id, sent=[task_id])
        except UpstreamIncomplete:
            return None
        except UpstreamRefused as refusal:
            if refusal.upstream_code != _NOT_FOUND:
                raise
            return None
        return read_task_report(data, task_id)

    def estimate(
        self,
        model: str,
        content: Mapping[str, Any],
        correlation_id: str | None = None,
        client_id: str | None = None,
    ) -> float:
        """See the port. The route that has answered is asked first from then on."""
        body = {"model": model, "input": content}
        try:
            return self._estimated(self._estimate, body, correlation_id, client_id)
        except (UpstreamRefused, UpstreamAmbiguous) as problem:
            if not _may_lack_route(problem):
                raise
            first = problem
        other = 1 - self._estimate
        try:
            credits_ = self._estimated(other, body, correlation_id, client_id)
        except (UpstreamRefused, UpstreamAmbiguous) as problem:
            raise (first if _may_lack_route(problem) else problem) from None
        self._estimate = other
        return credits_

    def _estimated(self, index: int, body: dict[str, Any], correlation_id: str | None, client_id: str | None) -> float:
        route, name = _ESTIMATES[index]
        self._take(1, client_id)
        return read_estimate(
            self._call("POST", f"job/{route}", name, correlation_id, body, list(texts_of(body["input"]))), name
        )


def _may_lack_route(problem: UpstreamError) -> bool:
    return isinstance(problem, UpstreamIncomplete) or problem.upstream_code in _NO_ROUTE
