"""The local stack without the emulator: what it prints, refuses and deploys."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import requests
import yaml

from local import gateway
from local.cli import _stay, banner, main
from local.emulator import deployable
from local.processes import StackError, environment, free_port, started_at
from local.stack import Options, Stack, running_stack
from tests.template_file import RESOURCES

SESSION = "ses_01M8HRNC35M1P3HHDXZNNT8S07"
ASSET = "ast_01M8HRNC35M1P3HHDXZNNT8S07"
SECRET = "kYg1l3RIs0x_Xh7vJ-QmT2bW9cZ8aNf4"


def a_stack(logs: Path, **changes: object) -> Stack:
    values: dict[str, object] = {
        "api_url": "http://127.0.0.1:8080/v1",
        "api_key": "lk_key",
        "emulator_endpoint": "http://127.0.0.1:4566",
        "stack_name": "likeness",
        "outputs": {},
        "simulator_url": "http://127.0.0.1:9",
        "crun_api_key": "crun's key",
        "log_dir": str(logs),
    }
    return Stack(**values | changes)  # type: ignore[arg-type]


# -- what is printed ---------------------------------------------------------------------------------------------------


def test_the_banner_shows_everything_needed_to_use_the_stack(tmp_path: Path) -> None:
    text = banner(a_stack(tmp_path / "logs"), tmp_path / "stack.json")
    for wanted in (
        "http://127.0.0.1:8080/v1\n",
        "http://127.0.0.1:8080/v1/docs",
        "http://127.0.0.1:8080/v1/console",
        "http://127.0.0.1:8080/crun",
        "lk_key",
        str(tmp_path / "logs"),
        f"--state-file {tmp_path / 'stack.json'}",
        "deletes its sessions, files and keys",
    ):
        assert wanted in text
    assert "crun's key" not in text


def test_the_banner_does_not_mention_the_simulator_when_crun_is_used(tmp_path: Path) -> None:
    assert "/crun" not in banner(a_stack(tmp_path, simulator_url=None), tmp_path / "stack.json")


def routes() -> list[str]:
    """Returns the paths of the template's routes."""
    events = [each for resource in RESOURCES.values() for each in resource["Properties"].get("Events", {}).values()]
    return sorted({each["Properties"]["Path"] for each in events if each["Type"] == "Api"})


@pytest.mark.parametrize("route", routes())
def test_the_log_shows_a_path_without_parts_that_may_be_secret(route: str) -> None:
    path, expected, before = "/v1", "/v1", "v1"
    for part in route.split("/")[1:]:
        value = {"{session_id}": SESSION, "{asset_id}": ASSET}.get(part, SECRET) if part.startswith("{") else part
        path += f"/{value}"
        # All parts of a callback's path are a credential.
        expected += f"/{value}" if value not in (SECRET, SESSION) or before == "sessions" else "/***"
        before = part
    assert gateway.shown(f"{path}?bytedToken={SECRET}&status=verified") == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/crun/h5/validate?X-Signature=abc", "/crun/h5/validate"),
        ("/crun/_sim/state", "/crun/***/***"),
        (f"/v1/invite%23{SECRET}", "/v1/***"),
        (f"/v1/invite/{SECRET}", "/v1/invite/***"),
        (f"/v1/sessions/{SESSION}{SECRET}", "/v1/sessions/***"),
        (f"/v1/sessions/{SESSION.lower()}", "/v1/sessions/***"),
        (f"/v1/generations/{SESSION.replace('ses', 'gen')}", f"/v1/generations/{SESSION.replace('ses', 'gen')}"),
        (f"/v1/task/{SESSION.replace('ses', 'gen')}/{SECRET}", "/v1/task/***/***"),
        ("/v1/sessions/Jane-Doe", "/v1/sessions/***"),
        ("/v1/sessions/\x1b[31m", "/v1/sessions/***"),
        ("//", "//"),
        ("/", "/"),
        ("*", "***"),
    ],
)
def test_an_unknown_part_is_masked(path: str, expected: str) -> None:
    assert gateway.shown(path) == expected


