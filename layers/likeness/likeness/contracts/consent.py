"""POST /sessions/{session_id}/consent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from likeness.contracts.body import PRINTABLE, Body


class ConsentAgreed(Body):
    """The body: the text that the person has read, as GET /consent returned it."""

    text_version: Annotated[str, Field(min_length=1, max_length=64, pattern=PRINTABLE)]
    language: Literal["zh", "en", "zh-Hant"]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
