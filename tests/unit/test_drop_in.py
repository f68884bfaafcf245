"""crun's own routes: their responses, and the guarantees that they add to crun's."""

from __future__ import annotations

import itertools
import json
import re
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.adapters.table.upstream_ids import DynamoUpstreamIds
from likeness.contracts.drop_in import asset_info, refusal
from likeness.contracts.drop_in_bodies import UploadRequest, ValidationRequest, read_body
from likeness.contracts.messages import AssetsReady, LinkCheck, read_message
from likeness.domain.asset import Asset, AssetStatus, crun_failure
from likeness.domain.caller import Caller, key_digest
from likeness.domain.crun import AssetReport, H5Session
from likeness.domain.drop_in import (
    asset_id_of,
    callback_location,
    crun_error,
    may_call_back,
    new_issued_token,
    session_of,
)
from likeness.domain.files import Download
from likeness.domain.links import origin_of, read_callback
from likeness.domain.session import MAX_ASSETS_PER_SESSION, AttemptStatus, DropIn, Problem, Session, SessionStatus
from likeness.domain.terms import Withdrawal
from likeness.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    LikenessError,
    NotFound,
    RateLimited,
    StorageUnavailable,
    TooManyAttempts,
    UpstreamAmbiguous,
    UpstreamDeferred,
    UpstreamError,
    UpstreamRefused,
)
from likeness.runtime.drop_in import respond
from likeness.runtime.problems import problem
from likeness.steps.crun_routes.fetch_asset import FetchAsset
from likeness.steps.crun_routes.get_result import GetResult
from likeness.steps.crun_routes.open_validation import Opened, OpenValidation
from likeness.steps.crun_routes.retry_policy import RetryPolicy
from likeness.steps.files.submit_asset import SubmitAsset
from tests import media
from tests.unit.api_harness import ORIGINS
from tests.unit.fakes import FakeDownloads
from tests.unit.step_harness import BASE, TABLE, StepHarness
from tests.unit.test_open_redirect import EVIL, GOOD

CLIENT = Caller("acme", ("https://app.example.com",))
OTHER_CLIENT = Caller("other", ("https://app.example.com",))
CALLBACK = "https://app.example.com/done?order=1#top"
_DRAWN = itertools.count()
SES = "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"
PASSED = {
    "bytedToken": ["crun's"], "resultCode": ["10000"], "algorithmBaseRespCode": ["0"], "reqMeasureInfoValue": ["1"],
    "verify_type": ["real_time"],
}  # fmt: skip


@dataclass
class Facade:
    """The steps behind the routes. A sleep advances the clock and runs the next callback of ``meanwhile``."""

    harness: StepHarness
    downloads: FakeDownloads = field(default_factory=FakeDownloads)
    meanwhile: deque[Any] = field(default_factory=deque)
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.harness.clock.at += seconds
        if self.meanwhile:
            self.meanwhile.popleft()()

    @property
    def retry(self) -> RetryPolicy:
        return RetryPolicy(self.harness.clock, self.sleep, lambda: 1.0)

    def open(self, *answers: H5Session | UpstreamError, caller: Caller = CLIENT, url: str = CALLBACK) -> Opened:
        self.harness.crun.sessions.extend(answers or [H5Session("crun's", "https://h5.test/?a=1&lng=en&b=2")])
        step = OpenValidation(self.harness.store, self.harness.links(), self.retry, self.harness.clock)
        return step(caller, url, BASE)

    def session(self, opened: Opened) -> Session:
        found = self.harness.store.get_session(opened.session_id)
        assert found
        return found

    def save_group(self, opened: Opened, group_id: str = "group-1") -> None:
        self.harness.play(
            "SaveGroup", opened.session_id, {"$.lookup.result.attempt": "1", "$.lookup.result.group_id": group_id}
        )

    def verified(self, group_id: str) -> Opened:
        opened = self.open()
        self.harness.callback(self.session(opened))
        self.save_group(opened, group_id)
        return opened

    @property
    def result(self) -> GetResult:
        ids = DynamoUpstreamIds(self.harness.dynamodb, TABLE)
        return GetResult(self.harness.store, ids, self.harness.clock, self.sleep)

    def upload(self, group_id: str, *, caller: Caller = CLIENT, asset_type: str = "Image") -> str:
        harness = self.harness
        submit = SubmitAsset(
            harness.store, harness.crun, harness.files, harness.clock, lambda: harness.orphans.append(1)
        )
        step = FetchAsset(
            harness.store, DynamoUpstreamIds(harness.dynamodb, TABLE), self.downloads, harness.files,
            harness.queue, submit, self.retry, harness.clock,
        )  # fmt: skip
        url = "https://files.example/front.jpg"
        return asset_id_of(
            step(caller, name="front", asset_type=asset_type, asset_url=url, group_id=group_id, submitter="request-1")
        )

    def assets(self, opened: Opened) -> list[Asset]:
        return self.harness.store.list_assets(opened.session_id)


