"""The plain program of local/crun_script.py makes a video at the simulator."""

from pathlib import Path

import pytest

from local.crun_script import CrunApi, Refused, generate, main
from local.simulator import FaultRule, TaskOutcome
from local.simulator.inspection import kind_of, mp4_seconds
from tests.simulator.conftest import API_KEY, Crun

MODEL = "bytedance/seedance2-0-i2v"
INPUT = {"prompt": "waves", "img_urls": ["https://example.com/a.jpg"]}


def test_the_plain_program_saves_a_video_of_the_person(
    crun: Crun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crun.simulator.update_settings(task_min_seconds=0, task_max_seconds=0)
    video = tmp_path / "alice.mp4"
    arguments = ["--base-url", crun.simulator.url, "--api-key", API_KEY, "--callback-port", "0", "--video", str(video)]
    assert main(arguments) == 0
    assert f"video {video}" in capsys.readouterr().out
    content = video.read_bytes()
    assert (kind_of(content), mp4_seconds(content)) == (("Video", "mp4"), 4)
    assert b"likeness-person:alice;" in content


def test_the_plain_program_waits_for_its_task(crun: Crun) -> None:
    outcome = TaskOutcome(outcome="success", after_seconds=0.3)
    crun.simulator.update_settings(task_outcomes=(outcome,))
    api = CrunApi(crun.simulator.url, API_KEY)
    assert generate(api, MODEL, INPUT, pause=0.05)["status"] == "success"
    assert len([each for each in crun.simulator.log() if each.call == "task_info"]) > 1


def test_the_plain_program_reports_why_there_is_no_video(crun: Crun) -> None:
    outcome = TaskOutcome(outcome="failed", message="blocked by moderation", after_seconds=0)
    crun.simulator.update_settings(task_outcomes=(outcome,))
    api = CrunApi(crun.simulator.url, API_KEY)
    with pytest.raises(Refused, match="TaskInfo: 501 blocked by moderation"):
        generate(api, MODEL, INPUT)
    crun.simulator.update_settings(task_outcomes=(TaskOutcome(outcome="never"),))
    with pytest.raises(TimeoutError, match="is still"):
        generate(api, MODEL, INPUT, pause=0.01, timeout=0.05)
    crun.simulator.add_faults(FaultRule(call="create_task", kind="both", code=455))
    with pytest.raises(Refused, match="CreateTask: 455"):
        generate(api, MODEL, INPUT)
