"""`python -m ops doctor` against the simulator: its calls, its findings, and the secrets that it never reveals."""

from __future__ import annotations

import gzip
import json
import re
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import boto3
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from local.media import portrait
from local.simulator import FaultRule, Simulator, SimulatorSettings
from ops.cli import main
from ops.doctor import transport, visit
from ops.doctor.redaction import Redactor
from tests.aws import described_stack, isolated_aws_environment

pytestmark = pytest.mark.slow

KEY = "sk-crun-9f8e7d6c5b4a39281706"
CALLBACK = "https://app.acme.com/hooks/face/anna"


@dataclass
class Doctor:
    """Runs the command against a simulator, without its pauses."""

    simulator: Simulator

    def __call__(self, *options: str) -> Result:
        arguments = ["doctor", "--base-url", self.simulator.url, *options]
        return CliRunner(mix_stderr=False).invoke(main, arguments, env={"CRUN_API_KEY": KEY})

    def fault(self, call: str, kind: str, **more: Any) -> None:
        self.simulator.add_faults(FaultRule.model_validate({"call": call, "kind": kind, "times": None, **more}))

    def calls(self) -> list[str]:
        return [each.call for each in self.simulator.log()]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Doctor]:
    monkeypatch.setattr(transport, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(visit, "_POLL_SECONDS", 0.05)
    settings = SimulatorSettings(
        fetch_delay_seconds=0, settle_min_seconds=0, settle_max_seconds=0, task_min_seconds=0, task_max_seconds=0,
        callback_times=0,
    )  # fmt: skip
    with Simulator(api_key=KEY, settings=settings) as simulator:
        yield Doctor(simulator)


#: The calls that cost nothing, in order, before the last look at the balance.
FREE = ["balance", "balance", "info", "info", "session", "estimate", "task_info", *["models"] * 4]


def rows(result: Result, verdict: str) -> list[str]:
    """Returns the table's lines with a verdict."""
    return [" ".join(each.replace("│", " ").split()) for each in result.stdout.splitlines() if f"│ {verdict} " in each]


def test_everything_agrees_and_nothing_is_spent(doctor: Doctor) -> None:
    result = doctor()
    assert (result.exit_code, rows(result, "differs")) == (0, []), result.output
    assert doctor.calls() == [*FREE, "balance"]
    assert "upload" not in doctor.calls()
    assert "result" not in doctor.calls(), "a look-up may consume a token"
    assert "create_task" not in doctor.calls()
    assert "cost of this visit learned none visible yet" in " | ".join(rows(result, "learned"))


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("body", "code in the body, with an HTTP status of success"),
        ("both", "HTTP status and code in the body"),
    ],
)
def test_it_reports_the_form_of_a_refusal(doctor: Doctor, style: str, text: str) -> None:
    doctor.simulator.update_settings(refusal_style=style)
    result = doctor()
    assert result.exit_code == 0, result.output
    learned = [each for each in rows(result, "learned") if "refusal" in each]
    assert len(learned) == 4
    assert all(each.endswith(f"learned {text}") for each in learned)


def test_a_refusal_without_an_envelope_differs_because_the_application_needs_one(doctor: Doctor) -> None:
    doctor.simulator.update_settings(refusal_style="http")
    result = doctor()
    assert result.exit_code == 1, result.output
    differing = " | ".join(rows(result, "differs"))
    assert "HTTP 404, no code: asset_id: asset not found, not 404" in " ".join(differing.split())
    assert "401" not in differing, "401 counts without an envelope"
    learned = [each for each in rows(result, "learned") if "refusal" in each]
    assert all(each.endswith("HTTP status, no code in the body") for each in learned)


def test_the_errors_of_a_422_are_reported_without_the_values_sent(doctor: Doctor) -> None:
    doctor.fault("session", "both", code=422, message=f"callback_url: {CALLBACK} is not reachable")
    result = doctor("--callback-url", CALLBACK)
    found = " ".join(result.stdout.replace("│", " ").split())
    assert "errors learned asset_id: field required" in found
    assert "errors learned callback_url: https://" in found
    assert CALLBACK not in found


