"""The product's pages: their files, caching, and the hosts that a page may call."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from copy_swagger_ui import FILES, copy_swagger_ui
from likeness.adapters.aws import make_client
from likeness.adapters.files import S3Files
from likeness.adapters.media_files import S3MediaFiles
from likeness.domain.media import CONTENT_TYPES, standard_type
from likeness.domain.media.limits import check_duration, check_pixels, check_sides, check_size
from likeness.domain.media.types import AssetType
from likeness.domain.session import Language
from likeness.errors import NotFound
from likeness.runtime.pages import page, redirect
from likeness.runtime.site import Site, limits
from tests.contract_file import PATHS
from tests.template_file import RESOURCES, ROOT

PAGES = ROOT / "layers/likeness/pages"


def allowed(policy: str, directive: str = "connect-src") -> list[str]:
    (found,) = re.findall(f"{directive} ([^;]+)", policy)
    return list(found.split())


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "ap-southeast-1", "cn-north-1"])
def test_a_page_may_send_files_to_and_show_pictures_of_the_presigned_hosts(
    region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    variables = RESOURCES["ServePagesFunction"]["Properties"]["Environment"]["Variables"]
    addresses: str = variables["UPLOAD_ADDRESSES"]["Fn::Sub"]
    for name, value in (("AWS::Region", region), ("AWS::URLSuffix", suffix), ("UploadBucket", "uploads")):
        addresses = addresses.replace(f"${{{name}}}", value)
    files = S3Files(make_client("s3"), "uploads")
    form = files.upload_form("uploads/a/b/file", "image/png", 5, 0)
    policy = Site(addresses).html("invite.html", {})["headers"]["Content-Security-Policy"]
    assert form.url in allowed(policy)
    preview = urlsplit(files.preview_url("uploads/a/b/file", "v1", "image/png"))
    shown = f"{preview.scheme}://{preview.netloc}/{preview.path.split('/')[1]}"
    assert shown in allowed(policy, "img-src")
    video = urlsplit(S3MediaFiles(make_client("s3"), "uploads").url("generations/g/0.mp4", "video/mp4"))
    policy = Site(addresses).html("console.html", {})["headers"]["Content-Security-Policy"]
    assert f"{video.scheme}://{video.netloc}/{video.path.split('/')[1]}" in allowed(policy, "media-src")
    assert parse_qs(preview.query) | {
        "versionId": ["v1"],
        "response-content-type": ["image/png"],
        "response-content-disposition": ['inline; filename="preview"'],
        "X-Amz-Expires": ["300"],
    } == parse_qs(preview.query)


def test_a_page_may_call_no_other_host() -> None:
    policy = Site("https://s3.test/uploads").html("invite.html", {})["headers"]["Content-Security-Policy"]
    assert allowed(policy) == ["'self'", "https://s3.test/uploads"]
    assert allowed(policy, "img-src") == ["'self'", "https://s3.test/uploads", "blob:", "data:"]
    sources = {each for part in policy.split(";") for each in part.split()[1:]}
    hashes = {each for each in sources if each.startswith("'sha256-")}
    assert sources - hashes == {"'none'", "'self'", "blob:", "data:", "https://s3.test/uploads"}
    assert len(hashes) == 3


@pytest.mark.parametrize("name", ["invite.html", "me.html", "console.html", "docs.html", "not_valid.html"])
def test_only_the_console_plays_videos_from_the_upload_bucket(name: str) -> None:
    policy = Site("https://s3.test/uploads https://s3.test/").html(name, {})["headers"]["Content-Security-Policy"]
    bucket = ["https://s3.test/uploads", "https://s3.test/"]
    assert allowed(policy, "media-src") == (bucket if name == "console.html" else ["blob:"])


def test_the_indentation_of_a_page_is_not_sent() -> None:
    """It would be a hundredth of the console, compressed."""
    body = Site("https://s3.test/uploads").html("console.html", {})["body"]
    assert "\n " not in body.partition("<script")[0]


def digest(text: str) -> str:
    """Returns the source of an inline script or style, as a browser computes it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.mark.parametrize("name", ["invite.html", "me.html", "console.html"])