@pytest.fixture
def facade(harness: StepHarness) -> Facade:
    harness.clock.drawn = _DRAWN  # the tests share a table, so their ids must differ
    return Facade(harness)


# -- the issued token -----------------------------------------------------------------------------------------------


def test_a_token_names_its_session_and_cannot_be_guessed() -> None:
    token = new_issued_token(SES, bytes(range(20)))
    assert session_of(token) == SES
    assert re.fullmatch("[0-9A-Z]{66}", token)
    assert token != new_issued_token(SES, bytes(20))


@pytest.mark.parametrize(
    "token", ["", "x", SES, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "0" * 66 + "0", "z" * 66, "\u0661" * 66, "9" + "Z" * 65]
)
def test_an_unknown_token_format_is_not_looked_up(token: str) -> None:
    assert session_of(token) is None


# -- the callback URL -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "begins", "ends"),
    [
        ("https://a.test", "https://a.test?", ""),
        ("https://a.test/", "https://a.test/?", ""),
        ("https://a.test/cb?x=1", "https://a.test/cb?x=1&", ""),
        ("https://a.test/cb?x=1&", "https://a.test/cb?x=1&", ""),
        ("https://a.test/cb?", "https://a.test/cb?", ""),
        ("https://a.test/cb#top", "https://a.test/cb?", "#top"),
        ("https://a.test/cb?x=%2F+a;b#a?b&c", "https://a.test/cb?x=%2F+a;b&", "#a?b&c"),
        ("https://a.test/cb#", "https://a.test/cb?", "#"),
        ("https://a.test/cb?bytedToken=mine", "https://a.test/cb?bytedToken=mine&", ""),
    ],
)
def test_the_parameters_are_appended_to_the_urls_query(url: str, begins: str, ends: str) -> None:
    reported = read_callback(PASSED).reported
    query = "bytedToken=T&resultCode=10000&algorithmBaseRespCode=0&reqMeasureInfoValue=1&verify_type=real_time"
    assert callback_location(DropIn(url, "T"), reported) == begins + query + ends


@given(st.dictionaries(st.text(max_size=20), st.lists(st.text(max_size=40), max_size=3), max_size=6))
def test_a_parameter_from_a_browser_stays_within_the_query(parameters: dict[str, list[str]]) -> None:
    location = callback_location(DropIn("https://a.test/cb?x=1#top", "T"), read_callback(parameters).reported)
    assert re.fullmatch(r"https://a\.test/cb\?x=1&bytedToken=T(&[A-Za-z_]+=[A-Za-z0-9%+._~-]*){0,4}#top", location)


@pytest.mark.parametrize("url", GOOD)
def test_a_callback_url_of_a_registered_origin_may_have_a_fragment(url: str) -> None:
    assert may_call_back(url, ORIGINS)
    assert len(url) > 2000 or may_call_back(f"{url}#top?a=1&b=2", ORIGINS)


@pytest.mark.parametrize("url", [each for each in EVIL if origin_of(each.partition("#")[0]) not in ORIGINS])
def test_a_callback_url_of_another_origin_is_refused(url: str) -> None:
    assert not may_call_back(url, ORIGINS)
    assert not may_call_back(f"{url}#top", ORIGINS)


def test_a_fragment_has_no_characters_that_browsers_read_differently() -> None:
    for bad in ("\\", " ", "\n", "\x00", "\u2028", "人"):
        assert not may_call_back(f"{ORIGINS[0]}/#{bad}", ORIGINS)


# -- visual-validate-session ----------------------------------------------------------------------------------------


