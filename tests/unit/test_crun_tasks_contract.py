"""crun's responses about generation tasks, in every form that was seen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.contracts.crun import read_envelope, read_id
from likeness.contracts.crun_tasks import read_task_report, texts_of
from likeness.domain.generation import TaskReport
from likeness.errors import UpstreamAmbiguous, UpstreamRefused

URL, OTHER = "https://cdn.test/1.mp4?sig=a", "https://cdn.test/2.mp4?sig=b"


def report(**data: Any) -> TaskReport:
    return read_task_report({"task_id": "task-1", "status": "success", **data}, "task-1")


def test_a_report_of_the_documentation_is_read() -> None:
    found = report(
        provider="byteplus",
        model_version="seedance-2-0",
        param={"callback_url": "https://api.test/task/gen/sig", "prompt": "p"},
        create_at="2026-11-01T00:00:00Z",
        complete_at="2026-11-01T00:01:00Z",
        duration_s=60,
        credits=12.5,
        result={"code": 200, "message": "ok", "media_urls": [URL, OTHER], "usage": {"total_tokens": 7}},
        source="api",
    )
    assert found == TaskReport(
        task_id="task-1", status="success", media_urls=(URL, OTHER), credits=12.5, code="200", message="ok",
        usage={"total_tokens": 7}, model_version="seedance-2-0", provider="byteplus",
        completed_at=1793491260.0, duration_seconds=60.0, callback_url="https://api.test/task/gen/sig",
    )  # fmt: skip
    assert found.is_over
    assert found.succeeded


@pytest.mark.parametrize(
    ("given", "status"), [("SUCCESS", "success"), (" Failed ", "failed"), ("queued", "queued"), (7, "7"), (None, "")]
)
def test_a_status_is_read_in_lower_case_and_an_unknown_one_is_not_final(given: Any, status: str) -> None:
    found = report(status=given)
    assert found.status == status
    assert found.is_over == (status in ("success", "failed"))


@pytest.mark.parametrize(
    "data",
    [
        {"result": {"media_urls": [URL]}},
        {"result": {"media_urls": URL}},
        {"media_urls": [URL]},
        {"media_urls": [URL, URL], "result": {"media_urls": []}},
        {"media_urls": [URL], "result": None},
        {"result": {"media_info": [{"url": URL, "width": 1}]}},
        {"result": {"media_info": [{"media_url": URL}, {"thumbnail": "x"}, 3]}},
        {"result": {"media_info": {"video_url": URL}}},
        {"result": json.dumps({"media_urls": [URL]})},
        {"result": {"media_urls": [None, 3, "", "file:///etc/passwd", "https://a b", URL]}},
    ],
)
def test_media_urls_are_read_beside_and_in_the_result(data: dict[str, Any]) -> None:
    assert report(**data).media_urls == (URL,)


@pytest.mark.parametrize(
    ("given", "credits_"),
    [
        (3, 3.0),
        ("2.5", 2.5),
        (0, 0.0),
        (None, None),
        ("", None),
        (True, None),
        (-1, None),
        ("NaN", None),
        ([1], None),
        (1e15, None),
        ("1e40", None),
    ],
)
def test_credits_are_a_number_a_text_or_absent(given: Any, credits_: float | None) -> None:
    assert report(credits=given).credits == credits_


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ("2026-11-01T00:01:00Z", 1793491260.0), ("2026-11-01 00:01:00", 1793491260.0), (1793491260, 1793491260.0),
        ("1793491260.5", 1793491260.5), (1793491260000, 1793491260.0), ("soon", None), (None, None), ("", None),
    ],
)  # fmt: skip
def test_times_are_iso_or_epoch(given: Any, at: float | None) -> None:
    assert report(complete_at=given).completed_at == at


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        ({"result": {"code": 501, "message": "moderated"}}, "501", "moderated"),
        ({"result": {"code": "risk"}, "reason": "moderated"}, "risk", "moderated"),
        ({"reason": "moderated"}, None, "moderated"),
        ({"error": {"message": "moderated"}}, None, "moderated"),
        ({"result": {"message": f"see {URL}"}}, None, None),
        ({"result": {"message": f"see {URL}"}, "reason": "moderated"}, None, "moderated"),
        ({"result": {"message": "a\nb"}}, None, "a b"),
    ],
)
def test_the_words_of_a_failure_are_kept_without_urls(data: dict[str, Any], code: str | None, message: str) -> None:
    found = report(status="failed", **data)
    assert (found.code, found.message) == (code, message)


def test_usage_has_names_and_numbers_that_can_be_stored() -> None:
    usage = {"tokens": 3, "too many": 1e40, "a\ud800": 1, "": 2, "long": {"x" * 200: "y" * 200}}
    assert report(result={"usage": usage}).usage == {"tokens": 3, "a ": 1, "long": {"x" * 100: "y" * 100}}


def test_the_callback_url_is_read_from_parameters_as_text_too() -> None:
    assert report(param=json.dumps({"callback_url": "https://a.test/x"})).callback_url == "https://a.test/x"
    assert report(param="[not json").callback_url is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("status", "result", "media_urls", "credits", "param", "complete_at", "duration_s", "reason", "model_version"),
        ANYTHING,
    ),
))  # fmt: skip
def test_no_value_of_crun_is_an_error(data: dict[str, Any]) -> None:
    found = read_task_report(data, "task-1")
    assert found.task_id == "task-1"
    assert all(each.startswith("http") for each in found.media_urls)


def test_usage_is_bounded_and_has_no_urls() -> None:
    usage = {"tokens": 5, "deep": {"a": {"b": 1}, "c": 2}, "link": URL, "list": [1], "free": True}
    assert report(result={"usage": usage}).usage == {"tokens": 5, "deep": {"c": 2}, "free": True}
    assert len(report(result={"usage": {str(each): each for each in range(100)}}).usage) == 20


def test_a_created_task_needs_no_code() -> None:
    answer = json.dumps({"data": {"task_id": "task_1234567"}}).encode()
    assert read_id(read_envelope(200, answer, promised="task_id"), "task_id") == "task_1234567"
    with pytest.raises(UpstreamAmbiguous):
        read_envelope(200, json.dumps({"data": {"status": "success"}}).encode(), promised="status")
    with pytest.raises(UpstreamAmbiguous):
        read_envelope(500, answer, promised="task_id")
    with pytest.raises(UpstreamRefused):
        read_envelope(200, json.dumps({"code": 402, "data": {"task_id": "t"}}).encode(), promised="task_id")


def test_a_requests_texts_are_found_at_any_depth_without_its_settings() -> None:
    content = {"prompt": "Bob dances", "list": [{"url": URL}], "resolution": "720p", "ratio": "16:9", "seconds": 5}
    assert sorted(texts_of(content)) == ["Bob dances", URL]
