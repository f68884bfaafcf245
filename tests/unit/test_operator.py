"""Who asks the person: the check of operator.json and its logo when the layer is built, and what the pages show."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from PIL import Image

from build_operator import COLORED, accent_css, contrast
from likeness.errors import NotFound
from likeness.runtime.operator_info import operator_info
from likeness.runtime.site import Site
from tests.template_file import ROOT

LAYER = ROOT / "layers/likeness"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 20">{}</svg>'
ACME = {
    "name": "Acme <Studios> & Co",
    "contact": "mailto:privacy@acme.example",
    "privacy_url": "https://acme.example/privacy?lang=en&v=2",
    "accent_color": "#0B6B3A",
    "logo": "logo.svg",
}
BACKGROUNDS = {"light": ("#ffffff", "#f4f6f9"), "dark": ("#1a222c", "#10151c")}


def png(width: int, height: int) -> bytes:
    content = BytesIO()
    Image.new("RGB", (width, height), "#0b6b3a").save(content, "PNG")
    return content.getvalue()


def build(folder: Path, facts: Mapping[str, Any], content: bytes | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the layer's build step for an operator; ``folder``/pages are the layer's pages."""
    operator = folder / "operator"
    operator.mkdir(exist_ok=True)
    (operator / "operator.json").write_text(json.dumps(facts))
    (operator / "logo.svg").write_bytes(SVG.format("<path d='M0 0h60v20z'/>").encode() if content is None else content)
    if not (folder / "pages").exists():
        shutil.copytree(LAYER / "pages", folder / "pages")
    command = [sys.executable, "-S", str(LAYER / "build_operator.py"), str(operator), str(folder / "pages")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


#: Prints what the runtime serves for the built operator.
_SHOW = """
import json
from likeness.runtime.operator_info import operator_info
from likeness.runtime.pages import error_page
from likeness.runtime.site import Site

operator = operator_info("", "")
site = Site("https://s3.test/uploads", operator=operator)
pages = {name: site.html(name, {}) for name in ("invite.html", "console.html", "docs.html")}
errors = {str(status): error_page(status, operator, "../../", request_id="req-1 <b>") for status in (404, 503)}
versions = {"version": site.version, "neutral": Site("https://s3.test/uploads").version}
named = {"contact": operator_info("Parameter Ltd", "").contact, "name": operator_info("Parameter Ltd", "").name}
print(json.dumps(pages | errors | versions | named | {"logo": site.file(site.version, "logo.svg")}))
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a layer that was built for Acme serves."""
    return shown_by(tmp_path_factory.mktemp("layer"))


def shown_by(layer: Path, logo: bytes | None = None) -> Any:
    done = build(layer, ACME, logo)
    assert done.returncode == 0, done.stderr
    (layer / "likeness").symlink_to(LAYER / "likeness")
    env = os.environ | {"PYTHONPATH": str(layer)}
    shown = subprocess.run([sys.executable, "-c", _SHOW], env=env, capture_output=True, text=True, check=True)
    return json.loads(shown.stdout)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "a" * 121, "1 to 120 characters"),
        ("name", "two\nlines", "on one line"),
        ("name", 5, "must be a string"),
        ("contact", "javascript:alert(1)", "an e-mail address, an https URL, or a text"),
        ("contact", "me@", "me@ is not an e-mail address"),
        ("privacy_url", "http://acme.example/privacy", "an https URL"),
        ("privacy_url", "https://me@acme.example/", "an https URL"),
        ("accent_color", "green", "a colour like #1f5fd1"),
        ("accent_color", "#ff6600", "contrast of 2.94 to 1 with white text"),
        ("accent_color", "#767676", "with the pages' background"),
        ("logo", "../logo.svg", "a file beside operator.json"),
        ("logo", "none.svg", "No such file"),
        ("colour", "#000000", "unknown; the fields are name"),
    ],
)
def test_a_wrong_field_fails_the_build_and_is_named(tmp_path: Path, field: str, value: Any, words: str) -> None:
    done = build(tmp_path, {field: value})
    assert done.returncode == 1
    assert f"operator.json: {field}: " in done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