def test_a_validation_is_a_session_with_an_open_attempt_and_an_issued_token(facade: Facade) -> None:
    opened = facade.open()
    session = facade.session(opened)
    assert (session.client_id, session.status) == ("acme", SessionStatus.REQUIRES_INPUT)
    assert session.drop_in == DropIn(CALLBACK, opened.issued_token)
    assert session.attempts[1].byted_token == "crun's" != opened.issued_token
    assert opened.h5_link == "https://h5.test/?a=1&lng=zh&b=2"
    assert facade.harness.crun.callback_urls[0].startswith(f"{BASE}/callback/{session.id}/1/")
    assert facade.harness.queue.sent == [(LinkCheck(session.id, 1).to_json(), 420)]
    assert facade.harness.throttled == ["acme"]


def test_an_unregistered_origin_causes_no_call_to_crun(facade: Facade) -> None:
    with pytest.raises(InvalidRequest, match="callback_url"):
        facade.open(url="https://evil.example/done")
    assert not facade.harness.crun.callback_urls
    assert not facade.harness.queue.sent


def test_a_burst_of_refusals_is_retried(facade: Facade) -> None:
    crun = facade.harness.crun
    outage = [RateLimited(upstream_code=429), UpstreamDeferred(upstream_code=455), UpstreamAmbiguous()]
    facade.open(*outage, H5Session("t", "https://h5.test/"))
    assert facade.slept == [0.5, 1.0, 2.0]
    assert len(crun.callback_urls) == 4
    assert len(set(crun.callback_urls)) == 1


def test_a_retry_waits_as_long_as_crun_requires(facade: Facade) -> None:
    facade.open(RateLimited(upstream_code=429, asked_to_wait=7), H5Session("t", "https://h5.test/"))
    assert facade.slept == [7]


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (UpstreamRefused(402), 1), (UpstreamRefused(422), 1),
        (UpstreamDeferred(upstream_code=455, asked_to_wait=3600), 1), (UpstreamDeferred(upstream_code=455), 5),
    ],
)  # fmt: skip
def test_a_failed_validation_is_reported_and_no_session_is_left(
    facade: Facade, error: UpstreamError, tries: int
) -> None:
    with pytest.raises(type(error)):
        facade.open(*[error] * 99)
    assert len(facade.harness.crun.callback_urls) == tries
    checked = read_message(facade.harness.queue.sent[0][0])
    assert facade.harness.store.get_session(checked.session_id) is None


# -- the browser's callback -----------------------------------------------------------------------------------------


def test_the_redirect_has_the_issued_token_and_the_parameters_of_the_page(facade: Facade) -> None:
    opened = facade.open()
    location = facade.harness.callback(facade.session(opened), parameters=PASSED)
    assert location == (
        f"https://app.example.com/done?order=1&bytedToken={opened.issued_token}&resultCode=10000"
        "&algorithmBaseRespCode=0&reqMeasureInfoValue=1&verify_type=real_time#top"
    )
    assert facade.session(opened).attempts[1].status is AttemptStatus.PASSED


def test_a_failure_carries_the_issued_token_also_when_crun_omits_its_own(facade: Facade) -> None:
    opened = facade.open()
    reported = {"resultCode": ["10010"], "algorithmBaseRespCode": ["1105"]}
    location = facade.harness.callback(facade.session(opened), parameters=reported)
    assert f"?order=1&bytedToken={opened.issued_token}&resultCode=10010&algorithmBaseRespCode=1105#top" in location
    assert facade.session(opened).attempts[1].status is AttemptStatus.FAILED


def test_after_an_erasure_nobody_is_redirected(facade: Facade) -> None:
    opened = facade.open()
    assert facade.harness.store.redact_session(facade.session(opened), facade.harness.clock.now())
    assert facade.session(opened).drop_in is None
    assert facade.harness.callback(facade.session(opened)) == f"{BASE}/invite?status=redacted"


# -- visual-validate-result -----------------------------------------------------------------------------------------


def test_the_group_is_returned_for_every_request(facade: Facade) -> None:
    opened = facade.verified("group-often")
    assert [facade.result.group(CLIENT, opened.issued_token) for _ in range(3)] == ["group-often"] * 3
    assert not facade.harness.crun.looked_up
    assert not facade.slept


def test_an_early_request_does_not_consume_the_token(facade: Facade) -> None:
    opened = facade.open()
    with pytest.raises(NotFound, match="validation was not passed"):
        facade.result.group(CLIENT, opened.issued_token)
    facade.harness.callback(facade.session(opened), parameters={"resultCode": ["10010"]})
    with pytest.raises(NotFound, match="validation was not passed"):
        facade.result.group(CLIENT, opened.issued_token)
    assert not facade.harness.crun.looked_up
    assert not facade.slept


