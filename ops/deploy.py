"""What a deployment asks and writes down: a few parameters, samconfig.toml, and what an upgrade would leave as it was.

CloudFormation keeps an existing stack's value of each parameter that a deployment does not name, so a new default of
the template never reaches it by itself.
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
    """A parameter that is asked for, and why somebody would give it. ``needs`` names one that has to be given first."""

    parameter: str
    text: str
    needs: str = ""


#: With the region, the stack's name, crun's key, the new defaults of an upgrade and `sam`'s own question at most ten.
QUESTIONS = (
    Question("AlarmEmail", "Who gets an e-mail when an alarm rings? The address has to confirm once. Empty: nobody."),
    Question("OperatorName", "Who are you, as the consent text tells people? Empty: “the operator of this service”."),
    Question("OperatorContact", "Where do people withdraw their consent: an address, as the consent text says it."),
    Question("DomainName", "A domain of your own for the API, such as likeness.example.com. Empty: AWS's own."),
    Question(
        "CertificateArn", "The ARN of the domain's certificate in ACM, in the stack's region.", needs="DomainName"
    ),
    Question("Firewall", "AWS WAF before the API, about $9 a month: on or off."),
)


def wrong(template: Template, parameter: str, value: str) -> str | None:
    """Returns what the template has against a value, in a few words, or None."""
    rules = template["Parameters"][parameter]
    if "AllowedValues" in rules and value not in map(str, rules["AllowedValues"]):
        return f"{parameter} is one of {', '.join(map(str, rules['AllowedValues']))}"
    if "AllowedPattern" in rules and not re.fullmatch(rules["AllowedPattern"], value):
        return f"{parameter} does not have the form that the template wants ({rules['AllowedPattern']})"
    if len(value) > (longest := rules.get("MaxLength", 4096)):
        return f"{parameter} has at most {longest} characters"
    if "\\" in value or not value.isprintable():
        return f"{parameter} may not hold a backslash or a control character"
    return None


# -- an upgrade ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A parameter whose default is another one than when the stack was deployed; ``follows``: nobody had changed it."""

    parameter: str
    current: str
    before: str | None
    now: str

    @property
    def follows(self) -> bool:
        """Whether the stack has the default of its time."""
        return self.current == self.before


@dataclass(frozen=True)
class Upgrade:
    """What a template changes about the parameters of a stack: other defaults, new parameters, and those that go."""

    changes: list[Change]
    new: dict[str, str]
    gone: list[str]


def upgrade(current: Mapping[str, str], before: Template | None, template: Template) -> Upgrade:
    """Compares a stack's parameters, and the template that it has (None where it is unknown), with a template."""
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
        """Returns the stack's name and region, as far as they are there."""
        found = self._deploy(self._document())
        return {name: str(found[name]) for name in ("stack_name", "region") if name in found}

    def overrides(self) -> dict[str, str]:
        """Returns the parameters that it sets, but never the key at crun."""
        found = self._deploy(self._document()).get("parameter_overrides")
        parsed = CfnParameterOverridesType().convert(_plain(found), None, None) if found else {}
        return {name: value for name, value in parsed.items() if name != KEY_PARAMETER}

    def write(self, stack_name: str, region: str, overrides: Mapping[str, str]) -> None:
        """Writes the section; the key at crun is left out whoever gives it."""
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
        """Returns the section; empty when it is not there."""
        for name in self._path():
            document = document.get(name, {})
        return document  # type: ignore[no-any-return]

    def _made(self, document: Any) -> Any:
        """Returns the section, made where it is not there."""
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
    """A value as SAM reads it back."""
    return '"' + value.replace('"', '\\"') + '"'


@contextmanager
def secret_overrides(overrides: Mapping[str, str], key: str) -> Iterator[str]:
    """Gives what `sam deploy --parameter-overrides` takes, with the key in a file that only its owner can read.

    The file lives as long as the block. A command line would show the key to everybody on the machine.
    """
    with TemporaryDirectory(prefix="likeness-") as folder:
        file = Path(folder) / "parameters.yaml"  # SAM reads no JSON by that name, and JSON is YAML
        file.touch(mode=0o600)
        file.write_text(json.dumps({**overrides, KEY_PARAMETER: key}, ensure_ascii=False))
        yield f"file://{file}"
