"""Bodies and queries of generations."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from likeness.contracts.body import PRINTABLE, Body


class NewGeneration(Body):
    """The body of POST /generations and …/estimate. ``input`` is crun's own, and may contain ids of assets."""

    model: Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]
    input: dict[str, Any]
    purpose: Annotated[str, Field(min_length=1, max_length=40, pattern=PRINTABLE)] | None = None
    reference: Annotated[str, Field(min_length=1, max_length=256, pattern=PRINTABLE)] | None = None
