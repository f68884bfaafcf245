"""Settings from the function's environment, which the template sets. They have no defaults."""

from __future__ import annotations

import os


class ConfigurationError(RuntimeError):
    """When the environment lacks a valid setting: the function fails at start, not while it works."""


def text(name: str, *, may_be_empty: bool = False) -> str:
    """The setting ``name``. Raises ConfigurationError when it is missing or empty."""
    value = os.environ.get(name)
    if value is None or (not value and not may_be_empty):
        raise ConfigurationError(f"The environment variable {name} is not set")
    return value


def number(name: str) -> float:
    """The setting ``name`` as a number. Raises ConfigurationError when it is not a number."""
    try:
        return float(text(name))
    except ValueError:
        raise ConfigurationError(f"The environment variable {name} is not a number") from None
