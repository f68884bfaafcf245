"""Checks who asks the person, and writes it for the pages: the operator's name, contact, privacy link, colour and logo.

Run by the layer's Makefile: ``python build_operator.py <folder> <pages>``. The folder has operator.json and the logo;
the pages are the layer's copy. A release contains this file too, so it needs nothing but Python 3.9.
"""

from __future__ import annotations

import base64
import json
import re
import struct
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FIELDS = ("name", "contact", "privacy_url", "accent_color", "logo")
MAX_LOGO_BYTES = 32 * 1024
#: A logo is shown 28 px high, in a header that is 288 px wide on a small phone.
MAX_RATIO = 6.0
#: WCAG 2.2, 1.4.3: the least contrast of text.
CONTRAST = 4.5

#: Colours of pages/shared/style.css: the background and text on it, in light and in dark mode.
WHITE, BACK, PAPER_DARK, INK_DARK = "#ffffff", "#f4f6f9", "#1a222c", "#eaf0f6"
_ON_MAIN_DARK = "#10151c"
#: The files of the pages that have the accent colour: styles, and last the icon.
COLORED = (
    "shared/style.css",
    "docs/docs.css",
    "built/invite.css",
    "built/me.css",
    "built/console.css",
    "shared/icon.svg",
)
_MARK = "/* The operator's accent colour (build_operator.py). */"
_ICON_FILL = re.compile(r'(<rect [^>]*fill=")#[0-9a-f]{6}')
_EMAIL = re.compile(r"[^@\s<>\"',;:]+@[^@\s<>\"',;:]+\.[^@\s<>\"',;:]+")
_HTTPS = re.compile(r"https://[^\s<>\"'\\@/?#]+([/?#][^\s<>\"'\\]*)?")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

_SVG = "http://www.w3.org/2000/svg"
_SHAPES = (
    "circle clipPath defs desc ellipse g line linearGradient marker mask metadata path pattern polygon polyline"
    " radialGradient rect stop style svg switch symbol text title tspan use"
)
_ELEMENTS = {f"{{{_SVG}}}{name}" for name in _SHAPES.split()}
_REFERENCE = re.compile(r"url\(\s*['\"]?\s*(?!#)[^)]*\)?|@import|expression\(|javascript:", re.IGNORECASE)


class OperatorError(Exception):
    """When operator.json or the logo cannot be used; the message has a line for each problem, with the field's name."""


def read(folder: Path) -> dict[str, Any]:
    """Returns the operator of ``folder``: FIELDS, each null if it is not set; ``logo`` is ``{"svg", "ratio"}``.

    The ratio is the logo's width to its height. A PNG becomes an SVG that contains it, because the API serves text
    only. Raises OperatorError with all problems.
    """
    file = folder / "operator.json"
    try:
        given = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise OperatorError(f"{file} cannot be read: {exc}") from exc
    if not isinstance(given, dict):
        raise OperatorError(f"{file} is not a JSON object")
    problems = [f"{name}: unknown; the fields are {', '.join(FIELDS)}" for name in sorted(set(given) - set(FIELDS))]
    found: dict[str, Any] = {}
    checks = {"name": _name, "contact": _contact, "privacy_url": _privacy_url, "accent_color": _accent_color}
    for field in FIELDS:
        value = given.get(field)
        found[field] = None
        if value is None or value == "":
            continue
        try:
            if not isinstance(value, str):
                raise ValueError("must be a string or null")
            found[field] = _logo(folder, value) if field == "logo" else checks[field](value.strip())
        except ValueError as exc:
            problems.append(f"{field}: {exc}")
    if problems:
        raise OperatorError("\n".join(f"{file}: {each}" for each in problems))
    return found


def _printable(value: str, limit: int) -> str:
    if not value or len(value) > limit or _UNPRINTABLE.search(value):
        raise ValueError(f"must have 1 to {limit} characters, on one line")
    return value


def _name(value: str) -> str:
    return _printable(value, 120)