def test_a_request_during_the_redirect_waits_for_the_result(facade: Facade) -> None:
    opened = facade.open()
    facade.harness.callback(facade.session(opened))
    facade.meanwhile.extend([lambda: None, lambda: None, lambda: facade.save_group(opened, "group-late")])
    assert facade.result.group(CLIENT, opened.issued_token) == "group-late"
    assert len(facade.slept) == 3


def test_a_request_waits_no_longer_than_the_gateways_timeout(facade: Facade) -> None:
    opened = facade.open()
    facade.harness.callback(facade.session(opened))
    with pytest.raises(UpstreamDeferred) as caught:
        facade.result.group(CLIENT, opened.issued_token)
    assert caught.value.retry_after
    assert 20 < sum(facade.slept) <= 24


def test_a_pass_that_crun_refuses_ends_the_wait(facade: Facade) -> None:
    opened = facade.open()
    facade.harness.callback(facade.session(opened))
    refused = UpstreamRefused(404)
    facade.meanwhile.append(lambda: facade.harness.look_up_to_the_end(facade.session(opened), refused))
    with pytest.raises(NotFound, match="validation was not passed"):
        facade.result.group(CLIENT, opened.issued_token)


def test_a_token_gives_only_its_client_access_to_its_session(facade: Facade) -> None:
    mine, other = facade.verified("group-mine"), facade.verified("group-other")
    plain = facade.harness.session()
    forged = [
        mine.issued_token[:26] + other.issued_token[26:],
        mine.issued_token[:-1] + ("0" if mine.issued_token[-1] != "0" else "1"),
        mine.issued_token.lower(), mine.issued_token + "0", plain.id[4:] + "0" * 40, mine.session_id, "crun's", "",
    ]  # fmt: skip
    for token in forged:
        with pytest.raises(NotFound, match="byted_token not found"):
            facade.result.group(CLIENT, token)
    with pytest.raises(NotFound, match="byted_token not found"):
        facade.result.group(OTHER_CLIENT, mine.issued_token)


def test_an_erased_session_has_no_group(facade: Facade) -> None:
    opened = facade.verified("group-erased")
    assert facade.harness.store.redact_session(facade.session(opened), facade.harness.clock.now())
    with pytest.raises(NotFound, match="byted_token not found"):
        facade.result.group(CLIENT, opened.issued_token)


def test_a_file_of_a_withdrawn_consent_is_refused_before_it_is_fetched(facade: Facade) -> None:
    opened = facade.verified("group-withdrawn")
    now = facade.harness.clock.now()
    facade.harness.store.withdraw_consent(facade.session(opened), Withdrawal(now, "person", "invite"))
    with pytest.raises(Conflict) as refused:
        facade.upload("group-withdrawn")
    assert refused.value.code == "consent_withdrawn"
    code, body = refusal(refused.value)
    assert (code, body["errors"]) == (422, ["The consent was withdrawn"])
    assert facade.assets(opened) == []


# -- asset-upload ---------------------------------------------------------------------------------------------------


def test_a_file_is_fetched_first_and_its_id_is_that_of_crun(facade: Facade) -> None:
    opened = facade.verified("group-upload")
    facade.downloads.downloads.append(Download(media.jpeg()))
    facade.harness.crun.uploads.append("asset-crun-1")
    assert facade.upload("group-upload") == "asset-crun-1"
    (asset,) = facade.assets(opened)
    assert (asset.status, asset.content_type, asset.crun_asset_id) == (
        AssetStatus.PROCESSING, "image/jpeg", "asset-crun-1",
    )  # fmt: skip
    assert facade.harness.files.objects[asset.object_key] == media.jpeg()
    ((_, _, url, group),) = facade.harness.crun.uploaded
    assert url.startswith(f"https://bucket.test/{asset.object_key}?versionId={asset.version_id}")
    assert group == "group-upload"
    assert facade.harness.queue.sent[-1] == (AssetsReady(opened.session_id).to_json(), 0)


