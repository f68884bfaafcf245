"""The questions of a deployment, samconfig.toml, and the defaults that an upgrade would not change.

CloudFormation keeps an existing stack's value of each parameter that a deployment does not set. So a new default of the
template does not apply to an existing stack.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomlkit
import tomlkit.exceptions
from samcli.cli.types import CfnParameterOverridesType

from ops.template import Template

KEY_PARAMETER = "CrunApiKey"


@dataclass(frozen=True)
class Question:
    """A question for a parameter. ``needs`` names a parameter that must have a value first."""

    parameter: str
    text: str
    needs: str = ""


#: At most ten questions, with the region, the stack's name, crun's key, an upgrade's new defaults and `sam`'s own.
QUESTIONS = (
    Question(
        "AlarmEmail", "The e-mail address for alarms, which has to confirm the subscription once. Empty: no e-mail."
    ),
    Question(
        "OperatorName",
        "The operator's name in the consent text and on the pages. Empty: “the operator of this service”.",
    ),
    Question(
        "OperatorContact", "The address for people who withdraw their consent, in the consent text and on the pages."
    ),
    Question("DomainName", "A custom domain for the API, such as likeness.example.com. Empty: AWS's own."),
    Question(
        "CertificateArn", "The ARN of the domain's certificate in ACM, in the stack's region.", needs="DomainName"
    ),
    Question("Firewall", "AWS WAF for the API, about $9 a month: on or off."),
)


def wrong(template: Template, parameter: str, value: str) -> str | None:
    """Returns why the template does not allow a value, or None when it does."""
    rules = template["Parameters"][parameter]
    if "AllowedValues" in rules and value not in map(str, rules["AllowedValues"]):
        return f"{parameter} must be one of {', '.join(map(str, rules['AllowedValues']))}"
    if "AllowedPattern" in rules and not re.fullmatch(rules["AllowedPattern"], value):
        return f"{parameter} does not match the template's pattern ({rules['AllowedPattern']})"
    if len(value) > (longest := rules.get("MaxLength", 4096)):
        return f"{parameter} can have at most {longest} characters"
    if "\\" in value or not value.isprintable():
        return f"{parameter} must not contain a backslash or a control character"
    return None


# -- an upgrade ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A parameter whose default has changed since the stack was deployed."""

    parameter: str
    current: str
    before: str | None
    now: str

    @property
    def follows(self) -> bool:
        """Whether the stack has the earlier default."""
        return self.current == self.before


@dataclass(frozen=True)
class Upgrade:
    """How a template changes a stack's parameters: ``changes`` of defaults, ``new`` parameters, and removed ones."""

    changes: list[Change]
    new: dict[str, str]
    removed: list[str]


def upgrade(current: Mapping[str, str], before: Template | None, template: Template) -> Upgrade:
    """Compares a stack's parameters and its template (None when unknown) with a new template."""
    defaults = _defaults(template)
    old = _defaults(before) if before else {}
    changes = [
        Change(name, current[name], old.get(name), now)
        for name, now in defaults.items()
        if name in current and current[name] != now and old.get(name) != now
    ]
    return Upgrade(
        changes,
        {name: now for name, now in defaults.items() if name not in current},
        sorted(current.keys() - template["Parameters"].keys()),
    )


def _defaults(template: Template) -> dict[str, str]:
    found = template["Parameters"].items()
    return {name: str(each["Default"]) for name, each in found if "Default" in each and not each.get("NoEcho")}


def is_gradual(template: Template) -> bool:
    """Whether a template puts functions behind aliases (ops/gradual.py)."""
    return "AutoPublishAlias" in template.get("Globals", {}).get("Function", {})


# -- samconfig.toml -----------------------------------------------------------------------------------------------


class ConfigError(ValueError):
    """When samconfig.toml cannot be read."""


@dataclass(frozen=True)
class Config:
    """The section of one environment in a samconfig.toml; everything else in the file stays as it is."""

    file: Path
    environment: str

    def settings(self) -> dict[str, str]:
        """Returns the stack's name and region, where they are set."""
        found = self._deploy(self._document())
        return {name: str(found[name]) for name in ("stack_name", "region") if name in found}

    def overrides(self) -> dict[str, str]:
        """Returns the parameters that it sets, except crun's key."""
        found = self._deploy(self._document()).get("parameter_overrides")
        parsed = CfnParameterOverridesType().convert(_plain(found), None, None) if found else {}
        return {name: value for name, value in parsed.items() if name != KEY_PARAMETER}

    def write(self, stack_name: str, region: str, overrides: Mapping[str, str]) -> None:
        """Writes the section, always without crun's key."""
        document = self._document()
        deploy = self._made(document)
        deploy["stack_name"], deploy["region"] = stack_name, region
        defaults = {"capabilities": "CAPABILITY_IAM", "resolve_s3": True, "s3_prefix": stack_name}
        for name, value in defaults.items():
            deploy.setdefault(name, value)
        given = {name: value for name, value in overrides.items() if name != KEY_PARAMETER}
        deploy["parameter_overrides"] = " ".join(f"{name}={_quoted(value)}" for name, value in given.items())
        self.file.write_text(tomlkit.dumps(document))

    def _document(self) -> tomlkit.TOMLDocument:
        if not self.file.exists():
            return tomlkit.parse("version = 0.1\n")
        try:
            return tomlkit.parse(self.file.read_text())
        except tomlkit.exceptions.TOMLKitError as exc:
            raise ConfigError(f"{self.file} cannot be read: {exc}") from exc

    def _deploy(self, document: Any) -> Mapping[str, Any]:
        """Returns the section; empty when it does not exist."""
        for name in self._path():
            document = document.get(name, {})
        return document  # type: ignore[no-any-return]

    def _made(self, document: Any) -> Any:
        """Returns the section, and creates it when it does not exist."""
        for name in self._path():
            if name not in document:
                document[name] = tomlkit.table(is_super_table=name != "parameters")
            document = document[name]
        return document

    def _path(self) -> tuple[str, str, str]:
        return (self.environment, "deploy", "parameters")


def _plain(value: Any) -> Any:
    return value.unwrap() if hasattr(value, "unwrap") else value


def _quoted(value: str) -> str:
    """Returns a value in the quotes that SAM parses."""
    return '"' + value.replace('"', '\\"') + '"'


@contextmanager
def secret_overrides(overrides: Mapping[str, str], key: str) -> Iterator[str]:
    """Yields an argument for `sam deploy --parameter-overrides`: a file with the key that only its owner can read.

    The file is deleted after the block. Other users of the machine could read the key on a command line.
    """
    with TemporaryDirectory(prefix="likeness-") as folder:
        file = Path(folder) / "parameters.yaml"  # SAM does not read a file named .json; JSON is valid YAML
        file.touch(mode=0o600)
        file.write_text(json.dumps({**overrides, KEY_PARAMETER: key}, ensure_ascii=False))
        yield f"file://{file}"
