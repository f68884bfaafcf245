"""The control API, the log for assertions, and the command."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import requests

from local import media
from local.simulator import Simulator, hash_token
from tests.simulator.conftest import API_KEY, JOB, Crun

Serve = Callable[[str, bytes], str]
BALANCE = "/api/v1/client/account/balance"


def control(crun: Crun, method: str, call: str, body: Any = None, **options: Any) -> requests.Response:
    """Calls the control API, without a key."""
    return crun.request(method, f"/_sim/{call}", json=body, headers=options.get("headers", {}))


def test_faults_are_added_listed_and_cleared(crun: Crun) -> None:
    rule = {"call": "balance", "kind": "body", "code": 429, "times": 1}
    assert len(control(crun, "POST", "faults", rule).json()["rules"]) == 1
    assert len(control(crun, "POST", "faults", {"rules": [rule]}).json()["rules"]) == 2
    assert len(control(crun, "POST", "faults", [rule, rule]).json()["rules"]) == 4
    assert crun.request("GET", BALANCE).json()["code"] == 429
    assert [each["hit"] for each in control(crun, "GET", "faults").json()["rules"]] == [1, 0, 0, 0]
    assert control(crun, "DELETE", "faults").json() == {"rules": []}
    assert crun.request("GET", BALANCE).json()["code"] == 200


@pytest.mark.parametrize(
    ("call", "body", "field"),
    [
        ("faults", {"kind": "explode"}, "kind"),
        ("faults", {"kind": "html", "tims": 1}, "tims"),
        ("faults", {"rules": 3}, ""),
        ("settings", {"link_second": 1}, "link_second"),
        ("settings", {"token_mode": "thrice"}, "token_mode"),
        ("settings", [1], ""),
        ("clock", {}, "offset_seconds"),
        ("key", {"api_key": 1}, "api_key"),
    ],
)
def test_a_bad_control_body_is_refused_by_field(crun: Crun, call: str, body: Any, field: str) -> None:
    answer = control(crun, "POST", call, body)
    assert answer.status_code == 422
    assert any(each["field"].endswith(field) for each in answer.json()["problems"])


def test_a_control_body_that_is_not_json(crun: Crun) -> None:
    assert crun.request("POST", "/_sim/faults", data=b"{").status_code == 422


def test_settings_can_be_changed_at_run_time(crun: Crun) -> None:
    answer = control(
        crun, "POST", "settings", {"link_seconds": 5, "asset_outcomes": [{"name": "*", "outcome": "never"}]}
    )
    assert answer.json()["link_seconds"] == 5
    assert control(crun, "GET", "settings").json() == answer.json()
    assert crun.simulator.settings.asset_outcomes[0].outcome == "never"


def test_the_clock_ages_links(crun: Crun) -> None:
    link = crun.create()["H5Link"]
    control(crun, "POST", "clock", {"offset_seconds": 121})
    assert crun.session.get(link, timeout=5).status_code == 410
    control(crun, "POST", "clock", {"offset_seconds": 0})
    assert crun.session.get(link, timeout=5).status_code == 200


def test_the_key_is_rotated(crun: Crun) -> None:
    assert control(crun, "POST", "key", {"api_key": "next"}).json() == {"ok": True}
    assert crun.request("GET", BALANCE).status_code == 401


def test_the_log_contains_calls_but_no_secrets(crun: Crun) -> None:
    data = crun.create()
    crun.check(data["H5Link"], outcome="pass", person="dorothea")
    group = crun.look_up(data["BytedToken"]).json()["data"]["GroupId"]
    asset = crun.upload("http://127.0.0.1:9/secret-object?X-Amz-Signature=secret", group).json()["data"]["AssetId"]
    crun.info(asset)
    crun.info("unknown-asset")
    log, state = control(crun, "GET", "log"), control(crun, "GET", "state")
    entries = log.json()["entries"]
    assert [(each["call"], each["code"]) for each in entries] == [
        ("session", 200),
        ("result", 200),
        ("upload", 200),
        ("info", 200),
        ("info", 404),
    ]
    assert [each["asset_id"] for each in entries] == [None, None, asset, asset, None]
    assert entries[0]["token_hash"] == entries[1]["token_hash"] == hash_token(data["BytedToken"])
    assert [each["at"] for each in entries] == sorted(each["at"] for each in entries)
    assert state.json()["calls"] == {"session": 1, "result": 1, "upload": 1, "info": 2}
    signature = data["H5Link"].split("X-Signature=")[1].split("&")[0]
    for secret in (data["BytedToken"], signature, "secret", "dorothea", API_KEY, "callback"):
        assert secret not in log.text + state.text


def test_reset_clears_everything_except_settings_and_key(crun: Crun) -> None:
    control(crun, "POST", "settings", {"balance": 7})
    group = crun.group()
    crun.simulator.advance(100)
    control(crun, "POST", "faults", {"kind": "html"})
    control(crun, "POST", "reset")
    assert crun.request("GET", BALANCE).json()["data"] == {"balance": 7}
    assert crun.upload("http://127.0.0.1:9/", group).json()["code"] == 404
    assert crun.simulator.state()["sessions"] == 0
    assert crun.simulator.clock.offset_seconds == 0
    assert len(crun.simulator.log()) == 2


def test_the_control_api_accepts_loopback_host_names_only(crun: Crun) -> None:
    assert control(crun, "GET", "health").json() == {"ok": True}
    assert control(crun, "GET", "state", headers={"Host": "evil.example"}).status_code == 403
    assert control(crun, "GET", "state", headers={"Host": "localhost:1"}).status_code == 200
    assert control(crun, "GET", "nothing").status_code == 404


def test_the_control_api_refuses_requests_of_web_pages(crun: Crun) -> None:
    answer = control(crun, "POST", "settings", {"balance": 0}, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert crun.simulator.settings.balance > 0


def test_it_stops_with_open_connections_and_starts_again(crun: Crun) -> None:
    assert crun.request("GET", BALANCE).status_code == 200
    crun.simulator.stop()
    crun.simulator.stop()
    with pytest.raises(RuntimeError):
        _ = crun.simulator.url
    crun.simulator.start()
    assert crun.request("GET", BALANCE).status_code == 200


def test_a_port_in_use_is_an_error(crun: Crun) -> None:
    port = int(crun.simulator.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        Simulator(port=port, api_key="k").start()


def test_the_command_serves_until_it_is_stopped() -> None:
    command = [sys.executable, "-m", "local.simulator", "--port", "0", "--verbose"]
    command += ["--setting", "refusal_style=body", "--setting", "link_seconds=2.5"]
    environment = {**os.environ, "CRUN_SIMULATOR_API_KEY": API_KEY}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            answer = requests.get(
                f"{url}{JOB}/visual-validate-result?byted_token=secret-token",
                headers={"x-api-key": API_KEY},
                timeout=5,
            )
            assert (answer.status_code, answer.json()["code"]) == (200, 404)
            assert requests.get(f"{url}/_sim/settings", timeout=5).json()["link_seconds"] == 2.5
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == 0
    assert f"GET {JOB}/visual-validate-result 200" in errors
    assert "secret-token" not in errors
    assert API_KEY not in errors


def test_the_command_reports_a_port_in_use(crun: Crun) -> None:
    port = crun.simulator.url.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "local.simulator", "--port", port, "--api-key", "k"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot listen" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("setting", "message"),
    [("link_second=1", "link_second: Extra"), ("token_mode=thrice", "token_mode: Input"), ("seed", "seed: Input")],
)
def test_the_command_names_an_invalid_setting(setting: str, message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.simulator", "--api-key", "k", "--setting", setting],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    assert f"--setting {message}" in done.stderr


# The page for people, and what it does


def page(crun: Crun, **form: str) -> requests.Response:
    """Opens the page, or posts one of its forms as a browser does."""
    if not form:
        return crun.request("GET", "/_sim", headers={})
    return crun.request("POST", "/_sim", data=form, headers={"Origin": crun.simulator.url})


def session_of(data: dict[str, str]) -> dict[str, str]:
    return {"do": "session", "session": hash_token(data["BytedToken"])}


def test_the_page_shows_sessions_assets_and_the_log_but_no_token_and_no_link(crun: Crun, serve: Serve) -> None:
    data = crun.create()
    group = crun.group()
    asset = crun.upload(serve("a.jpg", media.portrait("alice", 400, 500)), group, name="<b>front").json()["data"]
    shown = page(crun)
    assert shown.status_code == 200
    assert "script" not in shown.text
    ids = hash_token(data["BytedToken"]), group, asset["AssetId"]
    assert [text for text in (*ids, "&lt;b&gt;front", "POST upload", "GET result") if text not in shown.text] == []
    assert data["BytedToken"] not in shown.text
    assert "X-Signature" not in shown.text


@pytest.mark.parametrize(("outcome", "code"), [("pass", "10000"), ("fail", "10010"), ("cancel", "10020")])
def test_the_page_returns_the_browser_to_the_callback_with_the_result(crun: Crun, outcome: str, code: str) -> None:
    data = crun.create()
    answer = page(crun, **session_of(data), outcome=outcome, **{"return": "on"})
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(data["CallbackURL"])
    assert f"resultCode={code}" in answer.headers["Location"]
    assert page(crun, **session_of(data), outcome="pass").status_code == 422
    assert crun.look_up(data["BytedToken"]).json()["code"] == (200 if outcome == "pass" else 404)


def test_a_link_lapses_and_a_browser_that_does_not_return(crun: Crun) -> None:
    lapsed, passed = crun.create(), crun.create()
    assert page(crun, **session_of(lapsed), outcome="lapse").headers["Location"] == "?"
    assert crun.session.get(lapsed["H5Link"], timeout=5).status_code == 410
    assert page(crun, **session_of(passed), outcome="pass").headers["Location"] == "?"
    assert crun.look_up(passed["BytedToken"]).json()["code"] == 200


def test_after_a_mismatch_no_picture_shows_the_person(crun: Crun, serve: Serve) -> None:
    before, later = crun.create(), crun.create()
    page(crun, **session_of(before), outcome="mismatch")
    page(crun, **session_of(later), outcome="pass")
    picture = serve("a.jpg", media.portrait("alice", 400, 500))
    groups = [crun.look_up(each["BytedToken"]).json()["data"]["GroupId"] for each in (before, later)]
    assert [crun.settled(picture, group)["Status"] for group in groups] == ["Failed", "Active"]
    assert control(crun, "POST", "sessions", {"session": hash_token(later["BytedToken"]), "outcome": "mismatch"}).ok
    assert crun.settled(picture, groups[1])["Error"]["Code"] == "FaceMismatch"


def test_the_page_adds_a_fault_and_changes_the_clock_and_a_setting(crun: Crun) -> None:
    assert page(crun, do="fault", call="balance", kind="body", code="429", times="1").status_code == 303
    assert crun.request("GET", BALANCE).json()["code"] == 429
    assert page(crun, do="clear_faults").status_code == 303
    assert control(crun, "GET", "faults").json() == {"rules": []}
    page(crun, do="clock", offset_seconds="90")
    page(crun, do="setting", name="link_seconds", value="5")
    page(crun, do="setting", name="token_mode", value="reusable")
    settings = control(crun, "GET", "settings").json()
    assert (crun.simulator.clock.offset_seconds, settings["link_seconds"], settings["token_mode"]) == (
        90,
        5,
        "reusable",
    )


@pytest.mark.parametrize(
    ("form", "status", "text"),
    [
        ({"do": "fault", "call": "any", "kind": "explode"}, 422, "kind"),
        ({"do": "setting", "name": "link_second", "value": "1"}, 422, "link_second"),
        ({"do": "clock", "offset_seconds": "soon"}, 422, "soon"),
        ({"do": "session", "session": "none", "outcome": "pass"}, 422, "no session has this id"),
        ({"do": "explode"}, 404, "form is unknown"),
    ],
)
def test_the_page_shows_what_is_wrong_with_a_form(crun: Crun, form: dict[str, str], status: int, text: str) -> None:
    answer = page(crun, **form)
    assert answer.status_code == status
    assert text in answer.text


@pytest.mark.parametrize("origin", ["https://example.com", "http://127.0.0.1:1", "null", "http://evil.test"])
def test_a_page_of_another_site_cannot_use_the_forms(crun: Crun, origin: str) -> None:
    for path in ("/_sim", "/_sim/", "/_sim/reset"):
        answer = crun.request("POST", path, data={"do": "reset"}, headers={"Origin": origin})
        assert answer.status_code == 403