@pytest.mark.parametrize(
    ("downloads", "code", "kind"),
    [
        ([Download(problem="too_large")], "FileSizeTooLarge", "Image"),
        ([Download(problem="private_address")], "DownloadFailed", "Image"),
        ([Download(problem="status", retryable=True)] * 9, "DownloadFailed", "Image"),
        ([Download(b"no picture")], "FormatUnsupported", "Image"),
        ([Download(media.jpeg())], "FormatUnsupported", "Video"),
        ([Download(media.jpeg(100, 100))], "ImageSizeInvalid", "Image"),
        ([Download(media.wav(1.0))], "DurationTooShort", "Audio"),
        ([Download(media.wav(16.0))], "DurationTooLong", "Audio"),
        ([Download(media.mp4(2.0, width=320, height=320))], "PixelCountTooSmall", "Video"),
    ],
)
def test_an_unavailable_or_invalid_file_is_not_sent_to_crun(
    facade: Facade, downloads: list[Download], code: str, kind: str
) -> None:
    opened = facade.verified(f"group-{code}-{kind}-{len(downloads)}")
    facade.downloads.downloads.extend(downloads)
    asset_id = facade.upload(f"group-{code}-{kind}-{len(downloads)}", asset_type=kind)
    (asset,) = facade.assets(opened)
    assert asset_id == asset.id
    shown = asset_info(facade.result.asset(CLIENT, asset_id))
    assert (shown["AssetId"], shown["Status"], shown["Error"]["Code"]) == (asset_id, "Failed", code)
    assert not facade.harness.crun.uploaded
    assert not facade.harness.files.objects
    assert len(facade.downloads.fetched) <= 5
    assert sum(facade.slept) < 10


def test_a_transient_error_of_the_files_server_is_retried(facade: Facade) -> None:
    facade.verified("group-hiccup")
    facade.downloads.downloads.extend([Download(problem="no_answer", retryable=True), Download(media.jpeg())])
    facade.harness.crun.uploads.append("asset-crun-2")
    assert facade.upload("group-hiccup") == "asset-crun-2"
    (_, limit, first), (_, _, second) = facade.downloads.fetched
    assert limit == 30_000_000 - 1
    assert first > second > 0


def test_a_burst_of_refusals_does_not_reach_the_caller(facade: Facade) -> None:
    opened = facade.verified("group-burst")
    facade.downloads.downloads.append(Download(media.jpeg()))
    facade.harness.crun.uploads.extend(
        [RateLimited(upstream_code=429), UpstreamDeferred(upstream_code=455), "asset-crun-3"]
    )
    assert facade.upload("group-burst") == "asset-crun-3"
    assert facade.assets(opened)[0].ambiguous_submissions == 1
    assert not facade.harness.orphans


def test_during_an_outage_of_crun_our_id_is_returned_and_the_work_continues(facade: Facade) -> None:
    opened = facade.verified("group-outage")
    facade.downloads.downloads.append(Download(media.jpeg()))
    facade.harness.crun.uploads.extend([UpstreamDeferred(upstream_code=455)] * 99)
    (asset_id, before) = facade.upload("group-outage"), facade.assets(opened)[0]
    assert asset_id == before.id
    assert before.status is AssetStatus.UPLOADED
    assert asset_info(facade.result.asset(CLIENT, asset_id))["Status"] == "Processing"
    facade.harness.crun.uploads = deque(["asset-crun-4"])
    assert facade.harness.submit(before) == "submitted"
    # Both ids are known from now on, and crun accepts the one that is shown.
    for known in (asset_id, "asset-crun-4"):
        assert asset_info(facade.result.asset(CLIENT, known))["AssetId"] == "asset-crun-4"


def test_after_a_slow_download_an_execution_submits_the_file_to_crun(facade: Facade) -> None:
    opened = facade.verified("group-slow")

    class Slow(FakeDownloads):
        def fetch(self, url: str, limit_bytes: int, seconds: float) -> Download:
            facade.sleep(13)
            return super().fetch(url, limit_bytes, seconds)

    facade.downloads = Slow(deque([Download(media.jpeg())]))
    (asset_id, asset) = facade.upload("group-slow"), facade.assets(opened)[0]
    assert (asset_id, asset.status) == (asset.id, AssetStatus.UPLOADED)
    assert not facade.harness.crun.uploaded
    assert facade.harness.queue.sent[-1] == (AssetsReady(opened.session_id).to_json(), 0)


def test_an_upload_whose_response_was_lost_is_repeated_once(facade: Facade) -> None:
    facade.verified("group-lost")
    facade.downloads.downloads.append(Download(media.jpeg()))
    facade.harness.crun.uploads.extend([UpstreamAmbiguous(), "asset-crun-5"])
    assert facade.upload("group-lost") == "asset-crun-5"
    assert facade.harness.orphans == [1]


