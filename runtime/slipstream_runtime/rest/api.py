"""The FastAPI application behind the infer path: model card, docs, health, metadata and statistics."""

import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request

from slipstream_runtime.errors import ServingError, UnsupportedError
from slipstream_runtime.observing.health import Health
from slipstream_runtime.observing.statistics import model_statistics
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.protocol.encoding import MODEL_VERSION
from slipstream_runtime.rest.openapi import openapi_document
from slipstream_runtime.rest.pages.card import card
from slipstream_runtime.rest.pages.card_page import card_page
from slipstream_runtime.rest.pages.docs_page import docs_page
from slipstream_runtime.rest.pages.markup import POLICY
from slipstream_runtime.rest.pages.metadata import model_config, model_metadata, repository_index, server_metadata
from slipstream_runtime.rest.pages.served import Served

VERSION = version("slipstream-operator")
ADDRESS = re.compile(r"[A-Za-z0-9.\-]+(:\d{1,5})?|\[[0-9a-fA-F:]+\](:\d{1,5})?")
USUAL_ADDRESS = "localhost:8000"

LOADING = re.compile("/v2/repository/models/[^/]+/(un)?load")
ONE_ARTIFACT = "models come only from the verified artifact the replica was started with; change the AgentDeployment"

Document = Callable[[], Any]


def build_api(served: Served, health: Health, telemetry: Telemetry) -> FastAPI:
    """Return the application for one model."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)

    async def http_error(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse(*_worded(served.model, request, error))

    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(ServingError, _serving_error)
    _add_people(app, served)
    _add_health(app, served.model, health)
    _add_documents(app, served, telemetry)
    _add_repository(app, served, health)
    return app


def _add_people(app: FastAPI, served: Served) -> None:
    headers = {"content-security-policy": POLICY, "x-content-type-options": "nosniff"}

    @app.get("/")
    async def home(request: Request) -> HTMLResponse:
        return HTMLResponse(card_page(card(served, _base(request))), headers=headers)

    @app.get(f"/v2/models/{served.model}/card")
    async def model_card(request: Request) -> JSONResponse:
        return JSONResponse(card(served, _base(request)))

    @app.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(openapi_document(served, VERSION)), headers=headers)


def _add_health(app: FastAPI, model: str, health: Health) -> None:
    async def live() -> JSONResponse:
        return JSONResponse({"live": health.live}, 200 if health.live else 503)

    async def ready() -> JSONResponse:
        return JSONResponse({"ready": health.ready}, 200 if health.ready else 503)

    async def model_ready() -> JSONResponse:
        return JSONResponse({"name": model, "ready": health.ready}, 200 if health.ready else 503)

    app.add_api_route("/v2/health/live", live)
    app.add_api_route("/v2/health/ready", ready)
    for base in _bases(model):
        app.add_api_route(f"{base}/ready", model_ready)


def _add_documents(app: FastAPI, served: Served, telemetry: Telemetry) -> None:
    def statistics() -> Any:
        return model_statistics(served.model, telemetry)

    documents: dict[str, Document] = {
        "/openapi.json": lambda: openapi_document(served, VERSION),
        "/v2": lambda: server_metadata(VERSION),
        "/v2/models": lambda: {"models": [served.model]},
        "/v2/models/stats": statistics,
    }
    for base in _bases(served.model):
        documents[base] = lambda: model_metadata(served)
        documents[f"{base}/config"] = lambda: model_config(served)
        documents[f"{base}/stats"] = statistics
    for path, document in documents.items():
        app.add_api_route(path, _json_page(document))


def _add_repository(app: FastAPI, served: Served, health: Health) -> None:
    @app.post("/v2/repository/index")
    async def index() -> JSONResponse:
        return JSONResponse(repository_index(served, ready=health.ready))

    @app.post(f"/v2/repository/models/{served.model}/load")
    @app.post(f"/v2/repository/models/{served.model}/unload")
    async def load() -> None:
        raise UnsupportedError(ONE_ARTIFACT)


def _json_page(document: Document) -> Any:
    async def show() -> JSONResponse:
        return JSONResponse(document())

    return show


def _bases(model: str) -> tuple[str, str]:
    return f"/v2/models/{model}", f"/v2/models/{model}/versions/{MODEL_VERSION}"


def _base(request: Request) -> str:
    """Return the address the examples call: the one this request came by, unless it is no plain address."""
    host = request.headers.get("host", "")
    return f"http://{host if ADDRESS.fullmatch(host) else USUAL_ADDRESS}"


def _worded(model: str, request: Request, error: Exception) -> tuple[dict[str, str], int]:
    code = error.status_code if isinstance(error, HTTPException) else 500
    if code == 404 and request.url.path.startswith("/v2/models/"):
        text = f"no such model, version or page; this replica serves {model!r}, version {MODEL_VERSION}"
    elif code == 404 and LOADING.fullmatch(request.url.path):
        text, code = ONE_ARTIFACT, UnsupportedError.code
    else:
        words = {404: "no such page; GET /docs lists them", 405: "this page does not take that method"}
        text = words.get(code, "the request cannot be served")
    return {"error": text}, code


async def _serving_error(_request: Request, error: Exception) -> JSONResponse:
    code = error.code if isinstance(error, ServingError) else 500
    return JSONResponse({"error": str(error)}, code)
