"""The H5 link: a page without side effects, one check, and the redirect back."""

import re
from html import unescape
from urllib.parse import urljoin

import pytest

from local.simulator import hash_token
from tests.simulator.conftest import CALLBACK, Crun, query_of


def test_a_script_passes_with_one_post(crun: Crun) -> None:
    data = crun.create()
    answer = crun.check(data["H5Link"], outcome="pass", person="alice")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{CALLBACK}?bytedToken=")
    assert query_of(answer.headers["Location"]) == {
        "bytedToken": data["BytedToken"],
        "resultCode": "10000",
        "algorithmBaseRespCode": "0",
        "reqMeasureInfoValue": "1",
        "verify_type": "real_time",
    }


def test_a_person_sees_the_result_and_presses_done(crun: Crun) -> None:
    data = crun.create()
    page = crun.session.get(data["H5Link"], timeout=5)
    action = re.search(r'<form method="post" action="([^"]+)"', page.text)
    assert action is not None
    target = urljoin(data["H5Link"], unescape(action.group(1)))
    assert target == data["H5Link"]
    seen = crun.check(target, review="1", outcome="pass", person="someone-else", other_person=" Carol ")
    assert seen.status_code == 200
    assert 'name="done"' in seen.text
    assert crun.check(target, done="1").headers["Location"].startswith(CALLBACK)
    assert crun.simulator.store.validations[data["BytedToken"]].person == "carol"


def test_a_person_who_cancels_is_redirected_immediately(crun: Crun) -> None:
    answer = crun.check(crun.create()["H5Link"], review="1", outcome="cancel")
    result = query_of(answer.headers["Location"])
    assert result["resultCode"] != "10000"
    assert result["reqMeasureInfoValue"] == "0"


def test_opening_the_page_changes_nothing(crun: Crun) -> None:
    data = crun.create()
    for method in ("GET", "HEAD", "GET"):
        assert crun.session.request(method, data["H5Link"], timeout=5).status_code == 200
    state = crun.simulator.state()
    assert state["outcomes"] == {hash_token(data["BytedToken"]): None}
    assert state["page_views"] == {hash_token(data["BytedToken"]): 3}
    assert state["groups"] == {}


def test_the_first_outcome_is_final(crun: Crun) -> None:
    link = crun.create()["H5Link"]
    first = crun.check(link, outcome="fail")
    again = crun.check(link, outcome="pass")
    assert again.headers["Location"] == first.headers["Location"]
    assert crun.simulator.state()["groups"] == {}


def test_an_expired_link_shows_an_error_and_does_not_redirect(crun: Crun) -> None:
    link = crun.create()["H5Link"]
    crun.simulator.advance(121)
    for answer in (crun.session.get(link, timeout=5), crun.check(link, outcome="pass")):
        assert answer.status_code == 410
        assert "Location" not in answer.headers
    assert "已过期" in crun.session.get(link, timeout=5).content.decode()


def test_a_person_who_passed_in_time_can_press_done_late(crun: Crun) -> None:
    link = crun.create()["H5Link"]
    crun.simulator.advance(119)
    crun.check(link, review="1", outcome="pass")
    crun.simulator.advance(60)
    assert crun.check(link, done="1").status_code == 303


@pytest.mark.parametrize(
    ("lng", "language", "word"),
    [("zh", "zh", "通过"), ("en", "en", "Pass"), ("zh-Hant", "zh-Hant", "通過"), ("fr", "zh", "通过")],
)
def test_lng_chooses_the_language(crun: Crun, lng: str, language: str, word: str) -> None:
    link = crun.create()["H5Link"]
    page = crun.session.get(link.replace("lng=zh", f"lng={lng}"), timeout=5).content.decode()
    assert f'<html lang="{language}">' in page
    assert f">{word}</button>" in page


@pytest.mark.parametrize(
    ("old", "new"), [("%2Fcn-north-1", "/cn-north-1"), ("region=&", ""), ("+", "%20"), ("bytedToken=2", "bytedToken=3")]
)
def test_a_link_with_changed_parameters_is_refused(crun: Crun, old: str, new: str) -> None:
    link = crun.create()["H5Link"]
    assert old in link
    answer = crun.check(link.replace(old, new, 1), outcome="pass")
    assert answer.status_code == 403
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"outcome": "maybe"},
        {"outcome": "pass", "person": "<b>"},
        {"outcome": "pass", "person": "x" * 33},
        {"outcome": "pass", "person": "someone-else"},
    ],
)
def test_a_bad_form_is_refused_and_can_be_sent_again(crun: Crun, form: dict[str, str]) -> None:
    link = crun.create()["H5Link"]
    assert crun.check(link, **form).status_code == 400
    assert crun.check(link, outcome="pass").status_code == 303


@pytest.mark.parametrize(
    ("callback", "join", "start"),
    [
        ("https://a.example/c", "&", "https://a.example/c?bytedToken="),
        ("https://a.example/c?x=1", "&", "https://a.example/c?x=1&bytedToken="),
        ("https://a.example/c?x=1", "?", "https://a.example/c?x=1?bytedToken="),
    ],
)
def test_result_parameters_are_joined_as_configured(crun: Crun, callback: str, join: str, start: str) -> None:
    crun.simulator.update_settings(callback_join=join)
    answer = crun.check(crun.create(callback)["H5Link"], outcome="pass")
    assert answer.headers["Location"].startswith(start)


def test_parameters_come_before_a_fragment(crun: Crun) -> None:
    answer = crun.check(crun.create("https://a.example/c#top")["H5Link"], outcome="pass")
    assert re.fullmatch(r"https://a\.example/c\?bytedToken=.*#top", answer.headers["Location"])


def test_failures_can_omit_the_token(crun: Crun) -> None:
    crun.simulator.update_settings(failure_includes_token=False)
    failed = crun.check(crun.create()["H5Link"], outcome="fail", result_code="20001", algorithm_code="1106")
    result = query_of(failed.headers["Location"])
    assert "bytedToken" not in result
    assert (result["resultCode"], result["algorithmBaseRespCode"]) == ("20001", "1106")
    passed = crun.check(crun.create()["H5Link"], outcome="pass")
    assert "bytedToken" in query_of(passed.headers["Location"])


def test_the_page_escapes_its_input(crun: Crun) -> None:
    page = crun.session.get(
        f"{crun.simulator.url}/h5/validate", params='bytedToken=x&"><script>alert(1)</script>', timeout=5
    )
    assert page.status_code == 403
    assert "<script" not in page.text


def test_the_page_is_not_cached_and_sends_no_referrer(crun: Crun) -> None:
    headers = crun.session.get(crun.create()["H5Link"], timeout=5).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
