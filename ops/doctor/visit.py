"""A visit: makes the doctor's calls in order, and decides when to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from likeness.domain.generation_models import GENERATION_MODELS
from ops.doctor.judge import Finding, Judge, Verdict, amount_of, code_of, envelope_of, read_field, refused_for_all
from ops.doctor.redaction import Redactor
from ops.doctor.transport import Answer, Call, NoAnswer, OutOfTime, Transport

#: The time limit of a visit without cost, and the additional times for a video, and for an asset.
FREE_SECONDS, VIDEO_SECONDS, ASSET_SECONDS = 80.0, 600.0, 180.0
_POLL_SECONDS = 3.0
_SESSION_FIELDS = ("BytedToken", "H5Link", "CallbackURL")
_ASSET_FIELDS = ("AssetId", "Name", "AssetType", "Status", "CreateTime", "UpdateTime")
#: It has the form of an id, and does not exist.
_NO_ASSET = "asset-20000101000000-zzzzz"
_NOT_PASSED = (404, 422, 501)
#: The cheapest video, which shows nobody.
_VIDEO: Mapping[str, Any] = {
    "model": "bytedance/seedance2-0-t2v",
    "input": {
        "prompt": "A paper boat on calm water, seen from above. Nobody is there.",
        "resolution": "480p",
        "duration": 4,
        "audio": False,
    },
}
#: Two calls with the same purpose are documented: the call, and the field with the credits.
_ESTIMATES = (("EstimateTask", "estimated_credits"), ("estimate-credits", "credits"))
#: The codes with which crun says that it has no such call, or not for this account.
_NOT_OFFERED = (404, 405, 505)
_NO_TASK = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A call and its response; ``answer`` is None when there was none, and ``why`` is the reason."""

    name: str
    call: Call
    answer: Answer | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to upload to crun, which costs as much as any upload. ``asset_url`` is public."""

    group_id: str
    asset_url: str
    asset_type: str


@dataclass
class Visit:
    """Makes the calls, and stores them and the findings."""

    transport: Transport
    redactor: Redactor
    callback_url: str
    findings: list[Finding] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    _credits: float | None = None
    _byted_token: str | None = None
    _estimates: bool = False
    _makes_videos: bool = False

    @property
    def exit_code(self) -> int:
        """0 when everything agrees, 1 when something differs, 2 when a response is missing."""
        verdicts = {each.verdict for each in self.findings}
        if Verdict.DIFFERS in verdicts:
            return 1
        return 2 if Verdict.UNANSWERED in verdicts else 0

    def pay(self, spend: bool, upload: Upload | None) -> None:
        """Makes the whole visit. Without ``spend``, only the calls that cost nothing; ``upload`` needs it."""
        questions: list[Callable[[], None]] = [
            self._balance, self._wrong_key, self._unknown_asset, self._asset_without_id, self._session, self._estimate,
            self._unknown_task, self._models,
        ]  # fmt: skip
        if spend:
            questions += [self._look_ups, self._empty_upload]
        if upload:
            questions.append(lambda: self._upload(upload))
        if spend:
            questions.append(self._video)
        questions += [self._cost, self._switch]
        for question in questions:
            question()
            first = self.exchanges[0]
            if first.answer is None or refused_for_all(first.answer):
                self._not_asked("the rest", "it would fail like the first call")
                return

    # -- calls that cost nothing -------------------------------------------------------------------------------------

    def _balance(self) -> None:
        answer = self._ask("balance", Call("GET", "/account/balance"))
        if answer:
            self._found(self._judge("balance").success(answer, ("balance",)))
            self._found(self._judge("balance").key(answer))
            self._credits = amount_of(envelope_of(answer).data)

    def _wrong_key(self) -> None:
        self._refused("wrong key", Call("GET", "/account/balance", wrong_key=True), (401,))

    def _unknown_asset(self) -> None:
        self._refused("unknown asset", Call("GET", "/job/asset-info", {"asset_id": _NO_ASSET}), (404,))

    def _asset_without_id(self) -> None:
        self._refused("asset without id", Call("GET", "/job/asset-info"), (422,))

    def _session(self) -> None:
        body = {"callback_url": self.callback_url}
        answer = self._ask("session", Call("POST", "/job/visual-validate-session", body=body))
        if not answer:
            return
        data = envelope_of(answer).data
        self._byted_token = self._secret_id(data, "BytedToken")
        judge = self._judge("session")
        self._found(judge.success(answer, _SESSION_FIELDS))
        if code_of(answer) == 200:
            self._found(judge.session(answer, self.callback_url))

    def _estimate(self) -> None:
        """Asks for the cost of a video: by the first call, and by the second one if crun does not offer the first."""
        for route, field_name in _ESTIMATES:
            answer = self._ask("estimate", Call("POST", f"/job/{route}", body=_VIDEO))
            if not answer:
                return
            judge = self._judge("estimate")
            if code_of(answer) in _NOT_OFFERED:
                self._learned("estimate", route, f"not offered: code {code_of(answer)}")
                continue
            self._found(judge.success(answer, (field_name,)))
            cost = amount_of(envelope_of(answer).data, field_name)
            if code_of(answer) == 200 and cost is not None:
                self._estimates = True
                self._learned("estimate", route, f"{cost:g} credits for 4 s at 480p")
            return

    def _unknown_task(self) -> None:
        """Reports how crun says that it does not know a task: 404, or a success without data."""
        answer = self._ask("unknown task", Call("GET", "/job/TaskInfo", {"task_id": _NO_TASK}))
        if answer and code_of(answer) == 200:
            is_empty = not envelope_of(answer).data
            text = "a success without data" if is_empty else "a success with data"
            self._learned("unknown task", "answer", text)
        elif answer:
            self._found(self._judge("unknown task").refusal(answer, _NOT_OFFERED))

    def _models(self) -> None:
        for name in GENERATION_MODELS:
            answer = self._ask(f"model {name.rpartition('/')[2]}", Call("GET", f"/job/Models/{name}"))
            if answer:
                self._found(self._judge(f"model {name.rpartition('/')[2]}").model(answer, name))

    def _cost(self) -> None:
        """Reports the cost of the visit, if the balance shows it immediately."""
        if self._credits is None:
            return
        answer = self._ask("balance again", Call("GET", "/account/balance"))
        left = amount_of(envelope_of(answer).data) if answer else None
        if answer and left is None:
            self._found(self._judge("balance again").success(answer, ("balance",)))
        if left is not None:
            spent = self._credits - left
            text = f"{spent:g} credits less" if spent > 0 else "none visible yet"
            self._learned("balance again", "cost of this visit", text)

    def _switch(self) -> None:
        """Says whether the parameter Generation may be switched on."""
        if self._estimates and self._makes_videos:
            text = "may be on: crun has estimated and made a video"
            self.findings.append(Finding("Generation", "switch", Verdict.AGREES, text))
        elif self._estimates and not any(each.name == "create task" for each in self.exchanges):
            self._not_asked("Generation", "crun estimates videos; --spend makes one, which has to succeed first")
        else:
            missing = "makes no video" if self._estimates else "estimates no video"
            self._learned("Generation", "switch", f"must stay off: crun {missing} for this account")

    # -- calls that may cost ------------------------------------------------------------------------------------------

    def _look_ups(self) -> None:
        """Looks up the new token twice, without a passed check: does the first lookup change the second?"""
        if not self._byted_token:
            self._not_asked("look-up", "crun returned no token")
            return
        call = Call("GET", "/job/visual-validate-result", {"byted_token": self._byted_token})
        first = self._refused("look-up", call, _NOT_PASSED)
        second = self._refused("look-up again", call, _NOT_PASSED)
        if first and second:
            same = _comparable(first) == _comparable(second)
            text = "both lookups return the same: the first has no visible effect"
            other = "the second lookup returns something else: the first one seems to consume the token"
            self._learned("look-up again", "single use", text if same else other)

    def _empty_upload(self) -> None:
        self._refused("empty upload", Call("POST", "/job/asset-upload", body={}), (422,))

    def _upload(self, upload: Upload) -> None:
        body = {
            "name": "likeness-doctor",
            "asset_type": upload.asset_type,
            "asset_url": upload.asset_url,
            "group_id": upload.group_id,
        }
        answer = self._ask("upload", Call("POST", "/job/asset-upload", body=body))
        if not answer:
            return
        asset_id = self._secret_id(envelope_of(answer).data, "AssetId")
        self._found(self._judge("upload").success(answer, ("AssetId",)))
        if code_of(answer) == 200 and asset_id:
            self._poll(asset_id)

    def _poll(self, asset_id: str) -> None:
        """Polls an asset until it is settled or its time is used up."""
        call = Call("GET", "/job/asset-info", {"asset_id": asset_id})
        answer = self._until("asset", call, ASSET_SECONDS, lambda data: data.get("Status") == "Processing")
        if answer:
            judge = self._judge("asset")
            self._found(judge.success(answer, _ASSET_FIELDS))
            self._found(judge.asset(answer))

    def _video(self) -> None:
        """Makes one video, and follows it to its end. CreateTask is called once, whatever happens."""
        if not self._estimates:
            self._not_asked("create task", "crun has not estimated it")
            return
        answer = self._ask(
            "create task", Call("POST", "/job/CreateTask", body={**_VIDEO, "callback_url": self.callback_url})
        )
        if not answer:
            return
        task_id = self._secret_id(envelope_of(answer).data, "task_id")
        self._found(self._judge("create task").success(answer, ("task_id",)))
        if code_of(answer) == 200 and task_id:
            self._follow(task_id)

    def _follow(self, task_id: str) -> None:
        """Polls a task until it is over or its time is used up."""
        call = Call("GET", "/job/TaskInfo", {"task_id": task_id})
        answer = self._until("task", call, VIDEO_SECONDS, lambda data: _status(data) in ("pending", "running"))
        if not answer:
            return
        judge = self._judge("task")
        self._found(judge.success(answer, ("task_id", "status")))
        if code_of(answer) == 200:
            self._found(judge.task(answer, task_id, self.callback_url))
            self._makes_videos = _status(envelope_of(answer).data) == "success"

    def _until(
        self, name: str, call: Call, limit: float, goes_on: Callable[[Mapping[str, Any]], bool]
    ) -> Answer | None:
        """Polls while ``goes_on``. Returns the last response, and None when there was none or the time is used up."""
        seconds = 0.0
        while True:
            try:
                self.transport.pause(_POLL_SECONDS)
            except OutOfTime:
                limit = seconds
            if seconds >= limit:
                self._learned(name, "time to settle", f"not in {seconds:.0f} s")
                return None
            answer = self._ask(name, call)
            if not answer:
                return None
            seconds += _POLL_SECONDS + answer.seconds
            if code_of(answer) != 200 or not goes_on(envelope_of(answer).data):
                self._learned(name, "time to settle", f"about {seconds:.0f} s")
                return answer

    # -- making calls -------------------------------------------------------------------------------------------------

    def _refused(self, name: str, call: Call, expected: Iterable[int]) -> Answer | None:
        answer = self._ask(name, call)
        if answer:
            self._found(self._judge(name).refusal(answer, tuple(expected)))
        return answer

    def _ask(self, name: str, call: Call) -> Answer | None:
        """Makes and stores one call. Returns None when there was no response."""
        try:
            answer = self.transport.send(call)
        except (NoAnswer, OutOfTime) as exc:
            why = str(exc) or "the time of this visit is used up"
            self.exchanges.append(Exchange(name, call, None, why))
            self.findings.append(Finding(name, "answer", Verdict.UNANSWERED, why))
            return None
        self.exchanges.append(Exchange(name, call, answer))
        return answer

    def _secret_id(self, data: Mapping[str, Any], name: str) -> str | None:
        """Returns an id as the product reads it, and marks it as a secret."""
        found, given = read_field(data, name), data.get(name)
        self.redactor.secret(found or (given if isinstance(given, str) else ""))
        return found

    def _judge(self, name: str) -> Judge:
        return Judge(name, self.redactor)

    def _found(self, findings: Iterable[Finding]) -> None:
        self.findings += findings

    def _learned(self, name: str, point: str, text: str) -> None:
        self.findings.append(Finding(name, point, Verdict.LEARNED, text))

    def _not_asked(self, name: str, why: str) -> None:
        self.findings.append(Finding(name, "answer", Verdict.NOT_ASKED, why))


def _status(data: Mapping[str, Any]) -> str:
    """Returns the status of a task as the product reads it: in lower case."""
    return str(data.get("status", "")).strip().lower()


def _comparable(answer: Answer) -> tuple[int, int, str]:
    """Returns the comparable part of a response: without words with a digit, which are request ids and times."""
    message = (envelope_of(answer).fields or {}).get("message")
    words = message.split() if isinstance(message, str) else []
    return answer.status, code_of(answer), " ".join(each for each in words if not any(map(str.isdigit, each)))
