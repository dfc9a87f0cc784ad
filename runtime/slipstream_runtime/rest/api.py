"""The FastAPI application behind the infer path: docs, health and metadata."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.errors import NotFoundError, ServingError
from slipstream_runtime.observing.health import Health
from slipstream_runtime.protocol.encoding import MODEL_VERSION
from slipstream_runtime.protocol.signature import Signature
from slipstream_runtime.rest.openapi import add_infer_paths

PLATFORM = "onnx_onnxv1"
EXTENSIONS = ["binary_tensor_data"]


def build_api(model: str, signature: Signature, health: Health) -> FastAPI:
    """Return the application for one model."""
    app = FastAPI(title=f"Slipstream: {model}", version=version("slipstream-operator"), redoc_url=None)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ServingError, _serving_error)
    _add_server_routes(app, model, health)
    _add_model_routes(app, model, signature, health)
    add_infer_paths(app, model, signature)
    return app


def _add_server_routes(app: FastAPI, model: str, health: Health) -> None:
    @app.get("/v2", tags=["server"])
    async def server_metadata() -> dict[str, Any]:
        return {"name": "slipstream", "version": app.version, "extensions": EXTENSIONS}

    @app.get("/v2/health/live", tags=["server"])
    async def live() -> JSONResponse:
        return JSONResponse({"live": health.live}, 200 if health.live else 503)

    @app.get("/v2/health/ready", tags=["server"])
    async def ready() -> JSONResponse:
        return JSONResponse({"ready": health.ready}, 200 if health.ready else 503)

    @app.get("/v2/models", tags=["models"])
    async def models() -> dict[str, Any]:
        return {"models": [model]}


def _add_model_routes(app: FastAPI, model: str, signature: Signature, health: Health) -> None:
    metadata = {
        "name": model,
        "versions": [MODEL_VERSION],
        "platform": PLATFORM,
        "inputs": [_tensor(spec) for spec in signature.inputs],
        "outputs": [_tensor(spec) for spec in signature.outputs],
    }

    def check(name: str, asked: str) -> None:
        if name != model or asked != MODEL_VERSION:
            raise NotFoundError(f"no such model or version; this replica serves {model!r}, version {MODEL_VERSION}")

    @app.get("/v2/models/{name}", tags=["models"])
    async def model_metadata(name: str) -> dict[str, Any]:
        check(name, MODEL_VERSION)
        return metadata

    @app.get("/v2/models/{name}/versions/{asked}", tags=["models"])
    async def version_metadata(name: str, asked: str) -> dict[str, Any]:
        check(name, asked)
        return metadata

    @app.get("/v2/models/{name}/ready", tags=["models"])
    async def model_ready(name: str) -> JSONResponse:
        check(name, MODEL_VERSION)
        return JSONResponse({"name": model, "ready": health.ready}, 200 if health.ready else 503)

    @app.get("/v2/models/{name}/versions/{asked}/ready", tags=["models"])
    async def version_ready(name: str, asked: str) -> JSONResponse:
        check(name, asked)
        return JSONResponse({"name": model, "ready": health.ready}, 200 if health.ready else 503)


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    code = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: "no such page; GET /docs lists them", 405: "this page does not take that method"}
    return JSONResponse({"error": words.get(code, "the request cannot be served")}, code)


async def _serving_error(_request: Request, error: Exception) -> JSONResponse:
    code = error.code if isinstance(error, ServingError) else 500
    return JSONResponse({"error": str(error)}, code)
