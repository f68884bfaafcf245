"""URLs: the changes to an H5 link, the values read from a callback, and the allowed return URLs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.domain.links import may_return_to, origin_of, read_callback, return_location, with_language
from likeness.domain.session import Language


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("https://h5/v?bytedToken=a&lng=zh", "https://h5/v?bytedToken=a&lng=en"),
        ("https://h5/v?lng=zh&bytedToken=a", "https://h5/v?lng=en&bytedToken=a"),
        ("https://h5/v?a=1&lng=zh&b=2", "https://h5/v?a=1&lng=en&b=2"),
        ("https://h5/v?a=1&lng=zh&b=2&lng=zh-Hant&c=3", "https://h5/v?a=1&lng=en&b=2&c=3"),
        ("https://h5/v?lng=zh&lng=zh", "https://h5/v?lng=en"),
        ("https://h5/v?xlng=zh&a=lng=zh", "https://h5/v?xlng=zh&a=lng=zh&lng=en"),
        ("https://h5/v?lng=&a=1", "https://h5/v?lng=en&a=1"),
        ("https://h5/v?a=1", "https://h5/v?a=1&lng=en"),
        ("https://h5/v?", "https://h5/v?lng=en"),
        ("https://h5/v", "https://h5/v?lng=en"),
        ("https://h5/v?a=1&lng=zh#/page?lng=zh", "https://h5/v?a=1&lng=en#/page?lng=zh"),
        ("https://h5/v#x", "https://h5/v?lng=en#x"),
        (
            "https://h5/v?X-Signature=a%2Fb+c%3D=&X-Credential=K%2f1&q=%E4%BD%A0&lng=zh&t=a b",
            "https://h5/v?X-Signature=a%2Fb+c%3D=&X-Credential=K%2f1&q=%E4%BD%A0&lng=en&t=a b",
        ),
    ],
)
def test_only_the_language_of_a_link_changes(link: str, expected: str) -> None:
    assert with_language(link, Language.EN) == expected
    assert with_language(expected, Language.EN) == expected


_PART = st.text("abcXYZ019%+=-_.~/:;,@!*'()[]", max_size=12)


@given(st.lists(st.tuples(_PART, _PART), max_size=6), st.integers(0, 6), st.sampled_from(list(Language)))
def test_every_other_byte_is_unchanged(pairs: list[tuple[str, str]], place: int, language: Language) -> None:
    others = [f"x{name}={value}" for name, value in pairs]
    before, after = others[:place], others[place:]
    link = "https://h5/v?" + "&".join([*before, "lng=zh", *after])
    assert with_language(link, language) == "https://h5/v?" + "&".join([*before, f"lng={language}", *after])


@pytest.mark.parametrize(
    ("parameters", "code", "passed"),
    [
        ({"resultCode": ["10000"], "bytedToken": ["t"]}, "10000", True),
        ({"x": ["1?bytedToken=t&resultCode=10000"]}, "10000", True),
        ({"resultCode": ["10000", "10000"]}, "10000", True),
        ({"resultCode": ["10000", "10001"]}, None, False),
        ({"resultCode": ["10000 "]}, "10000", True),
        ({"x": ["&a=1" * 60], "resultCode": ["10000"]}, None, False),
        ({"resultCode": ["10010"]}, "10010", False),
        ({"resultCode": ["abc"]}, "abc", False),
        ({"resultCode": [""]}, None, False),
        ({"resultCode": ["10010?resultCode=10000"]}, None, False),
        ({"a": ["1"], "b?resultCode": ["10000"]}, "10000", True),
        ({"ResultCode": ["10000"], "xresultCode": ["10000"]}, None, False),
        ({"resultCode": ["10000.0"]}, "10000.0", False),
        ({}, None, False),
        ({"resultCode": ["１００００"]}, "１００００", False),  # noqa: RUF001
        ({"resultCode": ["9" * 500]}, "9" * 32, False),
    ],
)
def test_a_callback_is_read(parameters: dict[str, list[str]], code: str | None, passed: bool) -> None:
    found = read_callback(parameters)
    assert (found.result_code, found.passed) == (code, passed)


ORIGINS = ("https://app.example.com", "http://127.0.0.1:8080")

BAD_URLS = [
    "https://evil.example/", "//evil.example", "///evil.example", "\\\\evil.example", "/\\evil.example",
    "https:evil.example", "https:/app.example.com", "https://app.example.com@evil.example/",
    "https://app.example.com:443@evil.example", "https://user@app.example.com/", "https://user:pw@app.example.com/",
    "https://app.example.com.evil.example/", "https://app.example.com:8443/", "https://app.example.com:/",
    "https://app.example.com:99999/", "https://app.example.com:x/", "https://app.example.com:0443/",
    "https://app.example.com\\@evil.example", "https://app.example.com\\.evil.example", "http://app.example.com/",
    "HTTP://app.example.com/", "https://app.example.com/#fragment", "https://app.example.com/a\r\nSet-Cookie: x=1",
    "https://app.example.com/\tx", " https://app.example.com/", "https://app.example.com/ x",
    "https://\u0430pp.example.com/",
    "https://app。example.com/", "https://app.example.com%00.evil.example/", "https://app.example.com%2eevil.example/",
    "javascript:alert(1)", "data:text/html,x", "ftp://app.example.com/", "https://", "https:///", "", "/",
    "app.example.com",
    "https://[::1/", "http://127.0.0.1:8081/", "http://127.0.0.1.evil.example:8080/", "http://localhost:8080/",
    "https://app.example.com/" + "a" * 2048,
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_browser_is_not_redirected_elsewhere(url: str) -> None:
    assert not may_return_to(url, ORIGINS)


@pytest.mark.parametrize("url", ["https://app.example.com", "https://app.example.com/a?b=c", "http://127.0.0.1:8080/x"])
def test_the_clients_origins_are_accepted(url: str) -> None:
    assert may_return_to(url, ORIGINS)


def test_origins_and_locations() -> None:
    assert origin_of("https://app.example.com:8443/a") == "https://app.example.com:8443"
    assert origin_of("HTTPS://App.Example.com:443/A") == "https://app.example.com"
    assert origin_of("http://[::1]:80/") == "http://[::1]"
    assert return_location("https://a/b?c=1", "ses_1", "verified") == "https://a/b?c=1&session_id=ses_1&status=verified"
    assert return_location("https://a/b", "ses_1", "verified") == "https://a/b?session_id=ses_1&status=verified"