HOSTILE: dict[str, tuple[str | bytes, str]] = {
    "too large": (SVG.format("<desc>" + "x" * 33_000 + "</desc>"), "at most 32,768"),
    "script": (SVG.format("<script>alert(1)</script>"), "the element script"),
    "handler": (SVG.format('<path onload="alert(1)"/>'), "a script (onload)"),
    "html": (SVG.format('<foreignObject><p xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>'), "foreignObject"),
    "animation": (SVG.format('<set attributeName="href" to="x"/>'), "the element set"),
    "link": (SVG.format('<a href="https://x.example"><path/></a>'), "the element a"),
    "foreign use": (SVG.format('<use href="https://x.example/a.svg#b"/>'), "refers to another file (href)"),
    "data use": (
        SVG.format('<use xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="data:image/svg+xml,x"/>'),
        "refers to another file (href)",
    ),
    "foreign fill": (SVG.format("<path fill=\"url('https://x.example/a#b')\"/>"), "refers to another file (fill)"),
    "import": (SVG.format("<style>@import 'https://x.example/a.css'</style>"), "refers to another file in its style"),
    "stylesheet": ('<?xml-stylesheet href="x.css"?>' + SVG.format(""), "a DOCTYPE or a processing instruction"),
    "entities": ('<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG.format("&a;"), "a DOCTYPE or a processing instruction"),
    "no svg": ("<html/>", "neither an SVG nor a PNG"),
    "no xml": ("GIF89a", "neither an SVG nor a PNG"),
    "no size": ('<svg xmlns="http://www.w3.org/2000/svg"/>', "neither a viewBox nor a width and a height"),
    "too wide": ('<svg xmlns="http://www.w3.org/2000/svg" width="700" height="100"/>', "7.0 times as wide as high"),
    "broken png": (b"\x89PNG\r\n", "the PNG is damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_logo_that_could_do_more_than_draw_fails_the_build(tmp_path: Path, name: str) -> None:
    logo, words = HOSTILE[name]
    done = build(tmp_path, {"logo": "logo.svg"}, logo if isinstance(logo, bytes) else logo.encode())
    assert done.returncode == 1
    assert "operator.json: logo: " in done.stderr
    assert words in done.stderr


def test_the_layer_is_not_built_with_a_wrong_operator(tmp_path: Path) -> None:
    (tmp_path / "operator.json").write_text('{"accent_color": "#ffee00"}')
    command = ["make", "-C", str(LAYER), "build-LikenessLayer", f"ARTIFACTS_DIR={tmp_path}/layer"]
    command += [f"OPERATOR={tmp_path}", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "operator.json: accent_color: #ffee00 has a contrast of" in done.stderr


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    done = build(tmp_path, {"privacy_url": "x", "accent_color": "x"})
    assert len(re.findall("operator.json: ", done.stderr)) == 2


def test_the_shipped_operator_is_nobody_and_changes_no_page(tmp_path: Path) -> None:
    facts = json.loads((LAYER / "operator/operator.json").read_text())
    assert set(facts.values()) == {None}
    assert build(tmp_path, facts).returncode == 0
    for name in COLORED:
        assert (tmp_path / "pages" / name).read_text() == (LAYER / "pages" / name).read_text()
    assert not (tmp_path / "pages/shared/logo.svg").exists()


def test_another_operator_replaces_the_first_one_completely(tmp_path: Path) -> None:
    """As in a release, whose pages are already built."""
    build(tmp_path, ACME)
    build(tmp_path, {"name": "Other"})
    for name in COLORED:
        assert (tmp_path / "pages" / name).read_text() == (LAYER / "pages" / name).read_text()
    assert not (tmp_path / "pages/shared/logo.svg").exists()


@pytest.mark.parametrize("accent", ["#000000", "#6b3fa0", "#0b6b3a", "#ad2318", "#0000ff", "#006d75", "#8a4b00"])
def test_every_text_in_the_accent_colour_is_readable_in_both_modes(tmp_path: Path, accent: str) -> None:
    done = build(tmp_path, {"accent_color": accent})
    assert done.returncode == 0, done.stderr
    added = (tmp_path / "pages/shared/style.css").read_text().partition("/* The operator's accent")[2]
    light, dark = (dict(re.findall(r"--([\w-]+):(#\w+)", each)) for each in re.findall(r":root\{([^}]+)\}", added))
    for mode, colors, ink in (("light", light, "#16202c"), ("dark", dark, "#eaf0f6")):
        pairs = [(colors["main"], each) for each in (*BACKGROUNDS[mode], colors["main-soft"], colors["on-main"])]
        pairs += [(colors["main-deep"], colors["on-main"]), (ink, colors["main-soft"])]
        assert {pair: contrast(*pair) for pair in pairs if contrast(*pair) < 4.5} == {}, mode


@pytest.mark.parametrize("name", ["invite.html", "console.html"])
def test_a_page_has_the_accent_colour_in_its_style_icon_and_policy(served: Any, name: str) -> None:
    body, policy = served[name]["body"], served[name]["headers"]["Content-Security-Policy"]
    (style,) = re.findall("<style>(.*?)</style>", body, re.DOTALL)
    assert style.endswith(accent_css("#0b6b3a"))
    assert f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy
    (icon,) = re.findall('<link rel="icon" href="data:image/svg\\+xml,([^"]+)">', body)
    assert 'fill="#0b6b3a"' in unquote(icon)


def test_a_page_names_the_operator_and_escapes_its_name(served: Any) -> None:
    version, drawn = served["version"], quote(SVG.format("<path d='M0 0h60v20z'/>"), safe=" /:=")
    for name, source in (
        ("invite.html", f"data:image/svg+xml,{drawn}"),
        ("console.html", f"data:image/svg+xml,{drawn}"),
        ("docs.html", f"pages/{version}/logo.svg"),
    ):
        body = served[name]["body"]
        assert "Acme &lt;Studios&gt; &amp; Co" in body
        assert 'href="mailto:privacy@acme.example"' in body
        assert 'href="https://acme.example/privacy?lang=en&amp;v=2"' in body
        assert f'<img class="logo" src="{escape(source)}" alt="" width="84" height="28">' in body
        assert "__" not in body, name


@pytest.mark.parametrize(("status", "title"), [("404", "This link is not valid"), ("503", "One moment, please")])
def test_an_error_page_names_the_operator_too(served: Any, status: str, title: str) -> None:
    body = served[status]["body"]
    assert title in body
    assert "Acme &lt;Studios&gt;" in body
    assert f'src="../../pages/{"0" * 16}/logo.svg"' in body
    assert "req-1 &lt;b&gt;" in body
    assert "__" not in body


def test_the_logo_is_cached_for_ever_and_sandboxed(served: Any) -> None:
    headers = served["logo"]["headers"]
    assert headers["Content-Type"] == "image/svg+xml"
    assert "immutable" in headers["Cache-Control"]
    assert {"sandbox", "default-src 'none'"} <= set(headers["Content-Security-Policy"].split("; "))
    assert served["version"] != served["neutral"]


def test_a_png_is_served_inside_an_svg(tmp_path: Path) -> None:
    done = build(tmp_path, {"logo": "logo.svg"}, png(90, 30))
    assert done.returncode == 0, done.stderr
    logo = (tmp_path / "pages/shared/logo.svg").read_text()
    assert 'width="90" height="30"' in logo
    assert 'href="data:image/png;base64,iVBOR' in logo


def test_a_large_logo_is_a_file_that_browsers_keep(tmp_path: Path) -> None:
    shown = shown_by(tmp_path, SVG.format(f"<desc>{'x' * 5000}</desc>").encode())
    for name in ("invite.html", "console.html", "docs.html"):
        assert f'<img class="logo" src="pages/{shown["version"]}/logo.svg"' in shown[name]["body"]


def test_the_stacks_parameters_take_precedence(served: Any) -> None:
    """They are in the consent text, so the pages show the same name."""
    assert (served["name"], served["contact"]) == ("Parameter Ltd", "privacy@acme.example")


@pytest.mark.parametrize(
    ("contact", "link"),
    [
        ("privacy@acme.example", "mailto:privacy@acme.example"),
        ("https://acme.example/contact", "https://acme.example/contact"),
        ("+44 20 7946 0000", None),
        ("answer the message, or write to a@b", None),
        ("javascript:alert(1)", None),
    ],
)
def test_a_contact_is_a_link_if_it_is_an_address(contact: str, link: str | None) -> None:
    assert operator_info("", contact).contact_url == link


def test_without_an_operator_the_pages_are_neutral_and_have_no_logo() -> None:
    site = Site("https://s3.test/uploads", operator=operator_info("", ""))
    body = site.html("invite.html", {})["body"]
    assert "The operator of this service" in body
    assert "logo.svg" not in body
    with pytest.raises(NotFound):
        site.file(site.version, "logo.svg")


@pytest.mark.parametrize("announced", ["on", "off"])
def test_a_sign_in_is_announced_by_the_page_when_the_stack_says_so(announced: str) -> None:
    site = Site("https://s3.test/uploads", sign_in=announced)
    assert f'<body data-sign-in="{announced}"' in site.html("invite.html", {})["body"]
