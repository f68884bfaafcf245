"""The H5 page in its three languages: HTML without scripts, so that a phone and a script can both use it."""

# ruff: noqa: RUF001 - Chinese has its own commas and colons

from dataclasses import dataclass
from html import escape
from typing import Literal

Language = Literal["zh", "en", "zh-Hant"]
LANGUAGES: tuple[Language, ...] = ("zh", "en", "zh-Hant")
SOMEONE_ELSE = "someone-else"

PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # no form-action: browsers also apply it to the redirect to the callback
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
    ),
}

_LANGUAGE_NAMES = {"zh": "简体中文", "en": "English", "zh-Hant": "繁體中文"}

_TEXTS: dict[str, dict[Language, str]] = {
    "title": {"zh": "真人验证", "en": "Face check", "zh-Hant": "真人驗證"},
    "simulator": {
        "zh": "这是模拟器：不使用摄像头，也不保存任何人脸。",
        "en": "This is a simulator: no camera is used and no face is kept.",
        "zh-Hant": "這是模擬器：不使用相機，也不保存任何人臉。",
    },
    "who": {"zh": "谁在镜头前？", "en": "Who is in front of the camera?", "zh-Hant": "誰在鏡頭前？"},
    "someone": {"zh": "其他人", "en": "Somebody else", "zh-Hant": "其他人"},
    "name": {"zh": "名字（英文字母、数字）", "en": "Name (letters and digits)", "zh-Hant": "名字（英文字母、數字）"},
    "how": {"zh": "验证结果如何？", "en": "What is the result of the check?", "zh-Hant": "驗證結果如何？"},
    "pass": {"zh": "通过", "en": "Pass", "zh-Hant": "通過"},
    "fail": {"zh": "不通过", "en": "Fail", "zh-Hant": "不通過"},
    "cancel": {"zh": "取消", "en": "Cancel", "zh-Hant": "取消"},
    "left": {
        "zh": "链接还有 {seconds} 秒有效。",
        "en": "The link is valid for {seconds} more seconds.",
        "zh-Hant": "連結還有 {seconds} 秒有效。",
    },
    "passed": {"zh": "验证通过", "en": "The check was passed", "zh-Hant": "驗證通過"},
    "failed": {"zh": "验证未通过", "en": "The check was not passed", "zh-Hant": "驗證未通過"},
    "canceled": {"zh": "验证已取消", "en": "The check was cancelled", "zh-Hant": "驗證已取消"},
    "return": {
        "zh": "点击“完成”返回。",
        "en": "Press “Done” to go back to where you came from.",
        "zh-Hant": "點擊「完成」返回。",
    },
    "done": {"zh": "完成", "en": "Done", "zh-Hant": "完成"},
    "expired": {"zh": "链接已过期", "en": "This link has expired", "zh-Hant": "連結已過期"},
    "expired_next": {
        "zh": "请回到原来的页面，重新获取链接。",
        "en": "Go back to the page you came from and ask for a new link.",
        "zh-Hant": "請回到原來的頁面，重新取得連結。",
    },
    "unknown": {"zh": "链接无效", "en": "This link is not valid", "zh-Hant": "連結無效"},
    "unknown_next": {
        "zh": "链接未知，或其中的参数被更改。",
        "en": "It is unknown, or its parameters were changed on the way.",
        "zh-Hant": "連結未知，或其中的參數被更改。",
    },
    "bad": {"zh": "无法理解这个请求", "en": "The form was not understood", "zh-Hant": "無法理解這個請求"},
    "bad_next": {
        "zh": "请选择结果；名字只能用英文字母、数字、- 和 _。",
        "en": "Choose the result of the check; a name has up to 32 letters, digits, - and _.",
        "zh-Hant": "請選擇結果；名字只能用英文字母、數字、- 和 _。",
    },
    "language": {"zh": "语言", "en": "Language", "zh-Hant": "語言"},
}

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2230;--soft:#5b6478;--paper:#fff;--back:#eef1f7;
--line:#d5dae6;--main:#2352c9}
@media(prefers-color-scheme:dark){:root{--ink:#eef1f7;--soft:#aeb7ca;--paper:#1b2130;--back:#10141e;
--line:#384158;--main:#86a8ff}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;
background:var(--back);color:var(--ink);
font:1rem/1.5 system-ui,-apple-system,"PingFang SC","Noto Sans CJK SC",sans-serif}
main{width:100%;max-width:26rem;padding:1.5rem;
background:var(--paper);border:1px solid var(--line);border-radius:1.25rem}
h1{font-size:1.4rem;margin:.5rem 0;text-align:center}
svg{display:block;margin:0 auto;width:7rem;height:7rem;color:var(--main)}
.note{margin:.5rem 0 1rem;text-align:center;color:var(--soft)}
fieldset{border:1px solid var(--line);border-radius:.75rem;margin:0 0 1rem;padding:.5rem 1rem}
legend{padding:0 .4rem;font-weight:600}
.choice{display:flex;align-items:center;gap:.6rem;min-height:2.75rem}
.choice input[type=radio]{width:1.25rem;height:1.25rem;accent-color:var(--main)}
input[type=text]{width:100%;min-height:2.75rem;margin-bottom:.5rem;padding:0 .75rem;
font:inherit;color:inherit;background:transparent;border:1px solid var(--soft);border-radius:.5rem}
button{width:100%;min-height:3rem;margin-top:.6rem;border-radius:.75rem;border:1px solid var(--main);
font:inherit;font-weight:600;background:transparent;color:var(--main);cursor:pointer}
button.first{background:var(--main);color:var(--paper)}
:focus-visible{outline:3px solid var(--main);outline-offset:2px}
nav{display:flex;justify-content:center;gap:1rem;margin-top:1.25rem}
nav a{color:var(--soft);padding:.6rem 0}
nav a[aria-current]{color:var(--ink);font-weight:600;text-decoration:none}
"""

_FACE = (
    '<svg viewBox="0 0 100 100" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="4" '
    'stroke-linecap="round"><path d="M8 30V8h22M70 8h22v22M92 70v22H70M30 92H8V70"/>'
    '<circle cx="50" cy="50" r="27"/><path d="M41 45v3M59 45v3M39 59q11 10 22 0"/></svg>'
)


@dataclass(frozen=True)
class Frame:
    """The common parts of every page: its language, and the targets of its form and of its language links.

    `action(language)` is relative to the page, so that it works behind any gateway prefix.
    """

    language: Language
    actions: dict[Language, str]

    @property
    def action(self) -> str:
        """The URL of the form."""
        return self.actions[self.language]

    def text(self, key: str) -> str:
        """Return one text in the page's language."""
        return _TEXTS[key][self.language]


def check_page(frame: Frame, default_person: str, seconds_left: int) -> str:
    """Return the page on which a person chooses who is in front of the camera and the result of the check."""
    persons = list(dict.fromkeys([default_person, "alice", "bob"]))
    choices = "".join(
        f'<label class="choice"><input type="radio" name="person" value="{escape(person)}"'
        f"{' checked' if person == default_person else ''}> {escape(person.capitalize())}</label>"
        for person in persons
    )
    buttons = "".join(
        f'<button name="outcome" value="{outcome}"{css}>{frame.text(outcome)}</button>'
        for outcome, css in (("pass", ' class="first"'), ("fail", ""), ("cancel", ""))
    )
    return _page(
        frame,
        "title",
        f'<p class="note">{frame.text("simulator")}<br>{frame.text("left").format(seconds=seconds_left)}</p>'
        f'<form method="post" action="{escape(frame.action)}"><input type="hidden" name="review" value="1">'
        f"<fieldset><legend>{frame.text('who')}</legend>{choices}"
        f'<label class="choice"><input type="radio" name="person" value="{SOMEONE_ELSE}"> '
        f"{frame.text('someone')}</label><label>{frame.text('name')}"
        f'<input type="text" name="other_person" maxlength="32" '
        f'autocapitalize="none" autocomplete="off" spellcheck="false"></label></fieldset>'
        f'<div role="group" aria-label="{frame.text("how")}">{buttons}</div></form>',
    )


def result_page(frame: Frame, outcome: str) -> str:
    """Return the page after the check, whose button leads to the callback."""
    title = {"pass": "passed", "fail": "failed", "cancel": "canceled"}[outcome]
    return _page(
        frame,
        title,
        f'<p class="note">{frame.text("return")}</p><form method="post" action="{escape(frame.action)}">'
        f'<button name="done" value="1" class="first">{frame.text("done")}</button></form>',
    )


def message_page(frame: Frame, key: Literal["expired", "unknown", "bad"]) -> str:
    """Return a page with the reason why there is no check."""
    return _page(frame, key, f'<p class="note" role="alert">{frame.text(key + "_next")}</p>')


def _page(frame: Frame, title: str, content: str) -> str:
    current = ' aria-current="page"'
    links = "".join(
        f'<a href="{escape(address)}" lang="{language}" hreflang="{language}"'
        f"{current if language == frame.language else ''}>{_LANGUAGE_NAMES[language]}</a>"
        for language, address in frame.actions.items()
    )
    heading = frame.text(title)
    return (
        f'<!doctype html><html lang="{frame.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{heading} · crun simulator</title>'
        f"<style>{_STYLE}</style></head>"
        f"<body><main>{_FACE}<h1>{heading}</h1>{content}"
        f'<nav aria-label="{frame.text("language")}">{links}</nav></main></body></html>'
    )