def test_a_disabled_key_is_reported_and_ends_the_checks(doctor: Doctor) -> None:
    doctor.simulator.update_settings(key_disabled=True)
    result = doctor()
    assert (result.exit_code, doctor.calls()) == (1, ["balance"])
    assert "key differs disabled at crun: enable it there" in " ".join(" ".join(rows(result, "differs")).split())


def test_details_that_the_contract_leaves_open_are_reported(doctor: Doctor) -> None:
    learned = " | ".join(rows(doctor("--spend"), "learned"))
    for fact in (
        "byted token learned 36 characters, digits, capital letters",
        "lng learned in the link: zh",
        "X-Algorithm, X-Credential, X-Signature",
        "token in the link learned as bytedToken",
        "callback URL learned returned unchanged",
        "cost of this visit learned 16 credits less",
        "Retry-After learned none",
    ):
        assert fact in learned


@pytest.mark.parametrize(
    ("mode", "text"), [("single_use", "seems to consume the token"), ("reusable", "has no visible effect")]
)
def test_two_look_ups_show_whether_a_token_is_single_use(doctor: Doctor, mode: str, text: str) -> None:
    doctor.simulator.update_settings(token_mode=mode)
    result = doctor("--spend")
    assert result.exit_code == 0, result.output
    assert text in " ".join(result.stdout.replace("│", " ").split())
    assert doctor.calls().count("result") == 2


@pytest.mark.parametrize(("form", "text"), [("iso", "ISO 8601"), ("epoch", "epoch seconds")])
def test_an_upload_is_followed_to_its_end(
    doctor: Doctor, serve: Callable[[str, bytes], str], form: str, text: str
) -> None:
    doctor.simulator.update_settings(create_time_format=form)
    group = doctor.simulator.store.open_group("alice").id
    result = doctor(
        "--spend", "--group-id", group, "--asset-url", serve("alice.png", portrait("alice", 400, 500, "PNG"))
    )
    assert result.exit_code == 0, result.output
    assert "status agrees Active" in " | ".join(rows(result, "agrees"))
    assert f"CreateTime learned {text}" in " | ".join(rows(result, "learned"))


@pytest.mark.parametrize("options", [["--group-id", "g"], ["--group-id", "g", "--asset-url", "https://a.example/x"]])
def test_an_upload_is_never_made_without_spend(doctor: Doctor, options: list[str]) -> None:
    assert doctor(*options).exit_code == 2
    assert doctor.calls() == []


@pytest.mark.parametrize(
    ("call", "fault", "text"),
    [
        ("session", {"kind": "html"}, "HTTP 502, not a JSON object"),
        ("session", {"kind": "html", "code": 200}, "HTTP 200, not a JSON object"),
        ("session", {"kind": "empty"}, "not a JSON object"),
        ("session", {"kind": "corrupt"}, "not a JSON object"),
        ("session", {"kind": "no_data"}, "data is missing"),
        ("session", {"kind": "wrong_types"}, "code is of type str"),
        ("session", {"kind": "redirect"}, "HTTP 302"),
        ("session", {"kind": "body", "code": 402}, "HTTP 200, code 402"),
        ("session", {"kind": "http", "code": 505}, "HTTP 505"),
        ("balance", {"kind": "both", "code": 403, "after": 1}, "code 403"),
        ("info", {"kind": "both", "code": 400}, "code 400"),
        ("info", {"kind": "both", "code": 777}, "code 777"),
    ],
)
def test_a_response_that_breaks_the_contract_differs(
    doctor: Doctor, call: str, fault: dict[str, Any], text: str
) -> None:
    doctor.fault(call, **fault)
    result = doctor()
    assert result.exit_code == 1, result.output
    assert text in " | ".join(rows(result, "differs"))


def test_unknown_fields_are_reported_but_do_not_differ(doctor: Doctor) -> None:
    doctor.fault("session", "extra_fields")
    result = doctor()
    assert result.exit_code == 0, result.output
    assert "extra fields learned request_id beside data, trace beside data, Added, Nested" in " ".join(
        rows(result, "learned")
    )


def test_a_refused_key_ends_the_checks(doctor: Doctor) -> None:
    doctor.simulator.change_key("another")
    result = doctor()
    assert (result.exit_code, doctor.calls()) == (1, ["balance"])
    assert "HTTP 401" in " ".join(rows(result, "differs"))


