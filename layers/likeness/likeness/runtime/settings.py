"""Settings come from the function's environment, which the template sets; nothing has a default here."""

from __future__ import annotations

import os


class ConfigurationError(RuntimeError):
    """When the environment lacks a setting: the function fails while it starts, not in the middle of work."""


def text(name: str, *, may_be_empty: bool = False) -> str:
    """The setting ``name``. ConfigurationError when it is missing or empty."""
    value = os.environ.get(name)
    if value is None or (not value and not may_be_empty):
        raise ConfigurationError(f"The environment variable {name} is not set")
    return value


def number(name: str) -> float:
    """The setting ``name`` as a number. ConfigurationError when it is none."""
    try:
        return float(text(name))
    except ValueError:
        raise ConfigurationError(f"The environment variable {name} is not a number") from None
