"""The API reference as one page: rendered here from the OpenAPI document, so that it loads nothing."""

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from starlette.responses import HTMLResponse

from service.web.page import page
from service.web.prose import prose


def reference(document: Mapping[str, Any]) -> HTMLResponse:
    """The page for an OpenAPI document."""
    info = document["info"]
    operations = "".join(_operation(*operation) for operation in _operations(document))
    schemas = "".join(
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"{_json(schema)}</details>"
        for name, schema in sorted(document["components"]["schemas"].items())
    )
    body = (
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        '<p>The same as a file: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1). Errors are '
        '<a href="#Problem">problem documents</a> (RFC 9457).</p>'
        f"<h2>Operations</h2>{operations}<h2>Schemas</h2>{schemas}"
    )
    return page(f"{info['title']} API", body)


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    about = operation.get("description") or operation.get("summary", "")
    parts = [f"<p>{prose(about)}</p>"]
    if parameters := operation.get("parameters"):
        parts.append(f"<table><tbody>{''.join(_parameter(p) for p in parameters)}</tbody></table>")
    if body := operation.get("requestBody"):
        parts.append(f"<p>Body: {_content(body['content'])}</p>")
    answers = "; ".join(
        f"{escape(status)} {_content(answer.get('content', {})) or escape(answer['description'])}"
        for status, answer in operation["responses"].items()
    )
    parts.append(f"<p>Answers: {answers}</p>")
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><span class="verb">{method}</span> '
        f"<code>{escape(path)}</code> {prose(_first_sentence(about))}</summary>{''.join(parts)}</details>"
    )


def _parameter(parameter: Mapping[str, Any]) -> str:
    schema = {
        name: value for name, value in parameter["schema"].items() if name not in {"title", "description"}
    }
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(parameter['in'])}</td>"
        f"<td>{prose(parameter.get('description', ''))}</td>"
        f"<td><code>{escape(json.dumps(schema, ensure_ascii=False))}</code></td></tr>"
    )


def _first_sentence(text: str) -> str:
    """Up to a full stop that ends something: names such as `webhook.test` hold one too."""
    return re.split(r"\.(?=\s|$)", text, maxsplit=1)[0]


def _content(content: Mapping[str, Any]) -> str:
    return ", ".join(_media(media_type, value) for media_type, value in content.items())


def _media(media_type: str, value: Mapping[str, Any]) -> str:
    name = value.get("schema", {}).get("$ref", "").rpartition("/")[2]
    link = f'<a href="#{escape(name)}">{escape(name)}</a> as ' if name else ""
    return f"{link}<code>{escape(media_type)}</code>"


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"