def test_an_execution_that_is_faster_is_waited_for(facade: Facade) -> None:
    opened = facade.verified("group-race")
    facade.downloads.downloads.append(Download(media.jpeg()))
    begun: list[Asset] = []

    def begin(*_: Any) -> str | None:
        # An execution that the file's event has started begins right after the file is stored.
        (asset,) = facade.assets(opened)
        taken = replace(asset, status=AssetStatus.SUBMITTING, submitting_by="execution", ambiguous_submissions=1)
        facade.harness.store.change_asset(taken, [AssetStatus.UPLOADED])
        begun.append(taken)
        return None

    def finish() -> None:
        done = replace(begun[0], status=AssetStatus.PROCESSING, submitting_by=None, crun_asset_id="asset-crun-6")
        facade.harness.store.change_asset(done, [AssetStatus.SUBMITTING])

    send = facade.harness.queue.send
    facade.harness.queue.send = lambda body, **more: (send(body, **more), begin())[0]  # type: ignore[method-assign]
    facade.meanwhile.extend([lambda: None, finish])
    assert facade.upload("group-race") == "asset-crun-6"
    assert not facade.harness.crun.uploaded


@pytest.mark.parametrize("code", [401, 402, 403, 505, 422, 404, 501])
def test_a_refusal_is_returned_to_the_caller_and_the_file_is_dropped(facade: Facade, code: int) -> None:
    opened = facade.verified(f"group-refused-{code}")
    facade.downloads.downloads.append(Download(media.jpeg()))
    facade.harness.crun.uploads.append(UpstreamRefused(code))
    with pytest.raises(UpstreamRefused) as caught:
        facade.upload(f"group-refused-{code}")
    assert caught.value.upstream_code == code
    (asset,) = facade.assets(opened)
    assert (asset.status, asset.submitting_by) == (AssetStatus.FAILED, None)
    assert facade.harness.submit(asset) == "nothing"


def test_an_unknown_group_or_one_of_another_client_accepts_no_file(facade: Facade) -> None:
    facade.verified("group-of-acme")
    erased = facade.verified("group-of-nobody")
    assert facade.harness.store.redact_session(facade.session(erased), facade.harness.clock.now())
    for caller, group in ((OTHER_CLIENT, "group-of-acme"), (CLIENT, "group-of-nobody"), (CLIENT, "group-unknown")):
        with pytest.raises(NotFound, match="group_id"):
            facade.upload(group, caller=caller)
    assert not facade.downloads.fetched, "a caller without a group cannot cause a download"


def test_a_full_group_is_reported_and_keeps_no_file(facade: Facade) -> None:
    opened = facade.verified("group-full")
    facade.harness.dynamodb.update_item(
        TableName=TABLE,
        Key={"pk": {"S": f"SESSION#{opened.session_id}"}, "sk": {"S": "SESSION"}},
        UpdateExpression="SET asset_count = :most",
        ExpressionAttributeValues={":most": {"N": str(MAX_ASSETS_PER_SESSION)}},
    )
    facade.downloads.downloads.append(Download(media.jpeg()))
    with pytest.raises(InvalidRequest, match="group_id"):
        facade.upload("group-full")
    assert not facade.harness.files.objects


# -- asset-info -----------------------------------------------------------------------------------------------------


def test_no_client_sees_another_clients_assets_by_either_id(facade: Facade) -> None:
    opened = facade.verified("group-own")
    facade.downloads.downloads.append(Download(media.jpeg()))
    facade.harness.crun.uploads.append("asset-crun-own")
    facade.upload("group-own")
    (asset,) = facade.assets(opened)
    for asset_id in (asset.id, "asset-crun-own"):
        assert facade.result.asset(CLIENT, asset_id) == asset
        with pytest.raises(NotFound, match="asset_id: asset not found"):
            facade.result.asset(OTHER_CLIENT, asset_id)
    facade.harness.store.redact_asset(asset, facade.harness.clock.now())
    with pytest.raises(NotFound):
        facade.result.asset(CLIENT, "asset-crun-own")


