"""A visit: makes the doctor's calls in order, and decides when to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.doctor.judge import Finding, Judge, Verdict, amount_of, code_of, envelope_of, read_field, refused_for_all
from ops.doctor.redaction import Redactor
from ops.doctor.transport import Answer, Call, NoAnswer, OutOfTime, Transport

#: The time limit of a visit without cost, and the additional time for one that waits for an asset.
FREE_SECONDS, SPENDING_SECONDS = 50.0, 180.0
_POLL_SECONDS = 3.0
_SESSION_FIELDS = ("BytedToken", "H5Link", "CallbackURL")
_ASSET_FIELDS = ("AssetId", "Name", "AssetType", "Status", "CreateTime", "UpdateTime")
#: It has the form of an id, and does not exist.
_NO_ASSET = "asset-20000101000000-zzzzz"
_NOT_PASSED = (404, 422, 501)


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
            self._balance, self._wrong_key, self._unknown_asset, self._asset_without_id, self._session,
        ]  # fmt: skip
        if spend:
            questions += [self._look_ups, self._empty_upload]
        if upload:
            questions.append(lambda: self._upload(upload))
        questions.append(self._cost)
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
        """Polls an asset until it is settled or the time is used up."""
        call, seconds = Call("GET", "/job/asset-info", {"asset_id": asset_id}), 0.0
        while True:
            try:
                self.transport.pause(_POLL_SECONDS)
            except OutOfTime:
                self._learned("asset", "time to settle", f"not in {seconds:.0f} s")
                return
            answer = self._ask("asset", call)
            if not answer:
                return
            seconds += _POLL_SECONDS + answer.seconds
            if envelope_of(answer).data.get("Status") != "Processing" or code_of(answer) != 200:
                break
        judge = self._judge("asset")
        self._found(judge.success(answer, _ASSET_FIELDS))
        self._found(judge.asset(answer))
        self._learned("asset", "time to settle", f"about {seconds:.0f} s")

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


def _comparable(answer: Answer) -> tuple[int, int, str]:
    """Returns the comparable part of a response: without words with a digit, which are request ids and times."""
    message = (envelope_of(answer).fields or {}).get("message")
    words = message.split() if isinstance(message, str) else []
    return answer.status, code_of(answer), " ".join(each for each in words if not any(map(str.isdigit, each)))