def _contact(value: str) -> str:
    """An e-mail address, an https URL, or a text such as a telephone number."""
    value = _printable(value[len("mailto:") :] if value.startswith("mailto:") else value, 200)
    if re.match(r"[a-z][a-z0-9+.-]*:", value, re.IGNORECASE) and not _HTTPS.fullmatch(value):
        raise ValueError("must be an e-mail address, an https URL, or a text")
    if "@" in value and not re.search(r"\s", value) and not _EMAIL.fullmatch(value) and not _HTTPS.fullmatch(value):
        raise ValueError(f"{value} is not an e-mail address")
    return value


def _privacy_url(value: str) -> str:
    if not _HTTPS.fullmatch(value) or len(value) > 500:
        raise ValueError("must be an https URL of at most 500 characters")
    return value


def _accent_color(value: str) -> str:
    value = value.lower()
    if not re.fullmatch("#[0-9a-f]{6}", value):
        raise ValueError("must be a colour like #1f5fd1")
    for other, place in ((WHITE, "white text"), (BACK, f"the pages' background {BACK}")):
        found = contrast(value, other)
        if found < CONTRAST:
            raise ValueError(
                f"{value} has a contrast of {found:.2f} to 1 with {place}; choose a darker one, {CONTRAST} to 1"
            )
    return value