def test_a_returned_id_stays_valid_when_crun_assigns_another_one(facade: Facade) -> None:
    opened = facade.verified("group-again")
    facade.downloads.downloads.append(Download(media.jpeg()))
    facade.harness.crun.uploads.extend(["asset-again-1", "asset-again-2"])
    assert facade.upload("group-again") == "asset-again-1"
    facade.harness.crun.reports = {"asset-again-1": AssetReport("Failed", "DownloadFailed")}
    facade.harness.poll(facade.session(opened))
    assert asset_info(facade.result.asset(CLIENT, "asset-again-1"))["Status"] == "Processing"
    assert facade.harness.submit(facade.assets(opened)[0]) == "submitted"
    for known in ("asset-again-1", "asset-again-2", facade.assets(opened)[0].id):
        assert asset_info(facade.result.asset(CLIENT, known))["AssetId"] == "asset-again-2"
        with pytest.raises(NotFound):
            facade.result.asset(OTHER_CLIENT, known)


def test_an_index_that_lags_is_read_again() -> None:
    class Behind:
        asked = 0

        def session_of(self, group_id: str) -> str | None:
            raise AssertionError

        def asset_of(self, client_id: str, asset_id: str) -> tuple[str, str] | None:
            self.asked += 1
            return (SES, "ast_01ARZ3NDEKTSV4RRFFQ69G5FAV") if self.asked == 3 else None

    class Found:
        def get_asset(self, session_id: str, asset_id: str) -> Asset:
            raise LookupError(session_id, asset_id)

    slept: list[float] = []
    step = GetResult(Found(), Behind(), None, slept.append)  # type: ignore[arg-type]
    with pytest.raises(LookupError):
        step.asset(CLIENT, "asset-1")
    assert len(slept) == 2


def test_an_asset_is_shown_in_cruns_format(facade: Facade) -> None:
    opened = facade.verified("group-words")
    facade.downloads.downloads.append(Download(media.jpeg()))
    facade.harness.crun.uploads.append("asset-words")
    facade.upload("group-words")
    asset = replace(facade.assets(opened)[0], created_at=1_800_000_000.4, updated_at=1_800_000_007.9)
    expected = {
        "AssetId": "asset-words", "Name": "front", "AssetType": "Image", "Status": "Processing",
        "CreateTime": "2027-01-15T08:00:00Z", "UpdateTime": 1_800_000_007,
    }  # fmt: skip
    assert asset_info(asset) == expected
    assert asset_info(replace(asset, status=AssetStatus.ACTIVE)) == expected | {"Status": "Active"}
    failed = replace(asset, status=AssetStatus.FAILED, error=crun_failure("FaceMismatch", "another face"))
    error = {"Code": "FaceMismatch", "Message": "another face"}
    assert asset_info(failed) == expected | {"Status": "Failed", "Error": error}


def test_a_message_that_may_contain_a_link_is_not_passed_on() -> None:
    problem = crun_failure("DownloadFailed", "GET https://bucket/x?X-Amz-Signature=1 answered 403")
    assert "://" not in str(problem)


# -- the envelope ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Forbidden(), 401), (NotFound(), 404), (InvalidRequest(), 422), (Conflict(), 422), (TooManyAttempts(), 422),
        (RateLimited(), 429), (UpstreamDeferred(), 455), (UpstreamAmbiguous(), 500), (StorageUnavailable(), 455),
        (UpstreamRefused(401), 455), (UpstreamRefused(403), 455), (UpstreamRefused(402), 402),
        (UpstreamRefused(404), 404),
        (UpstreamRefused(422), 422), (UpstreamRefused(501), 501), (UpstreamRefused(505), 505),
        (UpstreamRefused(418), 500), (LikenessError(), 500),
    ],
)  # fmt: skip
def test_every_error_has_one_of_cruns_codes(error: LikenessError, code: int) -> None:
    status, body = refusal(error)
    listed = body.pop("errors", None)
    message = "Missing Params or Type Error" if code == 422 else error.message
    assert (status, body) == (code, {"code": code, "message": message, "data": None})
    assert listed == ([error.message] if code == 422 else None)


def test_a_422_lists_the_errors_as_crun_does() -> None:
    assert refusal(UpstreamRefused(422, errors=["name: too long"]))[1]["errors"] == ["name: too long"]
    assert refusal(InvalidRequest("a: missing; b: wrong"))[1]["errors"] == ["a: missing", "b: wrong"]


def test_a_problem_document_lists_the_errors_of_crun() -> None:
    made = json.loads(problem(UpstreamRefused(422, errors=["name: too long"]))["body"])
    assert (made["code"], made["upstream_errors"]) == ("upstream_rejected", ["name: too long"])
    assert "upstream_errors" not in json.loads(problem(UpstreamRefused(404))["body"])


