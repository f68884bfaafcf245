"""The schemas of the published events: ``schemas/<detail-type>.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from tests.template_file import ROOT

SCHEMAS: dict[str, dict[str, Any]] = {
    each.stem: json.loads(each.read_text()) for each in sorted((ROOT / "schemas").glob("*.json"))
}


def check(detail_type: str, detail: Mapping[str, Any]) -> None:
    """Fails when an event does not match its schema, including formats."""
    jsonschema_rs.Draft202012Validator(SCHEMAS[detail_type], validate_formats=True).validate(dict(detail))
