"""The receipt of a consent as JSON-LD, by the W3C community group's guide for ISO/IEC TS 27560:2023.

The guide, with version 2 of the Data Privacy Vocabulary:
https://www.w3.org/community/reports/dpvcg/CG-FINAL-guide-27560-20240801/

It contains the whole consent record. What Likeness does not know is ``not stated``: the operator's address and
jurisdiction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from likeness.domain.consent import ConsentText
from likeness.domain.session import Consent, Session
from likeness.domain.terms import ConsentStatus
from likeness.domain.times import iso

_SCHEMA = "https://w3id.org/dpv/schema/dpv-27560"
_CONTEXT = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "schema": "https://schema.org/",
    "spdx": "http://spdx.org/rdf/terms#",
}
#: In place of what only the operator knows. The text that the person agreed to, and the operator's contact, may say it.
_NOT_STATED = "not stated"
#: Who gets the files and the result of the face check (source: the consent text).
_RECIPIENT = "crun.ai and the video service behind it"
_STATUS = {
    ConsentStatus.GIVEN: "dpv:ConsentGiven",
    ConsentStatus.WITHDRAWN: "dpv:ConsentWithdrawn",
    ConsentStatus.EXPIRED: "dpv:ConsentExpired",
    ConsentStatus.MISSING: "dpv:ConsentRequested",
}
_BY = {"person": "dpv:DataSubject", "client": "dpv:DataController"}


@dataclass(frozen=True, slots=True)
class Controller:
    """The operator of the stack: ``name`` and ``contact`` may be empty; ``days`` is how long files are kept."""

    name: str
    contact: str
    region: str
    days: int


def consent_receipt(
    session: Session,
    controller: Controller,
    text: ConsentText | None,
    sentences: Sequence[str],
    purposes: Mapping[str, str],
    now: float,
) -> dict[str, Any]:
    """The receipt at ``now`` (epoch seconds).

    ``text`` is the one that the person agreed to, None when the client answers for the consent. ``sentences`` name the
    terms, and ``purposes`` the purposes that it covers by their ids.
    """
    language = text.language.value if text else session.language.value
    record: dict[str, Any] = {
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": f"{_SCHEMA}#record",
        "dct:identifier": session.id,
        "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": session.id},
        "dpv:hasDataController": {
            "@type": ["dpv:Organisation", "dpv:DataController"],
            "dct:identifier": controller.name or _NOT_STATED,
            "schema:name": controller.name or _NOT_STATED,
            "schema:address": _NOT_STATED,
            "schema:contactPoint": controller.contact or _NOT_STATED,
        },
        "dpv:hasNotice": _notice(text, session.consent, language),
        "dct:language": language,
        "dpv:hasJurisdiction": _NOT_STATED,
        "dpv:hasProcess": _process(controller, sentences, purposes),
        "dpv:hasLegalBasis": "dpv:ExplicitlyExpressedConsent" if text else "dpv:Consent",
        "dpv:hasConsentStatus": _events(session, now),
    }
    return {
        "@context": _CONTEXT,
        "@type": "dpv:ConsentReceipt",
        "dct:conformsTo": f"{_SCHEMA}#receipt",
        "dct:identifier": f"{session.id}/{int(now)}",
        "dct:issued": iso(now),
        "dct:publisher": controller.name or _NOT_STATED,
        "dpv:hasRecordOfActivity": record,
    }


def _notice(text: ConsentText | None, consent: Consent | None, language: str) -> dict[str, Any]:
    if text is None:
        version = consent.text_version if consent else _NOT_STATED
        return {"@type": "dpv:ConsentNotice", "dct:identifier": version, "dct:language": language}
    return {
        "@type": "dpv:ConsentNotice",
        "dct:identifier": text.version,
        "dct:language": text.language.value,
        "dct:title": text.title,
        "dct:description": text.text,
        "spdx:checksum": {
            "spdx:algorithm": "spdx:checksumAlgorithm_sha256",
            "spdx:checksumValue": text.sha256,
        },
    }


def _process(controller: Controller, sentences: Sequence[str], purposes: Mapping[str, str]) -> dict[str, Any]:
    named = [
        {"@type": "dpv:Purpose", "dct:identifier": name, "dct:title": title} for name, title in purposes.items()
    ] or [{"@type": "dpv:Purpose", "dct:identifier": "any", "dct:title": "every purpose"}]
    return {
        "@type": "dpv:Process",
        "dct:description": " ".join(sentences),
        "dpv:hasPurpose": named,
        "dpv:hasPersonalData": [
            {"@type": ["pd:Picture", "dpv:PersonalData"], "dct:title": "Pictures, videos and sound recordings"},
            {"@type": ["pd:Biometric", "dpv:SpecialCategoryPersonalData"], "dct:title": "The face check"},
        ],
        "dpv:hasRecipient": [{"@type": "dpv:ThirdParty", "schema:name": _RECIPIENT}],
        "dpv:hasStorageCondition": [
            {"@type": "dpv:StorageLocation", "dpv:hasLocation": controller.region},
            {
                "@type": "dpv:StorageDuration",
                "dpv:hasDuration": {"@type": "dpv:TemporalDuration", "rdf:value": f"P{controller.days}D"},
            },
        ],
        "dpv:hasConsentControl": {
            "@type": "dpv:WithdrawConsent",
            "dct:description": "On the page of the personal link, or by a message to the operator",
        },
    }


def _events(session: Session, now: float) -> list[dict[str, Any]]:
    """What happened to the consent, oldest first. The last one is its status at ``now``."""
    status, consent, withdrawal = session.consent_status(now), session.consent, session.withdrawal
    found = []
    if consent:
        found.append(_event(ConsentStatus.GIVEN, consent.given_at, consent.source, _duration(consent)))
    elif status in (ConsentStatus.GIVEN, ConsentStatus.WITHDRAWN):
        # By the word of the client that created the link.
        found.append(_event(ConsentStatus.GIVEN, iso(session.created_at), "client", _duration(None)))
    if withdrawal:
        found.append(_event(ConsentStatus.WITHDRAWN, iso(withdrawal.at), withdrawal.source, _until_another()))
    elif status is ConsentStatus.EXPIRED and consent:
        found.append(_event(status, iso(consent.valid_until), "client", _until_another()))
    return found or [_event(ConsentStatus.MISSING, iso(session.created_at), "client", _until_another())]


def _event(status: ConsentStatus, at: str | None, by: str, duration: dict[str, str]) -> dict[str, Any]:
    return {
        "@type": _STATUS[status],
        "dpv:isIndicatedAtTime": at,
        "dpv:isIndicatedBy": _BY[by],
        "dpv:hasDuration": duration,
    }


def _duration(consent: Consent | None) -> dict[str, str]:
    until = iso(consent.valid_until) if consent else None
    if until:
        return {"@type": "dpv:UntilTimeDuration", "rdf:value": until}
    return {"@type": "dpv:UntilEventDuration", "rdf:value": "until the consent is withdrawn"}


def _until_another() -> dict[str, str]:
    return {"@type": "dpv:UntilEventDuration", "rdf:value": "until another consent is given"}