def test_cruns_errors_for_an_upload_reach_the_caller_on_every_route(facade: Facade) -> None:
    opened = facade.verified("group-listed")
    facade.downloads.downloads.append(Download(media.jpeg()))
    facade.harness.crun.uploads.append(UpstreamRefused(422, errors=["name: too long"]))
    with pytest.raises(UpstreamRefused) as caught:
        facade.upload("group-listed")
    assert caught.value.errors == ("name: too long",)
    (asset,) = facade.assets(opened)
    assert crun_error(asset) == ("422", "name: too long")


class Keys:
    """One client with one key."""

    def find(self, key_hash: str) -> Caller | None:
        return CLIENT if key_hash == key_digest("lk_good") else None


@pytest.mark.parametrize("name", ["x-api-key", "X-API-KEY", "X-Api-Key"])
def test_the_header_of_the_key_is_case_insensitive(name: str) -> None:
    answer = respond({"headers": {name: "lk_good"}}, Keys(), lambda caller: {"Who": caller.client_id})
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {"code": 200, "message": "success", "data": {"Who": "acme"}}


@pytest.mark.parametrize("key", [None, "", "lk_bad", "st_ses_x.acme.1.mac", "lk_" + "x" * 1000, "lk_\udc80"])
def test_without_a_clients_key_nothing_is_done(key: str | None) -> None:
    def work(_: Caller) -> dict[str, Any]:
        raise AssertionError

    answer = respond({"headers": key and {"x-api-key": key}}, Keys(), work)
    assert answer["statusCode"] == 401
    assert json.loads(answer["body"]) == {"code": 401, "message": "invalid API key", "data": None}


def test_an_internal_error_is_a_500_without_details() -> None:
    def work(_: Caller) -> dict[str, Any]:
        raise ValueError("https://secret")

    answer = respond({"headers": {"x-api-key": "lk_good"}}, Keys(), work)
    assert answer["statusCode"] == 500
    assert "secret" not in str(answer)


def test_a_deferral_has_a_retry_after() -> None:
    def work(_: Caller) -> dict[str, Any]:
        raise UpstreamDeferred(retry_after=7)

    answer = respond({"headers": {"x-api-key": "lk_good"}}, Keys(), work)
    assert (answer["statusCode"], answer["headers"]["Retry-After"]) == (455, "7")


UPLOAD = {"name": "front", "asset_type": "Image", "asset_url": "https://a.test/x", "group_id": "group-1"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "body: Invalid JSON"), ("[]", "body: "), ("{}", "name: Field required; asset_type: Field required"),
        (json.dumps(UPLOAD | {"asset_type": "image"}), "asset_type: Input should be 'Image', 'Video' or 'Audio'"),
        (json.dumps(UPLOAD | {"name": ""}), "name: "), (json.dumps(UPLOAD | {"name": "x" * 65}), "name: "),
        (json.dumps(UPLOAD | {"name": "a\nb"}), "name: "), (json.dumps(UPLOAD | {"name": 5}), "name: "),
        (json.dumps(UPLOAD | {"asset_url": "ftp://a.test/"}), "asset_url: "),
        (json.dumps(UPLOAD | {"asset_url": "http://[::1"}), "asset_url: "),
        (json.dumps(UPLOAD | {"asset_url": "https://a.test/\u00e4"}), "asset_url: "),
        (json.dumps(UPLOAD | {"group_id": "g" * 129}), "group_id: "),
    ],
)  # fmt: skip
def test_a_body_that_breaks_the_contract_names_its_fields(body: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_body(UploadRequest, body)
    assert caught.value.message.startswith(message)
    assert "a.test" not in caught.value.message


def test_unknown_fields_are_ignored_as_crun_ignores_them() -> None:
    assert read_body(ValidationRequest, json.dumps({"callback_url": "https://a.test/", "x": 1})).callback_url
    assert read_body(UploadRequest, json.dumps(UPLOAD | {"x": 1})).name == "front"
    assert "a.test" not in repr(read_body(UploadRequest, json.dumps(UPLOAD)))


def test_stored_problems_keep_the_errors_of_crun(harness: StepHarness) -> None:
    session, (asset,) = harness.verified(AssetStatus.PROCESSING)
    problem = Problem("face_mismatch", "ours", "FaceMismatch", upstream_message="crun's")
    harness.store.change_asset(replace(asset, status=AssetStatus.FAILED, error=problem), [AssetStatus.PROCESSING])
    assert harness.store.get_asset(session.id, asset.id) == replace(asset, status=AssetStatus.FAILED, error=problem)
