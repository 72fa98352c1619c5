"""The demo as an ASGI application: pages, JSON endpoints, limits."""

from __future__ import annotations

import html
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from nmt.demo import messages
from nmt.demo.limits import BodyLimit, RateLimit, Refused, WorkQueue
from nmt.demo.models import Models
from nmt.errors import UserError
from nmt.inspection.explorer import colour_tables, embedded_json, explorer_page
from nmt.translation import Translation

LOG = logging.getLogger("nmt.demo")
MOST_BYTES = 64_000

_PROBLEMS: dict[int | str, dict] = {
    status: {"model": messages.Problem, "description": text}
    for status, text in {
        413: "The request or its text is too long.",
        422: "The request is not understood.",
        429: "Too many requests from one client.",
        503: "Too many requests are waiting.",
    }.items()
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_STATIC = {
    "mjs": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
}
_EXPLORER_FILES = ("theme.css", "style.css", "dom.mjs", "model.mjs", "weights.mjs", "matrix_view.mjs", "lines_view.mjs")
_DEMO_FILES = ("demo.css", "demo.mjs", "requests.mjs", "api.mjs")


@dataclass(frozen=True)
class Settings:
    """Limits of a demo."""

    most_characters: int = 500
    """Longest text of a request."""
    rate: float = 20.0
    """Requests a second that one client may make in the long run."""
    burst: int = 60
    """Requests that one client may make at once."""
    queue: int = 64
    """Requests under way or waiting, of all clients together; translations and explorer pages wait apart."""
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    """Names that a request may address the demo by, against DNS rebinding; `*` is any."""


def create_app(models: Models, settings: Settings | None = None) -> FastAPI:
    """The demo's application over these checkpoints."""
    limits = settings or Settings()
    rate = RateLimit(limits.rate, limits.burst)
    # Heads come from the slower engine: whoever types must not wait behind whoever explores.
    translations, explorations = WorkQueue(limits.queue), WorkQueue(limits.queue)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # The first person to type should not wait for the model.
        await translations.run(lambda: _warm(models))
        yield
        translations.close()
        explorations.close()

    app = FastAPI(
        title="nmt demo",
        description="Translations with their word alignment.",
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    _add_pages(app)
    _add_errors(app)

    async def answer(request: Request, asked: messages.TranslationRequest, heads: bool) -> tuple[Translation, float]:
        rate.take(request.client.host if request.client else "")
        text = " ".join(asked.text.split())
        if len(text) > limits.most_characters:
            raise Refused(413, f"the text has {len(text)} characters; at most {limits.most_characters} are taken")
        queue = explorations if heads else translations
        return await queue.run(lambda: _translate(models, asked, text, heads))

    @app.get("/api/models", response_model=messages.Models, summary="The checkpoints that can be chosen")
    def list_models() -> dict:
        described = models.describe()
        return {"default": models.default, "models": described, "most_characters": limits.most_characters}

    @app.post(
        "/api/translate",
        response_model=messages.TranslationResponse,
        responses=_PROBLEMS,
        summary="Translate a sentence",
    )
    async def translate(request: Request, asked: messages.TranslationRequest) -> Response:
        translation, milliseconds = await answer(request, asked, heads=False)
        extra = {"model": asked.model or models.default, "milliseconds": round(milliseconds, 2)}
        return _json({**translation.as_dict(), **extra})

    @app.get(
        "/explorer",
        response_class=HTMLResponse,
        responses=_PROBLEMS,
        summary="A page that shows every attention head of a translation",
    )
    async def explorer(request: Request, asked: Annotated[messages.TranslationRequest, Query()]) -> Response:
        translation, _ = await answer(request, asked, heads=True)
        # The page brings its own policy, by hashes; only this demo may frame it.
        return HTMLResponse(
            explorer_page([translation], compact=True), headers={"content-security-policy": "frame-ancestors 'self'"}
        )

    app.add_middleware(BodyLimit, most_bytes=MOST_BYTES)
    if "*" not in limits.hosts:
        names = [f"[{host.strip('[]')}]" if ":" in host else host for host in limits.hosts]
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=names)
    _secure(app)  # last, so that it sees the refusals of the others too
    return app


def _translate(models: Models, asked: messages.TranslationRequest, text: str, heads: bool) -> tuple[Translation, float]:
    translator = models.get(asked.model)
    start = time.perf_counter()
    translation = translator.translate(
        text, heads=heads, beam=asked.beam, n_best=asked.n_best, length_penalty=asked.length_penalty
    )
    return translation, 1000 * (time.perf_counter() - start)


def _warm(models: Models) -> None:
    try:
        models.get(None).translate("a")
    except UserError as error:
        LOG.warning("the default model cannot translate: %s", error)


def _json(content: object, status: int = 200, **headers: str) -> Response:
    # Lone surrogates, which JSON can carry in and UTF-8 cannot, go out escaped.
    body = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return Response(body, status, {"cache-control": "no-store", **headers}, "application/json")


def _secure(app: FastAPI) -> None:
    @app.middleware("http")
    async def secure(request: Request, call_next: Callable) -> Response:
        response = await call_next(request)
        response.headers.setdefault("content-security-policy", _POLICY)
        response.headers["x-content-type-options"] = "nosniff"
        response.headers["referrer-policy"] = "no-referrer"
        return response


def _add_pages(app: FastAPI) -> None:
    index = _text("demo", "index.html").replace("{{colours}}", embedded_json(colour_tables()))

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return HTMLResponse(index)

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return HTMLResponse(_text("demo", "api.html"))

    def serve(folder: str, name: str) -> None:
        @app.get(f"/static/{folder}/{name}", include_in_schema=False)
        def static() -> Response:
            return Response(_text(folder, name), media_type=_STATIC[name.rsplit(".")[-1]])

    for folder, names in {"explorer": _EXPLORER_FILES, "demo": _DEMO_FILES}.items():
        for name in names:
            serve(folder, name)


def _text(folder: str, name: str) -> str:
    package = files("nmt.inspection") / "explorer" if folder == "explorer" else files("nmt.demo") / "static"
    return (package / name).read_text(encoding="utf-8")


def _add_errors(app: FastAPI) -> None:
    """Every problem is one line of JSON; what nobody foresaw goes to the log alone."""

    @app.exception_handler(Refused)
    async def refused(request: Request, problem: Refused) -> Response:
        headers = {"retry-after": str(problem.wait)} if problem.status in (429, 503) else {}
        return _problem(request, str(problem), problem.status, **headers)

    @app.exception_handler(UserError)
    async def user_error(request: Request, problem: UserError) -> Response:
        return _problem(request, str(problem), 422)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, problem: RequestValidationError) -> Response:
        first = problem.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query"))
        return _problem(request, f"{place or 'the request'}: {first['msg']}", 422)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, problem: HTTPException) -> Response:
        return _problem(request, str(problem.detail), problem.status_code)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, _problem_: Exception) -> Response:
        return _problem(request, "something went wrong here; the server's log says what", 500)


def _problem(request: Request, message: str, status: int, **headers: str) -> Response:
    if request.url.path == "/explorer":  # shown in a frame, so for people
        headers["content-security-policy"] = "default-src 'none'; frame-ancestors 'self'"
        return HTMLResponse(f"<!doctype html><title>nmt demo</title><p>{html.escape(message)}</p>", status, headers)
    return _json({"error": message}, status, **headers)