class Upstream(BaseHTTPRequestHandler):
    """Returns 201 for every request."""

    received: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.received.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def origin() -> Iterator[str]:
    """Runs a gateway in front of ``Upstream``; yields its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as upstream:

        class Front(gateway.Gateway):
            targets: ClassVar = {"/v1": (f"http://127.0.0.1:{upstream.server_port}", "")}

        front = ThreadingHTTPServer(("127.0.0.1", 0), Front)
        for each in (upstream, front):
            threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{front.server_port}"
        for each in (front, upstream):
            each.shutdown()
        front.server_close()


def test_each_request_is_one_line_with_method_path_status_and_milliseconds(
    origin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with requests.Session() as client:
        client.post(f"{origin}/v1/sessions/{SESSION}/assets?signature={SECRET}", data=b"{}", timeout=10)
        client.get(f"{origin}/{SECRET}", timeout=10)
    first, second = capsys.readouterr().err.splitlines()
    method, path, status, milliseconds, unit = first.split()
    assert (method, path, status, unit) == ("POST", f"/v1/sessions/{SESSION}/assets", "201", "ms")
    assert milliseconds.isdecimal()
    assert second.startswith("GET /*** 404 ")


def test_a_request_whose_client_ended_in_the_middle_of_its_body_is_not_forwarded(origin: str) -> None:
    for number, sent in enumerate((b"", b'{"a": 1'), start=1):
        head = f"POST /v1/cut-{number} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n"
        with socket.create_connection(("127.0.0.1", int(origin.rpartition(":")[2])), timeout=10) as client:
            client.sendall(head.encode() + sent)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b""
    requests.post(f"{origin}/v1/whole", data=b'{"a": 1}', timeout=10)
    assert [each for each in Upstream.received if each.startswith(("/cut", "/whole"))] == ["/whole"]


# -- failures ----------------------------------------------------------------------------------------------------------


def test_a_process_that_ended_is_named_with_its_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gateway.log").write_text("GET /v1/docs 200 5 ms\n")
    mine = (os.getpid(), started_at(os.getpid()))
    stack = a_stack(tmp_path, pids={"emulator": mine, "simulator": (os.getpid(), "another time"), "gateway": mine})
    with pytest.raises(StackError, match=rf"^the simulator has ended \(see {tmp_path}/simulator\.log\)"):
        _stay(stack)


def test_a_process_has_a_start_time_while_it_runs() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = started_at(child.pid)
    assert mark
    assert started_at(child.pid) == mark
    child.communicate()
    assert started_at(child.pid) == ""


def test_ports_in_use_are_reported_together_with_the_variables_of_make(tmp_path: Path) -> None:
    state = tmp_path / "stack.json"
    state.write_text(f'{{"pids": {{"up": [{os.getpid()}, "{started_at(os.getpid())}"]}}}}')
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as one, ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as two:
        options = Options(state_file=state, port=one.server_port, emulator_port=two.server_port)
        with pytest.raises(StackError) as refused, running_stack(options):
            pass
    lines = str(refused.value).splitlines()
    assert [str(state) in lines[0], "--state-file" in lines[0], "STATE_FILE=" in lines[0]] == [True] * 3
    assert [str(one.server_port) in lines[1], "--port" in lines[1], "make: PORT=" in lines[1]] == [True] * 3
    assert [str(two.server_port) in lines[2], "--emulator-port" in lines[2], "EMULATOR_PORT=" in lines[2]] == [True] * 3
    assert sorted(tmp_path.iterdir()) == [state]  # no file of the running stack was changed


def test_a_free_port_is_not_reported(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as taken:
        options = Options(state_file=tmp_path / "stack.json", port=free_port(), emulator_port=taken.server_port)
        with pytest.raises(StackError) as refused, running_stack(options):
            pass
    assert len(str(refused.value).splitlines()) == 1


# -- what is deployed --------------------------------------------------------------------------------------------------


def built(folder: Path) -> Path:
    """Creates a built template with a layer of two packages, an alarm on an expression and a queue consumer."""
    package = folder / "Layer" / "python" / "likeness_probe"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("here = __file__\n")
    (folder / "Layer" / "python" / "yaml.py").write_text("ours = True\n")
    stat = {"Metric": {"Namespace": "N", "MetricName": "M"}, "Stat": "Sum", "Period": 60}
    scaling = {"ScalingConfig": {"MaximumConcurrency": {"Ref": "Runs"}}}
    template = {
        "Parameters": {
            "Runs": {"Type": "Number", "Default": 100},
            "Switch": {"Type": "String", "Default": "off", "AllowedValues": ["on", "off"]},
            "Choice": {"Type": "String", "Default": "keep", "AllowedValues": ["keep", "erase"]},
        },
        "Resources": {
            "Reader": {
                "Type": "AWS::Serverless::Function",
                "Properties": {"Events": {"Messages": {"Type": "SQS", "Properties": scaling}}},
            },
            "Layer": {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": "Layer"}},
            "Alarm": {
                "Type": "AWS::CloudWatch::Alarm",
                "Properties": {"Metrics": [{"Expression": "m * 2", "Id": "e"}, {"Id": "m", "MetricStat": stat}]},
            },
        },
    }
    file = folder / "template.yaml"
    file.write_text(yaml.safe_dump(template))
    return file


def test_a_layer_is_deployed_as_one_file_that_links_to_its_packages(tmp_path: Path) -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    file = deployable(built(tmp_path), tmp_path / "scratch", python, {})
    content = Path(yaml.safe_load(file.read_text())["Resources"]["Layer"]["Properties"]["ContentUri"])
    files = [each for each in content.rglob("*") if each.is_file()]
    assert len(files) == 1
    # The emulator's workers load a layer this way. Its packages come before the host's, as on Lambda.
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import site, sys; site.addsitedir(sys.argv[1]); import likeness_probe, yaml; "
            "print(likeness_probe.here, yaml.ours)",
            str(files[0].parent),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    here, ours = found.stdout.split()
    assert here.startswith(str(tmp_path / "scratch"))
    assert ours == "True"


def test_another_build_does_not_change_a_running_stack(tmp_path: Path) -> None:
    template = built(tmp_path / "build")
    file = deployable(template, tmp_path / "scratch", "3.13", {})
    again = deployable(template, tmp_path / "other", "3.13", {})
    assert file != again
    copied = tmp_path / "scratch" / "Layer" / "files" / "yaml.py"
    assert copied.stat().st_nlink == 1
    (tmp_path / "build" / "Layer" / "python" / "yaml.py").unlink()
    assert copied.exists()


def test_an_alarm_on_an_expression_watches_its_first_metric(tmp_path: Path) -> None:
    file = deployable(built(tmp_path), tmp_path / "scratch", "3.13", {})
    alarm = yaml.safe_load(file.read_text())["Resources"]["Alarm"]["Properties"]
    assert alarm == {"Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": 60}


@pytest.mark.parametrize(("parameters", "runs"), [({}, 100), ({"Runs": "2"}, 2)])
def test_a_queue_consumers_maximum_concurrency_is_a_number(
    tmp_path: Path, parameters: dict[str, str], runs: int
) -> None:
    file = deployable(built(tmp_path), tmp_path / "scratch", "3.13", parameters)
    events = yaml.safe_load(file.read_text())["Resources"]["Reader"]["Properties"]["Events"]
    assert events["Messages"]["Properties"]["ScalingConfig"] == {"MaximumConcurrency": runs}


def test_a_parameter_that_is_on_or_off_can_be_set(tmp_path: Path) -> None:
    file = deployable(built(tmp_path), tmp_path / "scratch", "3.13", {"Switch": "on"})
    parameters = yaml.safe_load(file.read_text())["Parameters"]
    assert parameters["Switch"] == {"Type": "String", "Default": "off"}
    assert parameters["Choice"]["AllowedValues"] == ["keep", "erase"]


def test_a_build_uses_the_users_uv_settings_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith(("UV_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    plain = environment(tmp_path / "state", "http://127.0.0.1:1")
    assert plain["HOME"] == str(tmp_path / "state" / "home")
    assert plain["UV_CACHE_DIR"] == str(tmp_path / ".cache" / "uv")
    assert "UV_CONFIG_FILE" not in plain

    settings = tmp_path / ".config" / "uv" / "uv.toml"
    settings.parent.mkdir(parents=True)
    settings.touch()
    monkeypatch.setenv("UV_CACHE_DIR", "/elsewhere")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    found = environment(tmp_path / "state", "http://127.0.0.1:1")
    assert found["UV_CONFIG_FILE"] == str(settings)
    assert (found["UV_CACHE_DIR"], found["UV_OFFLINE"]) == ("/elsewhere", "1")
    assert "AWS_PROFILE" not in found


def test_the_demos_files_can_be_created_in_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["media", str(tmp_path / "media")]) == 0
    files = [Path(each) for each in capsys.readouterr().out.splitlines()]
    assert tmp_path / "media" / "alice-front.jpg" in files
    assert all(each.stat().st_size > 1000 for each in files)