def contrast(one: str, other: str) -> float:
    """Returns the contrast of two colors (``#rrggbb``) by WCAG 2.2: 1.0 to 21.0."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _channels(color: str) -> list[int]:
    return [int(color[start : start + 2], 16) for start in (1, 3, 5)]


def _luminance(color: str) -> float:
    parts = [each / 255 for each in _channels(color)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _mixed(one: str, other: str, share: float) -> str:
    """Returns a colour that has ``share`` (0 to 1) of ``one``, and the rest of ``other``."""
    pairs = zip(_channels(one), _channels(other))  # noqa: B905 - Python 3.9
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)


def accent_css(accent: str) -> str:
    """Returns the rules that colour the pages with ``accent`` in light and dark mode; all texts keep CONTRAST."""
    lighter = next(each for each in _mixes(accent, WHITE) if contrast(each, PAPER_DARK) >= 6)
    light = {
        "main": accent,
        "main-deep": _mixed(accent, "#000000", 0.78),
        "on-main": WHITE,
        "main-soft": next(each for each in _mixes(accent, WHITE, 0.1) if contrast(accent, each) >= CONTRAST),
    }
    dark = {
        "main": lighter,
        "main-deep": _mixed(lighter, WHITE, 0.7),
        "on-main": _ON_MAIN_DARK,
        "main-soft": next(
            each
            for each in _mixes(lighter, PAPER_DARK, 0.18)
            if min(contrast(lighter, each), contrast(INK_DARK, each)) >= CONTRAST
        ),
    }
    rules = [":root{" + ";".join(f"--{name}:{value}" for name, value in each.items()) + "}" for each in (light, dark)]
    return f"{_MARK}\n{rules[0]}\n@media (prefers-color-scheme: dark){{{rules[1]}}}\n"


def _mixes(one: str, other: str, most: float = 1.0) -> Iterator[str]:
    """Yields mixes with less and less of ``one``, which begin with ``most`` of it."""
    return (_mixed(one, other, most * (20 - step) / 20) for step in range(21))


def _logo(folder: Path, name: str) -> dict[str, Any]:
    if Path(name).name != name:
        raise ValueError("must be the name of a file beside operator.json")
    try:
        content = (folder / name).read_bytes()
    except OSError as exc:
        raise ValueError(f"{name} cannot be read: {exc.strerror}") from exc
    if len(content) > MAX_LOGO_BYTES:
        raise ValueError(f"{name} has {len(content):,} bytes; at most {MAX_LOGO_BYTES:,} are allowed")
    svg, ratio = _png(content) if content.startswith(b"\x89PNG") else _svg(name, content)
    if not 1 / MAX_RATIO <= ratio <= MAX_RATIO:
        raise ValueError(f"{name} is {ratio:.1f} times as wide as high; at most {MAX_RATIO:.0f} times are allowed")
    return {"svg": svg, "ratio": round(ratio, 3)}


def _png(content: bytes) -> tuple[str, float]:
    """Returns a PNG inside an SVG."""
    if content[:8] != b"\x89PNG\r\n\x1a\n" or content[12:16] != b"IHDR" or b"IEND" not in content[-12:]:
        raise ValueError("the PNG is damaged")
    width, height = struct.unpack(">II", content[16:24])
    if not width or not height:
        raise ValueError("the PNG is damaged")
    data = base64.b64encode(content).decode()
    size = f'width="{width}" height="{height}"'
    image = f'<image {size} href="data:image/png;base64,{data}"/>'
    return f'<svg xmlns="{_SVG}" {size} viewBox="0 0 {width} {height}">{image}</svg>\n', width / height


def _svg(name: str, content: bytes) -> tuple[str, float]:
    """Returns an SVG that only draws: it has no script, no animation, and no reference to another file."""
    try:
        text = content.decode("utf-8-sig")
        if re.search(r"<!DOCTYPE|<!ENTITY|<\?(?!xml\s)", text, re.IGNORECASE):
            raise ValueError(f"{name} has a DOCTYPE or a processing instruction; export it as a plain SVG")
        root = ElementTree.fromstring(text)  # noqa: S314 - it has no entities
    except (UnicodeDecodeError, ElementTree.ParseError) as exc:
        raise ValueError(f"{name} is neither an SVG nor a PNG ({exc})") from exc
    if root.tag != f"{{{_SVG}}}svg":
        raise ValueError(f"{name} is neither an SVG nor a PNG")
    for element in root.iter():
        tag = str(element.tag)
        if tag not in _ELEMENTS:
            raise ValueError(f"{name} contains the element {tag.rpartition('}')[2]}; export it as a plain SVG")
        _check_attributes(name, element.attrib)
        if _REFERENCE.search(element.text or "") and tag.endswith("}style"):
            raise ValueError(f"{name} refers to another file in its style")
    return text, _ratio(name, root)


def _check_attributes(name: str, attributes: dict[str, str]) -> None:
    for key, value in attributes.items():
        attribute = key.rpartition("}")[2].lower()
        if attribute.startswith("on"):
            raise ValueError(f"{name} contains a script ({attribute})")
        foreign = attribute in ("href", "src") and not value.strip().startswith("#")
        if foreign or _REFERENCE.search(value):
            raise ValueError(f"{name} refers to another file ({attribute})")


def _ratio(name: str, root: ElementTree.Element) -> float:
    box = re.split(r"[\s,]+", root.get("viewBox", "").strip())
    sides = [root.get("width", ""), root.get("height", "")]
    for pair in (box[2:] if len(box) == 4 else [], sides):
        numbers = [re.fullmatch(r"(\d+(?:\.\d+)?)(?:px)?", each) for each in pair]
        if len(numbers) == 2 and all(numbers):
            width, height = (float(each[1]) for each in numbers if each)
            if width > 0 and height > 0:
                return width / height
    raise ValueError(f"{name} has neither a viewBox nor a width and a height")


def built(operator: dict[str, Any], texts: Mapping[str, str]) -> dict[str, str | None]:
    """Returns the files of the pages that differ for ``operator``, by path; None for one that does not exist.

    ``texts`` are those of the files COLORED, which may already have another operator's colour.
    """
    accent, logo = operator["accent_color"], operator["logo"]
    *styles, icon = COLORED
    colors = accent_css(accent) if accent else ""
    facts = {name: operator[name] for name in ("name", "contact", "privacy_url")}
    facts["logo_ratio"] = logo and logo["ratio"]
    return {
        "shared/operator.json": json.dumps(facts, ensure_ascii=False, indent=1) + "\n",
        "shared/logo.svg": logo and logo["svg"],
        icon: _ICON_FILL.sub(rf"\g<1>{accent or '#1f5fd1'}", texts[icon], count=1),
    } | {name: texts[name].partition(_MARK)[0] + colors for name in styles}


def main(folder: Path, pages: Path) -> None:
    """Checks the operator of ``folder`` and changes ``pages`` in place. Raises SystemExit with the problems."""
    try:
        files = built(read(folder), {name: (pages / name).read_text("utf-8") for name in COLORED})
    except OperatorError as exc:
        raise SystemExit(f"likeness: the operator's files cannot be used:\n{exc}") from exc
    for name, text in files.items():
        file = pages / name
        if text is None:
            file.unlink(missing_ok=True)
        else:
            file.write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