@pytest.mark.parametrize("code", [429, 455])
def test_no_call_follows_a_request_to_wait(doctor: Doctor, code: int) -> None:
    doctor.fault("any", "both", code=code, retry_after=30)
    assert doctor().exit_code == 1
    assert doctor.calls() == ["balance"]


@pytest.mark.parametrize("kind", ["reset", "truncated", "oversize"])
def test_a_lost_response_is_reported_and_the_other_calls_are_made(doctor: Doctor, kind: str) -> None:
    doctor.fault("session", kind)
    result = doctor()
    assert result.exit_code == 2, result.output
    assert len(doctor.calls()) == len(FREE) + 1
    assert rows(result, "no answer")


def test_a_slow_crun_ends_the_checks_in_time(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "READ_TIMEOUT_SECONDS", 0.3)
    doctor.fault("any", "hang", seconds=60)
    before = time.monotonic()
    result = doctor()
    assert (result.exit_code, len(doctor.calls())) == (2, 1)
    assert "no response in time" in result.stdout
    assert time.monotonic() - before < 30


@contextmanager
def raw_server(*parts: bytes, pause: float = 0.0, times: int = 1) -> Iterator[str]:
    """Runs a server that responds with ``parts``, the last one ``times`` times, and pauses after each."""
    ending = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            with suppress(OSError):
                for part in [*parts[:-1], *[parts[-1]] * times]:
                    self.request.sendall(part)
                    if ending.wait(pause):
                        return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        ending.set()
        server.shutdown()
        thread.join(timeout=15)


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("head", [_HEAD + b"X-Long: ", _HEAD + b"Content-Length: 9999\r\n\r\n"], ids=["head", "body"])
def test_a_response_that_arrives_too_slowly_times_out(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "READ_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT_SECONDS", 0.5)
    with raw_server(head, b"x", pause=0.1, times=600) as url:
        before = time.monotonic()
        with pytest.raises(transport.NoAnswer, match="no response in time"):
            transport.Transport(url, KEY, transport.Budget(60)).send(transport.Call("GET", "/account/balance"))
        assert time.monotonic() - before < 30


def test_a_compressed_response_is_read() -> None:
    body = gzip.compress(json.dumps({"code": 200, "message": "success", "data": {"balance": 1}}).encode())
    head = _HEAD + b"Content-Encoding: gzip\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    with raw_server(head, body) as url:
        answer = transport.Transport(url, KEY, transport.Budget(60)).send(transport.Call("GET", "/account/balance"))
    assert (answer.status, json.loads(answer.body)["code"]) == (200, 200)


def test_no_call_is_made_after_the_time_budget(doctor: Doctor) -> None:
    clock = iter([0.0, *[1.0] * 3, *[99.0] * 50])
    sender = transport.Transport(doctor.simulator.url, KEY, transport.Budget(10, lambda: next(clock)), lambda _: None)
    seen = visit.Visit(sender, Redactor(), CALLBACK)
    seen.pay(spend=True, upload=None)
    assert seen.exit_code == 2
    assert len(doctor.calls()) < 3


def test_an_unreachable_crun_exits_with_2() -> None:
    result = CliRunner(mix_stderr=False).invoke(main, ["doctor", "--base-url", "http://127.0.0.1:9", "--api-key", KEY])
    assert result.exit_code == 2
    assert "no connection" in result.stdout


@pytest.mark.parametrize("url", ["http://crun.example", "ftp://127.0.0.1", "crun.example", "https://u:p@crun.example"])
def test_a_key_is_not_sent_unencrypted(url: str) -> None:
    result = CliRunner(mix_stderr=False).invoke(main, ["doctor", "--base-url", url, "--api-key", KEY])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: the base URL")


@pytest.mark.parametrize("key", ["two words", "new\nline", "schlüssel", " "])
def test_an_invalid_key_is_not_shown(key: str) -> None:
    result = CliRunner(mix_stderr=False).invoke(main, ["doctor", "--base-url", "http://127.0.0.1:9", "--api-key", key])
    assert result.exit_code == 2
    assert not key.strip() or key not in result.output + result.stderr