def test_a_page_is_one_file_and_its_policy_allows_no_other_script_and_style(name: str) -> None:
    answer = Site("https://s3.test/uploads").html(name, {})
    body, policy = answer["body"], answer["headers"]["Content-Security-Policy"]
    assert not re.search(r'(?:href|src)="pages/', body)
    (style,) = re.findall("<style>(.*?)</style>", body, re.DOTALL)
    scripts = re.findall('<script(?: type="module")?>(.*?)</script>', body, re.DOTALL)
    assert allowed(policy, "style-src") == [digest(style)]
    assert allowed(policy, "script-src") == [digest(each) for each in scripts]
    assert not any(re.search(r"(?m)^\s*import\b|\bimport\(", each) for each in scripts)
    assert "url(" not in style
    markup = functools.reduce(lambda rest, each: rest.replace(each, ""), [style, *scripts], body)
    assert not re.search(r"\sstyle=|\son[a-z]+=|__[A-Z]+__", markup)
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', markup)
    assert 'href="data:image/svg+xml,' in markup


def test_the_docs_page_links_existing_files_and_has_no_inline_script_or_style() -> None:
    site = Site("https://s3.test/uploads")
    body = site.html("docs.html", {})["body"]
    named = re.findall(r'(?:href|src)="pages/([^/"]+)/([^"]+)"', body)
    assert named
    for version, file in named:
        assert version == site.version
        assert file in FILES or site.file(version, file)["statusCode"] == 200  # the layer's build adds FILES
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son[a-z]+=", body)
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', body)


def given(body: str, name: str) -> Any:
    """Returns the JSON that a page contains under this id."""
    (found,) = re.findall(f'<script type="application/json" id="{name}">(.*?)</script>', body, re.DOTALL)
    return json.loads(found)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("zh-TW,zh;q=0.9", "zh-Hant"), ("zh-Hant-HK", "zh-Hant"), ("zh", "zh"),
        ("de-DE,de;q=0.9,zh;q=0.5", "zh"), ("en-GB, zh", "en"), ("de", "en"), ("", "en"), ("*;q=x,,", "en"),
        ("zhx, ZH-hk", "zh-Hant"),
    ],
)  # fmt: skip
def test_the_persons_page_contains_the_texts_of_their_browsers_language(accepted: str, language: str) -> None:
    site = Site("https://s3.test/uploads")
    sent = {"accept-language": accepted} if accepted else {}
    shown = site.html("invite.html", sent)
    texts = given(shown["body"], "texts")
    assert texts["language"] == language
    assert texts["texts"] == json.loads(site.file(site.version, f"texts_{language}.json")["body"])
    assert shown["headers"]["Vary"] == "Accept-Language"
    assert site.html("invite.html", sent | {"if-none-match": shown["headers"]["ETag"]})["statusCode"] == 304
    other = {"accept-language": "en" if language != "en" else "zh", "if-none-match": shown["headers"]["ETag"]}
    assert site.html("invite.html", other)["statusCode"] == 200, "a copy in another language is not current"


@pytest.mark.parametrize("name", ["texts_", "texts_me_"])
def test_every_language_has_the_same_texts_with_the_same_placeholders(name: str) -> None:
    found = {language: json.loads((PAGES / f"built/{name}{language}.json").read_text()) for language in Language}
    for texts in found.values():
        assert {key: set(re.findall(r"\{\w+\}", text)) for key, text in texts.items()} == {
            key: set(re.findall(r"\{\w+\}", text)) for key, text in found[Language.EN].items()
        }


def test_the_persons_page_contains_the_limits() -> None:
    site = Site("https://s3.test/uploads", 8_295_044)
    assert given(site.html("invite.html", {})["body"], "limits") == limits(8_295_044)


def test_an_older_page_that_loads_its_files_separately_gets_the_bundle() -> None:
    """A deployment may take place between a page's request and those for its files."""
    site = Site("https://s3.test/uploads")
    bundles = [f"{name}.{end}" for name in ("invite", "me", "console") for end in ("css", "js")]
    for name in ("style.css", *bundles, "icon.svg", "limits.json"):
        answer = site.file("0123456789abcdef", name)
        assert (answer["statusCode"], answer["headers"]["Cache-Control"]) == (200, "no-store")
    assert "import" not in site.file(site.version, "invite.js")["body"].partition(";")[0]


def test_a_browser_with_this_version_gets_304_and_one_with_another_gets_the_file() -> None:
    site = Site("https://s3.test/uploads")
    tag = site.html("invite.html", {})["headers"]["ETag"]
    for sent in (tag, f"W/{tag}"):
        again = site.html("invite.html", {"if-none-match": sent})
        assert (again["statusCode"], again["body"]) == (304, "")
    assert site.html("invite.html", {"if-none-match": '"0"'})["statusCode"] == 200
    assert Site("https://s3.test/other").version != site.version


@pytest.mark.parametrize("name", ["../runtime/pages.py", "invite.html", "openapi.json", "", ".", "style.css\0"])
def test_only_the_files_of_the_pages_are_served(name: str) -> None:
    site = Site("https://s3.test/uploads")
    with pytest.raises(NotFound):
        site.file(site.version, name)
    with pytest.raises(NotFound):
        site.file(f"{site.version}/", "style.css")


