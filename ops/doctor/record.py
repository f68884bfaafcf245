"""Writes the calls of a visit as fixtures without secrets, one file per call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ops.doctor.redaction import Redactor
from ops.doctor.transport import WRONG_KEY, Answer
from ops.doctor.visit import Exchange

#: The values of these headers are written; of other headers, only the names.
_HEADERS = ("content-type", "retry-after")


def record(folder: Path, exchanges: list[Exchange], redactor: Redactor, api_key: str) -> list[Path]:
    """Writes ``01-balance.json`` and so on into the existing ``folder``, and returns the files.

    No file contains a value that turned out to be secret at any time of the visit. Raises OSError.
    """
    written = []
    documents = [_document(each, redactor, api_key) for each in exchanges]
    for number, (each, document) in enumerate(zip(exchanges, documents, strict=True), 1):
        file = folder / f"{number:02}-{each.name.replace(' ', '-')}.json"
        text = redactor.final(json.dumps(document, indent=2, ensure_ascii=False))
        file.write_text(text + "\n", "utf-8", errors="replace")  # lone surrogates
        written.append(file)
    return written


def _document(exchange: Exchange, redactor: Redactor, api_key: str) -> dict[str, Any]:
    call = exchange.call
    query = urlencode({name: redactor.hide(value) for name, value in call.query.items()})
    request = {
        "method": call.method,
        "url": f"/api/v1/client{call.path}{f'?{query}' if query else ''}",
        "headers": {"x-api-key": WRONG_KEY if call.wrong_key else redactor.secret(api_key)},
        "body": redactor.json(call.body),
    }
    answer = _answer(exchange.answer, redactor) if exchange.answer else None
    return {"call": exchange.name, "request": request, "answer": answer, "no_answer": exchange.why or None}


def _answer(answer: Answer, redactor: Redactor) -> dict[str, Any]:
    kept = {
        "status": answer.status,
        "headers": {name: redactor.text(answer.headers[name]) for name in _HEADERS if name in answer.headers},
        "other_headers": sorted(redactor.text(name) for name in answer.headers if name not in _HEADERS),
    }
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return kept | {"text": redactor.text(answer.body.decode("utf-8", "replace"))}
    return kept | {"body": redactor.json(body)}
