"""The guard of generations: where assets are accepted, in which form, and whose consent covers the use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unicodedata import normalize
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.generation import MAX_PEOPLE
from likeness.domain.generation_models import permitted_models
from likeness.domain.guarded_text import MAX_DEPTH, MAX_INPUT_BYTES
from likeness.domain.media.types import AssetType
from likeness.domain.session import Consent, SessionStatus
from likeness.domain.terms import Withdrawal
from likeness.errors import AssetNotFound, Conflict, InvalidRequest
from likeness.steps.generations.guard import MAX_POSSIBLE_IDS
from tests.unit.request_harness import BUCKET, GIVEN_AT, HOST, I2V, R2V, RequestHarness, images, uri

R2V_25, I2V_25 = "bytedance/seedance2-5-r2v", "bytedance/seedance2-5-i2v"
OFF_LIST = "kling/v3"
URL = "https://cdn.example.com/face.jpg"


@pytest.fixture(scope="module")
def harness(store: DynamoStore, dynamodb: Any) -> RequestHarness:
    return RequestHarness(store, dynamodb)


@pytest.fixture(scope="module")
def face(harness: RequestHarness) -> Asset:
    return harness.person()[1][0]


def refusal(harness: RequestHarness, content: dict[str, Any], **how: Any) -> Any:
    with pytest.raises((InvalidRequest, AssetNotFound, Conflict)) as caught:
        harness.check(content, **how)
    return caught.value


# What is accepted


def test_an_input_without_assets_is_sent_as_it_is(harness: RequestHarness) -> None:
    content = {"prompt": "a walk", "reference_images": [URL], "duration": 5, "audio": False}
    guarded = harness.check(content)
    assert guarded.content is content
    assert (guarded.people, guarded.purpose) == ((), None)


def test_our_id_is_replaced_by_the_one_of_crun_and_the_rest_is_unchanged(harness: RequestHarness, face: Asset) -> None:
    content = images(URL, face.id, uri(face), duration=7)
    guarded = harness.check(content)
    assert guarded.content == images(URL, uri(face), uri(face), duration=7)
    assert content["reference_images"][1] == face.id
    (person,) = guarded.people
    assert (person.session_id, person.asset_ids, person.crun_asset_ids) == (
        face.session_id, (face.id,), (face.crun_asset_id,),
    )  # fmt: skip
    assert person.consent_given_at == GIVEN_AT


def test_an_earlier_id_of_crun_stands_for_the_asset_under_its_newest_one(harness: RequestHarness) -> None:
    session, _ = harness.person()
    earlier = harness.asset(session, AssetType.IMAGE, crun_asset_id="asset-earlier")
    harness.put(replace(earlier, crun_asset_id="asset-newest"))
    harness.dynamodb.put_item(
        TableName="inventory",
        Item={
            "pk": {"S": f"EARLIER#{session.id}"}, "sk": {"S": earlier.id}, "upstream_id": {"S": "asset-earlier"},
        },
    )  # fmt: skip
    assert harness.check(images("asset://asset-earlier")).content == images("asset://asset-newest")


def test_people_are_listed_in_the_order_of_the_input(harness: RequestHarness) -> None:
    (one, (picture, clip)), (other, (voice,)) = (
        harness.person(AssetType.IMAGE, AssetType.VIDEO), harness.person(AssetType.AUDIO),
    )  # fmt: skip
    guarded = harness.check(
        {"reference_audios": [uri(voice)], "reference_videos": [uri(clip)], "reference_images": [uri(picture)]}
    )
    assert [each.session_id for each in guarded.people] == [one.id, other.id]
    assert guarded.people[0].asset_ids == (picture.id, clip.id)


@pytest.mark.parametrize(
    "prompt",
    [
        "A valuable asset of the team walks by", "assets, and more assets", "100% of it", "50%25 off", "asset",
        "ratio 16:9", "[Image1] says: hello", "资产在海滩上散步 ☀️", "a\nb\tc", "ast_ is not an id", "x" * 5000,
        "C:\\users\\x", "R&B &amp; soul &c",
        "https://example.com/a%20b", "Beautiful", "asset-20260102030405 is no id of anybody",
    ],
)  # fmt: skip
def test_free_text_is_accepted(harness: RequestHarness, face: Asset, prompt: str) -> None:
    assert harness.check(images(face, prompt=prompt)).content["prompt"] == prompt


def test_any_input_of_a_model_off_the_list_without_assets_is_accepted(harness: RequestHarness) -> None:
    content = {"images": [{"url": URL, "weight": 0.5}], "seed": 123456789, "style": None, "name": "cinematic-look"}
    assert harness.check(content, model=OFF_LIST).content is content


@pytest.mark.parametrize(
    ("model", "content"),
    [
        (R2V, {"reference_images": [URL] * 9, "reference_videos": [URL] * 3}),
        (R2V, {"reference_audios": [URL], "reference_images": [URL], "resolution": "1080p", "duration": 15}),
        (R2V, {"byteplus_fallback": True, "reference_images": [URL]}),
        (I2V, {"img_urls": [URL, URL], "aspect_ratio": "9:16", "return_last_frame": True}),
        (R2V_25, {"reference_images": [URL] * 30, "reference_videos": [URL] * 10, "reference_audios": [URL] * 10}),
        (R2V_25, {"reference_audios": [URL], "task_type": "reference", "resolution": "1080p", "duration": 30}),
        (I2V_25, {"img_urls": [URL], "resolution": "720p", "duration": 4}),
    ],
)
def test_the_limits_of_a_model_are_inclusive(harness: RequestHarness, model: str, content: dict[str, Any]) -> None:
    assert harness.check(content, model=model).content is content


@pytest.mark.parametrize(
    ("model", "content", "field"),
    [
        (R2V, {"reference_images": [URL] * 10}, "input.reference_images"),
        (R2V, {"reference_images": [URL] * 9, "reference_videos": [URL] * 3, "reference_audios": [URL]},
         "input.reference_audios"),
        (R2V, {"reference_audios": [URL]}, "input.reference_audios"),
        (R2V, {"reference_videos": [URL] * 4}, "input.reference_videos"),
        (R2V, {"duration": 3}, "input.duration"),
        (R2V, {"duration": 16}, "input.duration"),
        (R2V, {"duration": "5"}, "input.duration"),
        (R2V, {"duration": True}, "input.duration"),
        (R2V, {"duration": 5.5}, "input.duration"),
        (R2V, {"resolution": "4k"}, "input.resolution"),
        (R2V, {"aspect_ratio": "2:1"}, "input.aspect_ratio"),
        (R2V, {"prompt": "x" * 5001}, "input.prompt"),
        (R2V, {"prompt": ["a walk"]}, "input.prompt"),
        (R2V, {"byteplus_fallback": "true"}, "input.byteplus_fallback"),
        (R2V, {"audio": 1}, "input.audio"),
        (R2V, {"task_type": "reference"}, "input.task_type"),
        (R2V, {"seed": 1}, "input.seed"),
        (R2V, {"img_urls": [URL]}, "input.img_urls"),
        (R2V, {"reference_images": URL}, "input.reference_images"),
        (R2V, {"reference_images": {"0": URL}}, "input.reference_images"),
        (R2V, {"reference_images": [URL, None]}, "input.reference_images[1]"),
        (R2V, {"reference_images": [[URL]]}, "input.reference_images[0]"),
        (R2V, {"reference_images": [{"url": URL}]}, "input.reference_images[0]"),
        (R2V, {"reference_images": ["data:image/png;base64,AAAA"]}, "input.reference_images[0]"),
        (R2V, {"reference_images": ["ftp://example.com/a.jpg"]}, "input.reference_images[0]"),
        (R2V, {"reference_images": ["//example.com/a.jpg"]}, "input.reference_images[0]"),
        (I2V, {"img_urls": [URL] * 3}, "input.img_urls"),
        (I2V, {"reference_images": [URL]}, "input.reference_images"),
        (R2V_25, {"task_type": "edit"}, "input.task_type"),
        (R2V_25, {"duration": 31}, "input.duration"),
        (I2V_25, {"resolution": "1080p"}, "input.resolution"),
    ],
)  # fmt: skip
def test_beyond_the_limits_of_a_model_the_field_is_named(
    harness: RequestHarness, model: str, content: dict[str, Any], field: str
) -> None:
    error = refusal(harness, content, model=model)
    assert (error.code, error.field) == ("invalid_request", field)


# Where an asset is not accepted

#: How a string that names an asset may be disguised. Each gets ``asset://<AssetId>``.
DISGUISES: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "in capitals": str.upper,
    "in mixed case": lambda text: text.replace("asset:", "AsSeT:"),
    "with spaces around it": lambda text: f"  {text}\n",
    "with a no-break space before it": lambda text: f"\u00a0{text}",
    "in a sentence": lambda text: f"use {text}, please",
    "in a query": lambda text: f"https://example.com/?file={text}",
    "percent-encoded": lambda text: quote(text, safe=""),
    "with an encoded colon": lambda text: text.replace(":", "%3A"),
    "with a lower-case encoded colon": lambda text: text.replace(":", "%3a"),
    "with every character encoded": lambda text: "".join(f"%{ord(each):02x}" for each in text),
    "encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "encoded five times": lambda text: _times(5, lambda each: quote(each, safe=""), text),
    "encoded twenty times": lambda text: _times(20, lambda each: quote(each, safe=""), text),
    "escaped as in JSON": lambda text: text.replace(":", "\\u003A"),
    "in a document of its own": lambda text: '{"url": "' + text.replace("s", "\\u0073") + '"}',
    "escaped as in JavaScript": lambda text: text.replace(":", "\\x3a"),
    "escaped as in HTML": lambda text: text.replace(":", "&#58;").replace("a", "&#x61;"),
    "with a name of HTML": lambda text: text.replace(":", "&colon;"),
    "escaped twice, in two ways": lambda text: quote(text.replace(":", "&amp;#58;")),
    "with a zero-width space": lambda text: text.replace("asset", "as\u200bset"),
    "with an encoded zero-width space": lambda text: text.replace("asset", "as%E2%80%8Bset"),
    "with a word joiner": lambda text: text.replace("asset", "asset\u2060"),
    "with a soft hyphen": lambda text: text.replace("asset", "as\u00adset"),
    "with a byte order mark": lambda text: f"\ufeff{text}",
    "with a null character": lambda text: text.replace("asset", "a\x00sset"),
    "with a tab": lambda text: text.replace("asset", "ass\tet"),
    "with a line break": lambda text: text.replace("asset:", "asset\r\n:"),
    "with a variation selector": lambda text: text.replace("asset", "asset\ufe0f"),
    "with a line separator": lambda text: text.replace("asset", "asset\u2028"),
    "with an unassigned character that is ignored": lambda text: text.replace("asset", "as\u2065s\ufff0e\U000e0ffft"),
    "with an encoded byte that is no text": lambda text: text.replace("asset", "as%FFset"),
    "with a direction override": lambda text: f"\u202e{text}",
    "with a full-width colon": lambda text: text.replace(":", "\uff1a"),
    "with a small colon": lambda text: text.replace(":", "\ufe55"),
    "in full-width letters": lambda text: text.replace("asset", "\uff41\uff53\uff53\uff45\uff54"),
    "in mathematical letters": lambda text: text.replace("asset", "\U0001d41a\U0001d42c\U0001d42c\U0001d41e\U0001d42d"),
    "with a long s": lambda text: text.replace("asset", "a\u017f\u017fet"),
    "in circled letters": lambda text: text.replace("a", "\u24d0", 1),
    "with backslashes": lambda text: text.replace("//", "\\\\"),
    "with one slash": lambda text: text.replace("//", "/"),
    "without slashes": lambda text: text.replace("//", ""),
    "without its scheme": lambda text: text.removeprefix("asset://"),
    "without its scheme, in capitals": lambda text: text.removeprefix("asset://").upper(),
    "without its scheme, in spaces": lambda text: f" {text.removeprefix('asset://')} ",
    "without its scheme, encoded": lambda text: text.removeprefix("asset://").replace("-", "%2D"),
    "without its scheme, with a zero-width space": lambda text: text.removeprefix("asset://").replace("-", "\u200b-"),
}
#: Where it may be hidden, beside a valid use.
PLACES: dict[str, Callable[[str], tuple[str, dict[str, Any]]]] = {
    "prompt": lambda text: (R2V, {"prompt": text}),
    "a key": lambda text: (R2V, {"prompt": "a walk", text: 1}),
    "a value of another model": lambda text: (OFF_LIST, {"image": text}),
    "a list of another model": lambda text: (OFF_LIST, {"images": [URL, text]}),
    "a nested object of another model": lambda text: (OFF_LIST, {"a": [{"b": {"c": [text]}}]}),
    "a key of another model": lambda text: (OFF_LIST, {"a": {text: 1}}),
}


def _times(number: int, change: Callable[[str], str], text: str) -> str:
    for _ in range(number):
        text = change(text)
    return text


@pytest.mark.parametrize("disguise", DISGUISES)
def test_an_asset_in_another_place_is_refused_in_every_spelling(
    harness: RequestHarness, face: Asset, disguise: str
) -> None:
    for hidden_in in PLACES.values():
        model, content = hidden_in(DISGUISES[disguise](uri(face)))
        error = refusal(harness, content, model=model)
        assert error.code == "invalid_request"
        assert error.field.startswith("input")
        assert str(face.crun_asset_id) not in error.message


@pytest.mark.parametrize(
    "spelled",
    [lambda own: own, str.lower, lambda own: f" {own} ", lambda own: own.replace("_", "%5F"),
     lambda own: own.replace("_", "\u200b_"), lambda own: quote(quote(own.replace("_", "\uff3f")))],
)  # fmt: skip
def test_our_own_id_in_another_place_is_refused(
    harness: RequestHarness, face: Asset, spelled: Callable[[str], str]
) -> None:
    for hidden_in in PLACES.values():
        model, content = hidden_in(spelled(face.id))
        error = refusal(harness, content, model=model)
        assert error.code == "invalid_request"
        assert face.id not in error.message


@pytest.mark.parametrize(
    "spelled",
    [name for name in DISGUISES if name not in ("as it is", "in a query", "without its scheme")],
)
def test_in_a_field_for_assets_only_the_exact_form_is_accepted(
    harness: RequestHarness, face: Asset, spelled: str
) -> None:
    error = refusal(harness, images(DISGUISES[spelled](uri(face))))
    assert error.field == "input.reference_images[0]"
    assert str(face.crun_asset_id) not in error.message


def test_a_url_in_a_field_for_assets_must_not_hide_one(harness: RequestHarness, face: Asset) -> None:
    for hidden in (f"https://example.com/?{uri(face)}", f"https://example.com/{quote(uri(face), safe='')}"):
        assert refusal(harness, images(hidden)).field == "input.reference_images[0]"


@pytest.mark.parametrize(
    "url",
    [
        f"https://{BUCKET}.s3.eu-west-1.amazonaws.com/uploads/a/file?X-Amz-Signature=00",
        f"https://{BUCKET}.s3.amazonaws.com/uploads/a/file",
        f"https://{BUCKET}.s3-eu-west-1.amazonaws.com/uploads/a/file",
        f"https://{BUCKET}.s3.dualstack.eu-west-1.amazonaws.com/uploads/a/file",
        f"https://{BUCKET}.s3-accelerate.amazonaws.com/uploads/a/file",
        f"https://{BUCKET}.s3-website.eu-west-1.amazonaws.com/uploads/a/file",
        f"https://s3.eu-west-1.amazonaws.com/{BUCKET}/uploads/a/file",
        f"https://s3.us-east-2.amazonaws.com//{BUCKET}/uploads/a/file",
        f"https://S3.EU-WEST-1.AMAZONAWS.COM/{BUCKET.upper()}/uploads/a/file",
        f"http://127.0.0.1:4566/{BUCKET}/uploads/a/file",
        f"https://user:pw@{BUCKET}.s3.eu-west-1.amazonaws.com./uploads/a/file",
        f"https://s3.eu-west-1.amazonaws.com/{BUCKET.replace('-', '%2D')}/uploads/a/file",
        f"https://s3.eu-west-1.amazonaws.com/{quote(BUCKET.replace('-', '%2d'))}/uploads/a/file",
        f"https://proxy.example.com/?url=https%3A%2F%2F{BUCKET}.s3.amazonaws.com%2Fa",
        f"https://{HOST}/v1/sessions",
        f"https://{HOST}:443/v1/sessions",
        f"https://{HOST.upper()}./v1/sessions",
        "https://likeness.example.com/me",
        "HTTP://LIKENESS.EXAMPLE.COM/me",
        "https://likeness%E3%80%82example%e3%80%82com/me",
        "https://likeness%EF%BD%A1example%EF%BC%8Ecom/me",
        f"https://{HOST.replace('.', '%E3%80%82')}/v1/sessions",
    ],
)
@pytest.mark.parametrize("field", ["reference_images", "prompt"])
def test_a_url_of_our_bucket_or_api_is_refused(harness: RequestHarness, url: str, field: str) -> None:
    content = {field: url if field == "prompt" else [url]}
    error = refusal(harness, content)
    assert (error.code, error.field.partition("[")[0]) == ("invalid_request", f"input.{field}")
    assert BUCKET not in error.message
    assert refusal(harness, {"deep": [{"url": url}]}, model=OFF_LIST).field == "input.deep[0].url"


@pytest.mark.parametrize("dot", ["\u3002", "\uff0e", "\uff61", "\u2024"])
def test_a_host_with_another_dot_is_the_same_host(harness: RequestHarness, dot: str) -> None:
    url = f"https://likeness{dot}example{dot}com/me"
    assert refusal(harness, {"prompt": url}).field == "input.prompt"
    assert refusal(harness, {"url": url}, model=OFF_LIST).field == "input.url"


@pytest.mark.parametrize(
    "url",
    [
        "https://another-bucket.s3.eu-west-1.amazonaws.com/uploads/a/file?X-Amz-Signature=00",
        f"https://x{BUCKET}.s3.eu-west-1.amazonaws.com/a", f"https://{BUCKET}2.s3.eu-west-1.amazonaws.com/a",
        f"https://other-{HOST}/v1", "https://my-likeness.example.com/a",
        "http://127.0.0.1/private", "https://cdn.example.com/ast_01ARZ3NDEKTSV4RRFFQ69G5FAV.jpg",
        "https://cdn.example.com/asset-20260102030405-00001",
    ],
)  # fmt: skip
def test_a_url_of_others_is_accepted(harness: RequestHarness, url: str) -> None:
    assert harness.check(images(url)).people == ()


def test_a_model_that_is_not_on_the_operators_list_takes_no_asset(harness: RequestHarness, face: Asset) -> None:
    harness.models = permitted_models([I2V])
    try:
        error = refusal(harness, images(face))
        assert (error.field, "operator's list" in error.message) == ("input.reference_images[0]", True)
        assert f"({I2V})" in error.message, "a caller with a typing error sees the right name"
        assert harness.check({"img_urls": [uri(face)]}, model=I2V).people
        for model in (f"{I2V} ", I2V.upper(), "", OFF_LIST):
            assert refusal(harness, {"img_urls": [uri(face)]}, model=model).field == "input.img_urls[0]"
    finally:
        harness.models = permitted_models([R2V, I2V, R2V_25, I2V_25])


def test_the_fallback_is_refused_with_an_asset(harness: RequestHarness, face: Asset) -> None:
    assert refusal(harness, images(face, byteplus_fallback=True)).field == "input.byteplus_fallback"
    assert harness.check(images(face, byteplus_fallback=False)).people


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"a": float("nan")}, "input.a"),
        ({"a": [float("inf")]}, "input.a[0]"),
        ({"a": 10**5000}, "input.a"),
        ({"a": "\ud800"}, "input.a"),
        ({"\ud800": 1}, "input"),
        ({"a": "x" * MAX_INPUT_BYTES}, "input"),
        ({"a": "€" * (MAX_INPUT_BYTES // 3)}, "input"),
    ],
)
def test_a_value_that_cannot_be_sent_is_refused(harness: RequestHarness, content: dict[str, Any], field: str) -> None:
    assert refusal(harness, content, model=OFF_LIST).field == field


def test_the_depth_is_bounded(harness: RequestHarness) -> None:
    def nested(levels: int) -> dict[str, Any]:
        content: Any = 1
        for _ in range(levels - 1):
            content = {"a": content}
        return {"a": content} if not isinstance(content, dict) else content

    assert harness.check(nested(MAX_DEPTH), model=OFF_LIST)
    assert refusal(harness, nested(MAX_DEPTH + 1), model=OFF_LIST).code == "invalid_request"
    assert refusal(harness, nested(900), model=OFF_LIST).code == "invalid_request"


def test_strings_that_may_be_ids_are_looked_up_a_limited_number_of_times(harness: RequestHarness) -> None:
    allowed = [f"made-up-{number}" for number in range(MAX_POSSIBLE_IDS)]
    assert harness.check({"names": [*allowed, *allowed]}, model=OFF_LIST)
    assert harness.check({"names": [each.upper() for each in allowed]}, model=OFF_LIST)
    assert refusal(harness, {"names": [*allowed, "number-21-is-too-many"]}, model=OFF_LIST).code == "invalid_request"


def test_a_name_that_may_be_more_is_not_part_of_a_message(harness: RequestHarness, face: Asset) -> None:
    for key in (face.id, "name of alice", "x" * 41, "lk_secret-key"):
        error = refusal(harness, {"prompt": "a walk", key: 1})
        assert key not in error.message
        assert key not in (error.field or "")


# Which assets, and whose


def test_an_asset_of_another_client_looks_like_one_that_does_not_exist(harness: RequestHarness) -> None:
    session, _ = harness.person(client_id="other")
    foreign = harness.asset(session, AssetType.IMAGE)
    shapes = []
    for wanted in (uri(foreign), foreign.id, "asset://asset-of-nobody", "ast_01ARZ3NDEKTSV4RRFFQ69G5FAV"):
        error = refusal(harness, images(URL, wanted))
        shapes.append((type(error), error.status, error.code, error.field, error.message, error.asset_id))
    assert set(shapes) == {
        (AssetNotFound, 404, "asset_not_found", "input.reference_images[1]",
         "input.reference_images[1]: asset not found", None)
    }  # fmt: skip


def test_an_asset_that_the_index_does_not_have_yet_is_looked_up_once_more(harness: RequestHarness, face: Asset) -> None:
    answers = iter([None, (face.session_id, face.id)])

    class Late:
        def session_of(self, group_id: str, client_id: str | None = None) -> str | None:
            raise AssertionError

        def asset_of(self, client_id: str, asset_id: str) -> tuple[str, str] | None:
            return next(answers) if asset_id == face.crun_asset_id else None

    harness.pauses.clear()
    guard = replace(harness.guard, ids=Late())
    assert guard(Caller("acme"), R2V, images(face), None, ()).people
    assert len(harness.pauses) == 1


def test_many_unknown_ids_cost_one_pause(harness: RequestHarness) -> None:
    harness.pauses.clear()
    assert refusal(harness, images(*[f"asset://asset-{number}-gone" for number in range(9)])).status == 404
    assert len(harness.pauses) == 1


@pytest.mark.parametrize("kind", [AssetType.VIDEO, AssetType.AUDIO])
def test_an_asset_of_another_type_is_refused(harness: RequestHarness, kind: AssetType) -> None:
    _, (asset,) = harness.person(kind)
    error = refusal(harness, images(asset))
    assert (error.code, error.field, "Image" in error.message) == ("invalid_request", "input.reference_images[0]", True)


@pytest.mark.parametrize(
    "status", [AssetStatus.FAILED, AssetStatus.REDACTED, AssetStatus.PROCESSING, AssetStatus.AWAITING_UPLOAD]
)
def test_an_asset_that_is_not_active_is_refused(harness: RequestHarness, status: AssetStatus) -> None:
    session, (active,) = harness.person()
    asset = harness.asset(session, AssetType.IMAGE, status=status)
    error = refusal(harness, images(active, asset.id))
    assert (error.status, error.code, error.field, error.asset_id) == (
        409, "asset_not_active", "input.reference_images[1]", asset.id,
    )  # fmt: skip


def _consent(**terms: Any) -> Consent:
    return Consent("2026-11", GIVEN_AT, **terms)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": SessionStatus.REDACTED}, "not_verified"),
        ({"group_id": None}, "not_verified"),
        ({"withdrawal": Withdrawal(1_800_000_000.0, "person")}, "consent_withdrawn"),
        ({"consent": _consent(valid_until=1_800_000_000.0)}, "consent_expired"),
        ({"consent": _consent(purposes=("training_videos",))}, "purpose_not_covered"),
        ({"consent": None, "declined_at": 1_800_000_000.0}, "consent_missing"),
    ],
)
def test_one_person_who_does_not_permit_it_refuses_the_whole_request(
    harness: RequestHarness, face: Asset, changes: dict[str, Any], code: str
) -> None:
    _, (asset,) = harness.person(**changes)
    error = refusal(harness, images(face, asset), purpose="advertising")
    assert (error.status, error.code, error.field, error.asset_id) == (
        409, code, "input.reference_images[1]", asset.id,
    )  # fmt: skip


def test_the_purpose_is_the_requests_then_the_clients_then_none(harness: RequestHarness) -> None:
    _, (asset,) = harness.person(purposes=("advertising",))
    assert harness.check(images(asset), purpose="advertising").purpose == "advertising"
    assert harness.check(images(asset), caller=Caller("acme", purpose="advertising")).purpose == "advertising"
    other = Caller("acme", purpose="advertising")
    assert refusal(harness, images(asset), caller=other, purpose="training_videos").code == "purpose_not_covered"
    assert refusal(harness, images(asset)).code == "purpose_not_covered"
    assert refusal(harness, {"prompt": "a walk"}, purpose="games").field == "purpose"


def test_the_number_of_people_is_bounded(harness: RequestHarness) -> None:
    faces = [harness.person()[1][0] for _ in range(MAX_PEOPLE + 1)]
    assert len(harness.check(images(*faces[:MAX_PEOPLE]), model=R2V_25).people) == MAX_PEOPLE
    assert refusal(harness, images(*faces), model=R2V_25).field == "input"


# Every encoding

_ENCODINGS = st.lists(
    st.sampled_from(
        [
            lambda text: quote(text, safe=""),
            lambda text: "".join(f"%{each:02X}" for each in text.encode()),
            lambda text: "".join(f"%{each:02x}" if index % 2 else chr(each) for index, each in enumerate(text.encode()))
            if text.isascii() else text,
            str.upper,
            lambda text: "\u200b".join(text),
            lambda text: "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text),
            lambda text: f"\u2003{text}\x1f",
            lambda text: f"before {text} after",
        ]
    ),
    max_size=4,
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_SETTINGS = settings(
    max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _with(tree: Any, hidden: str, place: int) -> Any:
    """Returns the tree with the text added at one of its places, as a value or as a key."""
    if isinstance(tree, dict):
        return {**tree, hidden: 1} if place % 2 else {**tree, "x": hidden}
    return [tree, {"x": hidden}]


@_SETTINGS
@given(encodings=_ENCODINGS, tree=_JSON, place=st.integers(0, 1))
def test_no_encoding_of_an_asset_passes_outside_of_its_fields(
    harness: RequestHarness, face: Asset, encodings: list[Callable[[str], str]], tree: Any, place: int
) -> None:
    text = uri(face)
    for encode in encodings:
        text = encode(text)
    with pytest.raises(InvalidRequest) as caught:
        harness.check({"a": _with(tree, text, place)}, model=OFF_LIST)
    assert str(face.crun_asset_id) not in caught.value.message


@_SETTINGS
@given(
    words=st.text(st.characters(codec="utf-8", exclude_characters=":%"), max_size=200).filter(
        lambda text: ":" not in normalize("NFKC", text)
    )
)
def test_a_prompt_without_an_asset_passes_unchanged(harness: RequestHarness, face: Asset, words: str) -> None:
    guarded = harness.check(images(face, prompt=f"an asset {words}"))
    assert guarded.content["prompt"] == f"an asset {words}"


def test_each_disguise_is_a_different_text() -> None:
    texts = [disguise("asset://asset-1") for disguise in DISGUISES.values()]
    assert len(set(texts)) == len(texts)
