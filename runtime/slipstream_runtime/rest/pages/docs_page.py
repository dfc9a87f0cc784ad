"""Shows the OpenAPI document to people. Pure.

Written on the server: the usual viewers load their scripts from the internet, which a cluster's nodes often cannot
reach, and the packages that carry them weigh several MiB and want scripts to be allowed.
"""

import json
from html import escape
from typing import Any

from slipstream_runtime.rest.pages.markup import block, page, table


def docs_page(document: dict[str, Any]) -> str:
    """Return the HTML page of the whole document."""
    info = document["info"]
    parts = [f"<h1>{escape(info['title'])}</h1>", f'<p class="lead">{escape(info["description"])}</p>']
    parts.append('<p><a href="/">Model card</a> · <a href="/openapi.json">OpenAPI document</a></p>')
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['description'])}</h2>")
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    parts.append(_operation(document, method.upper(), path, operation))
    parts.append("<h2>Schemas</h2>")
    for name, schema in document["components"]["schemas"].items():
        parts.append(f"<details><summary>{escape(name)}</summary>{_json(schema)}</details>")
    return page(info["title"], "".join(parts))


def _operation(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    head = f'<span class="method {method}">{method}</span> <code>{escape(path)}</code> {escape(operation["summary"])}'
    parts = [f"<details><summary>{head}</summary>", f"<p>{escape(operation.get('description', ''))}</p>"]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [[one["name"], one["in"], one["description"]] for one in parameters]
        parts.append(table(["Parameter", "In", "Meaning"], rows))
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Request: <code>{escape(kind)}</code> {_name(content['schema'])}</p>")
        if "example" in content:
            parts.append(_json(content["example"]))
    rows = [_response(document, code, response) for code, response in operation["responses"].items()]
    parts.append(table(["Code", "Meaning", "Schema"], rows))
    return "".join((*parts, "</details>"))


def _response(document: dict[str, Any], code: str, response: dict[str, Any]) -> list[str]:
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    content = response.get("content", {})
    return [code, response["description"], ", ".join(_name(one["schema"]) or kind for kind, one in content.items())]


def _name(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[1] if "$ref" in schema else ""


def _json(document: Any) -> str:
    return block(json.dumps(document, indent=1, ensure_ascii=False))
