"""The body of crun's own routes that create or estimate a task."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from likeness.contracts.body import PRINTABLE
from likeness.contracts.drop_in_bodies import DropInBody, web_address
from likeness.contracts.generation import NewGeneration


class TaskRequest(DropInBody):
    """The body of CreateTask, EstimateTask and estimate-credits. ``input`` contains the prompt, and may have URLs."""

    model: Annotated[str, Field(min_length=1, max_length=128, pattern=PRINTABLE)]
    callback_url: Annotated[str, Field(max_length=2048), AfterValidator(web_address)] | None = Field(None, repr=False)
    input: Annotated[dict[str, Any], Field(repr=False)]

    @property
    def wanted(self) -> NewGeneration:
        """The same request to our own route."""
        return NewGeneration(model=self.model, input=self.input)