def test_the_contract_names_the_files() -> None:
    _, file = PATHS["/pages/{version}/{file}"]["get"]["parameters"]
    assert file["schema"]["enum"] == sorted({*Site("https://s3.test/uploads").files, *FILES})


def test_the_pages_check_the_same_limits_as_the_check_of_uploads() -> None:
    shown = limits()
    assert set(shown) == set(AssetType)
    for name, bounds in shown.items():
        kind = AssetType(name)
        check_size(bounds["max_bytes"], kind)
        assert {CONTENT_TYPES[each] for each in bounds["content_types"]} == {kind}
        assert set(bounds["extensions"].values()) <= set(bounds["content_types"])
        if "min_side" in bounds:
            for side in (bounds["min_side"], bounds["max_side"]):
                check_sides(side, side, kind)
        assert all(standard_type(each) in bounds["content_types"] for each in bounds["content_types"])
        assert ("max_pixels" in bounds) == (kind is AssetType.VIDEO)
        if "max_pixels" in bounds:
            check_pixels(640, 640, bounds["min_pixels"], bounds["max_pixels"])
        if "min_seconds" in bounds:
            for seconds in (bounds["min_seconds"], bounds["max_seconds"]):
                check_duration(seconds, kind)


def test_the_page_receives_the_pixel_budget_of_the_deployment() -> None:
    site = Site("https://s3.test/uploads", 8_295_044)
    shown = json.loads(site.file(site.version, "limits.json")["body"])
    assert (shown["Video"]["min_pixels"], shown["Video"]["max_pixels"]) == (409_600, 8_295_044)
    assert "max_pixels" not in shown["Image"]
    assert site.version != Site("https://s3.test/uploads").version


def features(headers: dict[str, str]) -> dict[str, str]:
    """Returns the device features in a page's Permissions-Policy."""
    return dict(each.split("=") for each in headers["Permissions-Policy"].split(", "))


@pytest.mark.parametrize("name", ["invite.html", "console.html", "docs.html", "not_valid.html", "try_again.html"])
def test_a_page_is_not_framed_uses_https_and_has_no_access_to_the_device(name: str) -> None:
    headers = page(name)["headers"]
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    allowed_here = {feature for feature, who in features(headers).items() if who != "()"}
    assert allowed_here == ({"camera", "microphone"} if name == "invite.html" else set())
    assert set(features(headers).values()) <= {"()", "(self)"}


def test_a_304_response_has_the_current_headers() -> None:
    site = Site("https://s3.test/uploads")
    shown = site.html("invite.html", {})
    kept = site.html("invite.html", {"if-none-match": shown["headers"]["ETag"]})
    assert (kept["statusCode"], shown["statusCode"]) == (304, 200)
    for header in ("Strict-Transport-Security", "Cross-Origin-Opener-Policy", "Permissions-Policy"):
        assert kept["headers"][header] == shown["headers"][header]


def test_files_and_redirects_require_https_too() -> None:
    for answer in (page("style.css"), redirect("https://example.com/done")):
        assert answer["headers"]["Strict-Transport-Security"]
        assert not {"Cross-Origin-Opener-Policy", "Permissions-Policy"} & set(answer["headers"])


def test_only_the_contracts_page_loads_its_renderer() -> None:
    """Swagger UI has half a megabyte."""
    site = Site("https://s3.test/uploads")
    for name in ("invite.html", "console.html", "not_valid.html", "try_again.html"):
        assert "swagger" not in site.html(name, {})["body"]


def test_swagger_ui_is_copied_without_references_to_its_maps(tmp_path: Path) -> None:
    source = tmp_path / "drf_spectacular_sidecar/static/drf_spectacular_sidecar/swagger-ui-dist"
    source.mkdir(parents=True)
    (tmp_path / "drf_spectacular_sidecar-2026.1.1.dist-info").mkdir()
    texts = ("run();\n//# sourceMappingURL=a.js.map", "a{b:c}\n\n/*# sourceMappingURL=a.css.map*/", "The licence\n")
    for name, text in zip(FILES, texts, strict=True):
        (source / name).write_text(text)
    pages = tmp_path / "pages"
    pages.mkdir()
    copy_swagger_ui(tmp_path, pages)
    script, style, licence = ((pages / "swagger_ui" / name).read_text() for name in FILES)
    assert (script, style) == ("run();\n", "a{b:c}\n")
    assert "drf_spectacular_sidecar-2026.1.1" in licence.partition("\n")[0]
    assert licence.endswith("The licence\n")
