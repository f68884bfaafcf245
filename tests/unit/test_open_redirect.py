"""A browser is redirected only to registered origins: from the request's body to the callback's Location header.

ASVS 5.0: 3.7.2 (redirects only to an allow-list), 1.3.6 (external addresses), 14.2.1 (no secret in the URL).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.contracts.http import NewSession
from likeness.domain.links import may_return_to, origin_of, return_location
from likeness.domain.session import SessionFilter
from tests.unit.api_harness import ORIGINS, ApiHarness, service


@pytest.fixture(scope="module")
def api() -> Iterator[ApiHarness]:
    with service() as running:
        yield running


GOOD = [
    "https://app.example.com", "https://app.example.com/", "https://app.example.com/done?a=b&c=d",
    "https://app.example.com:8443/", "http://127.0.0.1:8080/x", "http://[::1]:9000/x", "https://app.example.com?x",
    "https://app.example.com//evil.example", "https://app.example.com/https://evil.example",
    "https://app.example.com/?next=https://evil.example", "https://app.example.com/a;param",
    "https://app.example.com/@evil.example", "https://app.example.com/%0d%0aLocation:%20https://evil.example",
    "https://app.example.com/../..//evil.example", "https://app.example.com/" + "a" * 2024,
    # the same origins, as chats, keyboards and frameworks write them
    "https://APP.Example.com/Done?A=b", "HTTPS://app.example.com/", "Https://app.example.com:443/x",
    "https://app.example.com:443", "HTTP://127.0.0.1:8080/x", "https://App.example.com:8443/",
]  # fmt: skip

EVIL = [
    # no origin, or another scheme
    "//evil.example", "///evil.example", "////evil.example", "/\\evil.example", "\\\\evil.example", "/", "done", "",
    "https:evil.example", "https:/evil.example", "https:app.example.com", "https:///app.example.com",
    "https://", "http://", "://app.example.com", "javascript:alert(1)", "JaVaScRiPt:alert(1)//https://app.example.com",
    "java\tscript:alert(1)", "data:text/html,<script>alert(1)</script>", "vbscript:x", "file:///etc/passwd",
    "ftp://app.example.com/", "blob:https://app.example.com/x", "view-source:https://app.example.com/",
    "http://app.example.com/", "HTTP://app.example.com/", "http://app.example.com:443/", "wss://app.example.com/",
    # user information before the host
    "https://app.example.com@evil.example/", "https://user@app.example.com/", "https://user:pw@app.example.com/",
    "https://app.example.com:443@evil.example/", "https://app.example.com%40evil.example/", "https://@evil.example/",
    "https://evil.example@app.example.com/", "https://app.example.com\\@evil.example/", "https://@app.example.com/",
    # another host that looks similar
    "https://app.example.com.evil.example/", "https://evil.example/app.example.com", "https://app.example.comevil/",
    "https://evilapp.example.com/", "https://x.app.example.com/", "https://example.com/", "https://app.example.com./",
    "https://app.example.com%2eevil.example/", "https://app.example.com%00.evil.example/", "https://app.example.com%2f",
    "https://app.example.com;evil.example/", "https://app.example.com,evil.example/", "https://app.example.com&x/",
    "https://%61pp.example.com/", "https://\u0430pp.example.com/",
    "https://app\u3002example\u3002com/", "https://\uff41pp.example.com/", "https://app.example.\u2102om/",
    "https://xn--pp-7ka.example.com/", "https://app.example.com\u2044evil.example/", "https://app\u00ad.example.com/",
    # other ports, and the same port written differently
    "https://app.example.com:0443/", "https://app.example.com:444/", "https://app.example.com:80/", "https://app.example.com:08443/",
    "https://app.example.com:/", "https://app.example.com:8443:1/", "https://app.example.com:99999/",
    "https://app.example.com:-1/", "https://app.example.com:x/", "http://127.0.0.1/", "http://127.0.0.1:8081/",
    "https://app.example.com:\u0668\u0664\u0664\u0663/",
    # this machine and internal networks, by every name
    "http://localhost:8080/", "http://2130706433:8080/", "http://0177.0.0.1:8080/", "http://0x7f.1:8080/",
    "http://127.1:8080/", "http://127.0.0.1.evil.example:8080/", "http://[::ffff:127.0.0.1]:8080/", "http://[::]:9000/",
    "http://[0:0:0:0:0:0:0:1]:9000/", "http://[::1%25lo]:9000/", "http://169.254.169.254/latest/meta-data/",
    "https://[::1/", "http://[::1]9000/",
    # characters that a browser removes or replaces
    "https://app.example.com\\.evil.example/", "https:\\\\app.example.com/", "ht\ntps://app.example.com/",
    "https://app.exa\tmple.com/", "https://app.example.com\t.evil.example/", "https://app.example.com\n.evil.example/",
    " https://app.example.com/", "https://app.example.com/ ", "\x00https://app.example.com/", "\ufeffhttps://app.example.com/",
    "https://app.example.com/\r\nSet-Cookie: a=b", "https://app.example.com/\x0bx", "https://app.example.com/\u2028x",
    "https://app.example.com/\x7f", "https://app.example.com/\u202etxt", "https://app.example.com/é",
    # parameters that we append would become part of a fragment
    "https://app.example.com/#x", "https://app.example.com#@evil.example/", "https://app.example.com/?a#",
    "https://evil.example/#https://app.example.com", "https://app.example.com/" + "a" * 2025,
]  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_the_browser_is_redirected_to_a_registered_origin(api: ApiHarness, url: str) -> None:
    session = api.session(return_url=url)
    for query in ({}, {"resultCode": ["10010"]}, {"resultCode": ["10000"]}):
        answer = api.callback(session, query=query)
        joined = "&" if "?" in url else "?"
        assert answer.status == 303
        assert answer.headers["location"] == f"{url}{joined}session_id={session}&status=requires_input"
        assert browser_origin(answer.headers["location"]) in ORIGINS
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("url", EVIL)
def test_any_other_url_is_refused_before_any_other_action(api: ApiHarness, url: str) -> None:
    answer = api.create(return_url=url, reference="refused")
    assert (answer.status, answer.json["code"], answer.json["field"]) == (400, "invalid_request", "return_url")
    assert "evil" not in answer.body
    kept = api.store.list_sessions("acme", limit=100, cursor=None, wanted=SessionFilter(reference="refused"))
    assert kept.sessions == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://app.example.com/#x", "fragment"),
        ("https://APP.example.com:443/done#", "fragment"),
        ("https://other.example.com/", "not on the client's list"),
        ("http://app.example.com/", "must be an https URL"),
        ("https://user@app.example.com/", "user info"),
        ("https://app.example.com/a b", "white space"),
        ("https://\u0430pp.example.com/", "non-ASCII"),
    ],
)
def test_a_refused_return_url_is_answered_with_the_reason(api: ApiHarness, url: str, message: str) -> None:
    answer = api.create(return_url=url)
    assert (answer.status, answer.json["field"]) == (400, "return_url")
    assert message in answer.json["detail"]


@pytest.mark.parametrize(
    "registered", ["https://APP.example.com", "https://app.example.com:443", "HTTPS://app.example.com"]
)
def test_a_registered_origin_may_be_written_differently(api: ApiHarness, registered: str) -> None:
    other = ApiHarness(api.apps, api.store, api.authorizer | {"return_origins": registered})
    for url in ("https://app.example.com/x", "https://App.example.com:443/x"):
        assert other.create(return_url=url).status == 201
    assert other.create(return_url="https://app.example.com:8443/x").status == 400


def test_without_a_return_url_the_browser_is_redirected_to_our_page(api: ApiHarness) -> None:
    evil = {name: ["https://evil.example/"] for name in ("return_url", "next", "redirect_uri", "Location", "url")}
    answer = api.callback(api.session(), query=evil)
    assert answer.headers["location"] == "https://likeness.example/v1/invite?status=requires_input"


def test_the_host_of_a_request_does_not_change_the_redirect(api: ApiHarness) -> None:
    answer = api.callback(api.session(), headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    assert answer.headers["location"].startswith("https://likeness.example/v1/")


def browser_origin(url: str) -> str | None:
    """Returns the origin that a browser reads from a URL (https://url.spec.whatwg.org, for http and https), or None.

    A browser accepts more than ``urlsplit``. The test is about that difference.
    """
    text = re.sub("[\t\n\r]", "", url.strip("".join(map(chr, range(33)))))
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if not colon or scheme not in ("http", "https"):
        return None
    authority = re.split(r"[/\\?#]", re.sub(r"^[/\\]*", "", rest), maxsplit=1)[0]
    host_port = authority.rpartition("@")[2]
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::([0-9]*))?", host_port)
    if not found:
        return None
    host = unquote(found[1]).lower()
    for dot in "\u3002\uff0e\uff61":
        host = host.replace(dot, ".")
    default = {"http": "80", "https": "443"}[scheme]
    port = str(int(found[2])) if found[2] else default
    return f"{scheme}://{host}" + ("" if port == default else f":{port}")


def test_browsers_read_urls_differently_from_urlsplit() -> None:
    assert browser_origin("\x00 hT\ttps:\\\\u@App。example.com\\@x") == "https://app.example.com"
    assert browser_origin("https://a.test:0443/x") == "https://a.test"
    assert browser_origin("https:a.test") == "https://a.test"
    assert browser_origin("javascript:x") is None


_PIECES = st.sampled_from(
    ["https:", "http:", "HTTPS:", "//", "/", "\\", "@", ":", "#", "?", ".", ";", "%2e", "%40", "\t", "\n", " ", "\x00",
     "app.example.com", "127.0.0.1", "[::1]", "8443", "8080", "9000", "443", "evil.example", "\u3002", "\uff0f", "user"]
)  # fmt: skip
_URLS = st.one_of(
    st.lists(_PIECES, max_size=12).map("".join),
    st.tuples(st.sampled_from(ORIGINS), st.lists(_PIECES, max_size=8).map("".join)).map("".join),
    st.tuples(st.sampled_from(ORIGINS), st.text(max_size=20)).map("".join),
    st.text(max_size=60),
)


@given(_URLS)
def test_a_browser_reads_every_accepted_url_as_registered(url: str) -> None:
    if not may_return_to(url, ORIGINS):
        return
    NewSession(return_url=url)
    location = return_location(url, "ses_1", "verified")
    assert browser_origin(location) in ORIGINS
    assert origin_of(location) in ORIGINS
    assert location.isascii()
    assert location.isprintable()
    assert re.search(r"[?&]session_id=ses_1&status=verified\Z", location)
