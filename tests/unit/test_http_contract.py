"""Bodies that break the contract are refused, and the response names the field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.contracts.body import parse_body
from likeness.contracts.http import AssetRegistration, NewSession
from likeness.contracts.views import asset_view, session_view
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.files import UploadForm
from likeness.domain.media import CONTENT_TYPES, MAX_BYTES, standard_type
from likeness.domain.media.types import AssetType
from likeness.domain.session import Attempt, AttemptStatus, Language, Session, SessionStatus, failure
from likeness.domain.times import iso
from likeness.errors import InvalidRequest
from tests.contract_file import SCHEMAS

PICTURE = {"name": "front", "asset_type": "Image", "content_type": "image/jpeg", "size_bytes": 1000}


def picture(**changes: Any) -> dict[str, Any]:
    return PICTURE | changes


@pytest.mark.parametrize("body", [None, "", "{}"])
def test_a_session_has_no_required_fields(body: str | None) -> None:
    made = parse_body(NewSession, body)
    assert (made.language, made.start, made.assets, made.return_url, made.consent) == ("zh", "now", [], None, None)


def test_a_body_with_all_fields_is_accepted_unchanged() -> None:
    body = {
        "language": "zh-Hant",
        "reference": "r" * 128,
        "return_url": "https://app.example.com/",
        "start": "on_open",
        "consent": {"text_version": "2026-01", "given_at": "2026-01-01T10:00:00+08:00"},
        "assets": [picture(name="人" * 64)] * 20,
    }
    made = parse_body(NewSession, json.dumps(body))
    assert made.consent
    assert iso(made.consent.given_at.timestamp()) == "2026-01-01T02:00:00Z"
    assert len(made.assets) == 20


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{", "body"), ("not json", "body"), ("[]", "body"), ("null", "body"), ('"x"', "body"), ("1", "body"),
        ("[" * 1000, "body"), ('{"language": "\\ud800"}', "body"), ("{} {}", "body"), ("\x00", "body"),
        ('{"language": "fr"}', "language"), ('{"language": null}', "language"), ('{"language": 1}', "language"),
        ('{"language": "EN"}', "language"), ('{"start": "later"}', "start"), ('{"surprise": 1}', "surprise"),
        ('{"reference": ""}', "reference"), ('{"reference": 5}', "reference"), ('{"reference": ["x"]}', "reference"),
        (json.dumps({"reference": "r" * 129}), "reference"), (json.dumps({"reference": "a\nb"}), "reference"),
        (json.dumps({"reference": "a\n"}), "reference"), (json.dumps({"return_url": "h" * 2049}), "return_url"),
        ('{"return_url": {}}', "return_url"), ('{"assets": {}}', "assets"), ('{"assets": null}', "assets"),
        ('{"consent": {"given_at": "2026-01-01T00:00:00Z"}}', "consent.text_version"),
        ('{"consent": {"text_version": "1", "given_at": "2026-01-01T00:00:00"}}', "consent.given_at"),
        ('{"consent": {"text_version": "1", "given_at": "yesterday"}}', "consent.given_at"),
        ('{"consent": {"text_version": "1", "given_at": "2026-01-01T00:00:00Z", "x": 1}}', "consent.x"),
        (json.dumps({"assets": [picture()] * 21}), "assets"),
        (json.dumps({"assets": [picture(), picture(name="n" * 65)]}), "assets.1.name"),
        (json.dumps({"assets": [picture(extra=1)]}), "assets.0.extra"), ('{"assets": [5]}', "assets.0"),
    ],
)  # fmt: skip
def test_a_session_that_breaks_the_contract_names_the_field(body: str, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_body(NewSession, body)
    assert caught.value.field == field
    assert caught.value.message.startswith(f"{field}: ")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"name": "n" * 65}, "name", "64"), ({"name": ""}, "name", "1"), ({"name": None}, "name", "required"),
        ({"name": "a\x00b"}, "name", "pattern"), ({"name": "a\x7f"}, "name", "pattern"),
        ({"asset_type": "image"}, "asset_type", "Image"), ({"asset_type": "Text"}, "asset_type", "Image"),
        ({"size_bytes": 0}, "size_bytes", "1"), ({"size_bytes": -1}, "size_bytes", "1"),
        ({"size_bytes": "1000"}, "size_bytes", "integer"), ({"size_bytes": 1.5}, "size_bytes", "integer"),
        ({"size_bytes": True}, "size_bytes", "integer"), ({"content_type": 1}, "content_type", "string"),
        ({"content_type": "video/mp4"}, "body", "content_type"),
        ({"content_type": "text/html"}, "body", "content_type"),
        ({"asset_type": "Audio"}, "body", "content_type"), ({"content_type": "IMAGE/SVG+XML"}, "body", "content_type"),
        ({"content_type": "text/html; image/jpeg"}, "body", "content_type"),
        ({"content_type": ""}, "body", "content_type"),
        ({"size_bytes": MAX_BYTES[AssetType.IMAGE] + 1}, "body", "size_bytes"),
        ({"size_bytes": 10**30}, "body", "size_bytes"),
    ],
)  # fmt: skip
def test_an_asset_that_breaks_the_contract_names_the_field(changes: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_body(AssetRegistration, json.dumps(picture(**changes)))
    assert caught.value.field == field
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("label", "kind", "standard"),
    [
        ("image/jpg", "Image", "image/jpeg"), ("image/pjpeg", "Image", "image/jpeg"),
        ("image/JPEG", "Image", "image/jpeg"), ("image/jpeg; charset=binary", "Image", "image/jpeg"),
        ("Image/PNG ;q=1", "Image", "image/png"), ("image/x-bmp", "Image", "image/bmp"),
        ("image/x-ms-bmp", "Image", "image/bmp"), ("image/x-tiff", "Image", "image/tiff"),
        ("image/heif-sequence", "Image", "image/heif"), ("video/x-mp4", "Video", "video/mp4"),
        ("video/x-m4v", "Video", "video/mp4"), ("VIDEO/QUICKTIME", "Video", "video/quicktime"),
        ('video/mp4; codecs="avc1.42E01E, mp4a.40.2"', "Video", "video/mp4"), ("audio/mp3", "Audio", "audio/mpeg"),
        ("audio/x-mp3", "Audio", "audio/mpeg"), ("audio/mpeg3", "Audio", "audio/mpeg"),
        ("audio/x-mpeg", "Audio", "audio/mpeg"), ("audio/x-wav", "Audio", "audio/wav"),
        ("audio/wave", "Audio", "audio/wav"), ("audio/vnd.wave", "Audio", "audio/wav"),
    ],
)  # fmt: skip
def test_a_content_type_variant_is_normalised(label: str, kind: str, standard: str) -> None:
    body = picture(content_type=label, asset_type=kind)
    assert parse_body(AssetRegistration, json.dumps(body)).content_type == standard
    assert parse_body(NewSession, json.dumps({"assets": [body]})).assets[0].content_type == standard


def test_the_documented_content_types_and_sizes_are_the_accepted_ones() -> None:
    branches = SCHEMAS["AssetRegistration"]["oneOf"]
    assert [each["title"] for each in branches] == list(AssetType)
    for branch in branches:
        assert branch["properties"]["size_bytes"] == {"maximum": MAX_BYTES[AssetType(branch["title"])]}
        documented = branch["properties"]["content_type"]["enum"]
        assert set(documented) == {name for name, kind in CONTENT_TYPES.items() if kind == branch["title"]}
        assert all(standard_type(name) in documented for name in documented)


@pytest.mark.parametrize(
    ("kind", "content_type"), [("Image", "image/heic"), ("Video", "video/quicktime"), ("Audio", "audio/wav")]
)
def test_the_largest_size_of_each_type_is_accepted(kind: str, content_type: str) -> None:
    largest = MAX_BYTES[AssetType(kind)]
    body = picture(asset_type=kind, content_type=content_type, size_bytes=largest)
    assert parse_body(AssetRegistration, json.dumps(body)).size_bytes == largest


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5))
def test_every_value_of_a_field_is_accepted_or_refused_by_the_contract(value: Any) -> None:
    for field in ("language", "reference", "return_url", "start", "consent", "assets"):
        try:
            parse_body(NewSession, json.dumps({field: value}))
        except InvalidRequest as refused:
            assert (refused.field or "").startswith((field, "body"))  # noqa: PT017


def test_a_refused_value_is_not_in_the_response() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_body(NewSession, json.dumps({"return_url": "https://app.test/?token=" + "secret" * 400}))
    assert "secret" not in caught.value.message


def test_views_show_links_once_and_never_tokens() -> None:
    attempt = Attempt(1, AttemptStatus.OPEN, "byted-token", 0.0, 120.5)
    session = Session(
        id="ses_x", client_id="acme", status=SessionStatus.REQUIRES_INPUT, language=Language.EN, created_at=0,
        updated_at=0, last_error=failure("link_expired", "404"), attempts={1: attempt},
    )  # fmt: skip
    first = session_view(session, [], h5_link="https://h5/", invite_url="https://invite/")
    assert (first["attempt"]["h5_link"], first["invite_url"]) == ("https://h5/", "https://invite/")
    later = session_view(session, [])
    assert later["attempt"] == {"number": 1, "status": "open", "expires_at": "1970-01-01T00:02:00.500000Z"}
    assert later["last_error"]["upstream_code"] == "404"
    assert "attempt" not in session_view(session)
    assert not any("byted-token" in str(each) or "acme" in str(each) for each in (first, later))


def test_an_asset_shows_its_uri_only_once_active() -> None:
    asset = Asset(
        id="ast_x", session_id="ses_x", name="n", asset_type=AssetType.IMAGE, content_type="image/png",
        status=AssetStatus.PROCESSING, object_key="secret-key", created_at=0, updated_at=0, crun_asset_id="asset-1",
    )  # fmt: skip
    view = asset_view(asset, UploadForm("https://b/", {"key": "k"}, 60))
    assert view["uri"] is None
    assert view["upload"] == {"url": "https://b/", "fields": {"key": "k"}, "expires_at": "1970-01-01T00:01:00Z"}
    assert "upload" not in asset_view(asset)