def test_key_and_base_url_are_read_from_a_stack(doctor: Doctor) -> None:
    with isolated_aws_environment(), mock_aws():
        arn = boto3.client("secretsmanager").create_secret(Name="crun", SecretString=KEY)["ARN"]
        outputs = {"TableName": "t", "CrunApiKeySecretArn": arn}
        with described_stack("prod", outputs, {}, {"CrunBaseUrl": doctor.simulator.url}):
            runner = CliRunner(mix_stderr=False)
            # The stack's key has priority over the environment's.
            found = runner.invoke(main, ["doctor", "--stack-name", "prod"], env={"CRUN_API_KEY": "other"})
            missing = runner.invoke(main, ["doctor", "--stack-name", "none"])
    assert found.exit_code == 0, found.output
    assert missing.exit_code == 2
    assert "cannot be read" in missing.stderr


# -- videos -----------------------------------------------------------------------------------------------------


def shown(result: Result) -> str:
    """Returns the table's text on one line, without borders."""
    return " ".join(result.stdout.replace("│", " ").split())


def test_generation_may_be_switched_on_after_one_video(doctor: Doctor) -> None:
    assert "--spend makes one, which has to succeed first" in shown(doctor())
    result = doctor("--spend")
    assert result.exit_code == 0, result.output
    agreed = " | ".join(rows(result, "agrees"))
    assert "Generation switch agrees may be on: crun has estimated and made a video" in agreed
    assert "media links agrees 1, http" in agreed
    assert "callback URL learned shown unchanged" in " | ".join(rows(result, "learned"))
    assert doctor.calls().count("create_task") == 1
    (request,) = doctor.simulator.create_requests()
    assert isinstance(request.body, dict)
    assert (request.body["input"]["duration"], request.body["input"]["resolution"]) == (4, "480p")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"estimate_call": "estimate-credits"}, "EstimateTask learned not offered: code 404"),
        ({"estimate_call": "estimate-credits", "estimate_refusal_code": 505}, "not offered: code 505"),
        ({"media_urls_in": "data", "task_status_case": "upper"}, "media links agrees 1"),
        ({"task_unknown": "no_data"}, "unknown task answer learned a success without data"),
    ],
    ids=str,
)
def test_every_reading_of_the_contract_lets_generation_be_switched_on(
    doctor: Doctor, settings: dict[str, Any], text: str
) -> None:
    doctor.simulator.update_settings(**settings)
    result = doctor("--spend")
    assert result.exit_code == 0, result.output
    assert text in shown(result)
    assert "switch agrees may be on" in shown(result)


def test_an_account_without_videos_still_agrees_and_buys_none(doctor: Doctor) -> None:
    for call in ("estimate", "estimate_credits"):
        doctor.fault(call, "both", code=505)
    result = doctor("--spend")
    assert result.exit_code == 0, result.output
    assert "must stay off: crun estimates no video for this account" in shown(result)
    assert "create_task" not in doctor.calls()


def test_a_video_that_fails_differs(doctor: Doctor) -> None:
    doctor.simulator.update_settings(task_outcomes=[{"outcome": "failed", "message": "blocked by moderation"}])
    result = doctor("--spend")
    assert result.exit_code == 1, result.output
    assert "status differs failed, not success: " in shown(result)
    assert "blocked by moderation" in shown(result)
    assert "must stay off: crun makes no video for this account" in shown(result)


def test_a_lost_response_is_followed_by_no_second_video(doctor: Doctor) -> None:
    doctor.fault("create_task", "reset", work_done=True)
    result = doctor("--spend")
    assert result.exit_code == 2, result.output
    assert doctor.calls().count("create_task") == 1
    assert "must stay off" in shown(result)


def test_a_video_is_not_awaited_for_ever(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visit, "VIDEO_SECONDS", 0.2)
    doctor.simulator.update_settings(task_outcomes=[{"outcome": "never"}])
    result = doctor("--spend")
    assert "task time to settle learned not in 0 s" in shown(result)
    assert "must stay off" in shown(result)
    assert "balance again" in shown(result)


def test_the_limits_of_the_models_agree_and_a_missing_schema_does_not_matter(doctor: Doctor) -> None:
    assert shown(doctor()).count("limits agrees those of Likeness") == 4
    doctor.fault("models", "both", code=404)
    result = doctor()
    assert result.exit_code == 0, result.output
    assert shown(result).count("limits learned crun publishes no schema that the doctor reads") == 4


# -- secrets ----------------------------------------------------------------------------------------------------


def seen_by_the_simulator(simulator: Simulator) -> set[str]:
    """Returns every secret in a response, and its parts."""
    store = simulator.store
    secrets = {KEY, *store.groups, *store.assets, *store.tasks, *store.media}
    for token, each in store.validations.items():
        secrets |= {token, each.callback_url, each.link_query}
        secrets |= {value for _, value in parse_qsl(each.link_query) if len(value) > 5}
        secrets |= {part.partition("=")[2] for part in each.link_query.split("&") if len(part.partition("=")[2]) > 5}
    return secrets


@pytest.mark.parametrize(
    "fault",
    [None, {"kind": "extra_fields"}, {"kind": "wrong_types"}, {"kind": "html"}, {"kind": "corrupt"}],
    ids=str,
)
def test_no_recorded_file_and_no_report_contains_a_secret(
    doctor: Doctor, serve: Callable[[str, bytes], str], tmp_path: Path, fault: dict[str, Any] | None
) -> None:
    group = doctor.simulator.store.open_group("alice").id
    file = serve("alice.png", portrait("alice", 400, 500, "PNG")) + "?X-Amz-Signature=0123456789abcdef0123456789abcdef"
    if fault:
        doctor.fault("any", **fault, work_done=True)
    result = doctor(
        "--spend", "--group-id", group, "--asset-url", file, "--callback-url", CALLBACK, "--record", str(tmp_path / "f")
    )  # fmt: skip
    written = sorted((tmp_path / "f").iterdir())
    assert len(written) >= 7
    secrets = seen_by_the_simulator(doctor.simulator) | {CALLBACK, file, "app.acme.com", "0123456789abcdef"}
    assert len(secrets) > 8
    for text in (*(each.read_text() for each in written), result.stdout, result.stderr):
        forms = {form for each in secrets for form in (each, quote(each, safe=""), quote(each))}
        assert not {each[:6] + "…" for each in forms if each in text}
    for each in written:
        json.loads(each.read_text())


def test_a_recording_keeps_equal_values_equal_and_their_shape(doctor: Doctor, tmp_path: Path) -> None:
    texts = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        doctor("--spend", "--record", str(folder))
        texts.append({each.name: json.loads(each.read_text()) for each in sorted(folder.iterdir())})
    one = texts[0]
    assert list(one) == [
        "01-balance.json", "02-wrong-key.json", "03-unknown-asset.json", "04-asset-without-id.json", "05-session.json",
        "06-estimate.json", "07-unknown-task.json", "08-model-seedance2-0-r2v.json", "09-model-seedance2-0-i2v.json",
        "10-model-seedance2-5-r2v.json", "11-model-seedance2-5-i2v.json", "12-look-up.json", "13-look-up-again.json",
        "14-empty-upload.json", "15-create-task.json", "16-task.json", "17-balance-again.json",
    ]  # fmt: skip
    data = one["05-session.json"]["answer"]["body"]["data"]
    assert re.fullmatch(r"[0-9A-F]{36}", data["BytedToken"])
    assert one["12-look-up.json"]["request"]["url"].endswith(f"byted_token={data['BytedToken']}")
    assert f"bytedToken={data['BytedToken']}&lng=zh" in data["H5Link"]
    assert data["CallbackURL"] == one["05-session.json"]["request"]["body"]["callback_url"]
    assert urlsplit(data["H5Link"]).path == "/h5/validate"
    again = texts[1]["05-session.json"]["answer"]["body"]["data"]["BytedToken"]
    assert again == data["BytedToken"], "placeholders depend on their order only"


def test_a_folder_that_cannot_be_created_is_reported_before_any_call(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert doctor("--record", str(tmp_path / "file" / "folder")).exit_code == 2
    assert doctor.calls() == []
