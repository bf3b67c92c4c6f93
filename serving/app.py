"""The HTTP routes: thin, the work is the engine's."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response, WebSocket
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

from datasets.palette import encode_mask
from model.frame import Frame
from model.reading import Reading, paint_mask
from serving import openapi, problems
from serving.about import VERSION
from serving.address import check_address
from serving.bodies import encode_reading
from serving.cines import data_uri, readings_of
from serving.engine import Engine
from serving.gate import Gate
from serving.intake import Upload, decode, open_cine, parse_options, receive
from serving.live import live_router
from serving.overlay import draw_overlay, encode_png
from serving.schema import ModelBody, PicturedBody
from serving.server import run_until_stopped, server_of
from serving.settings import Settings
from serving.stages import Stopwatch
from serving.tracing import Tracing

WEB: Final = Path(__file__).parent / "web"
_ANEW: Final = {"Cache-Control": "no-cache"}
_PAGES: Final[dict[str, Any]] = {
    "allow_methods": ["GET", "POST"],
    "allow_headers": ["X-Request-ID"],
    "expose_headers": ["X-Request-ID", "Server-Timing", "Retry-After"],
}

SpacingQuery = Annotated[str | None, Query(description="ROW,COL in mm per pixel", examples=["0.08,0.08"])]
SideQuery = Annotated[str | None, Query(description="left, right or unknown")]
AgeQuery = Annotated[float | None, Query(description="age of the patient in years")]
FrameQuery = Annotated[int | None, Query(ge=0, description="frame of a multi-frame file, from 0")]
PictureQuery = Annotated[
    str | None, Query(pattern="^jpeg$", description="add each frame, as it was read, as a data URI")
]


def create_app(settings: Settings | None = None, *routers: APIRouter) -> FastAPI:
    """The application with its network loaded, and further routes. Raises what Session raises where there is none."""
    settings = settings or Settings()
    engine = Engine(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if settings.demo:
            from serving.demo import start_demo

            start_demo(app)
        yield

    app = _Api(
        title="hipsono",
        version=VERSION,
        description=openapi.DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.openapi_version = openapi.VERSION
    app.state.engine = engine
    app.add_middleware(Gate, engine=engine)
    app.add_middleware(Tracing)
    if settings.origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.origins, **_PAGES)
    problems.install(app)
    app.include_router(_frame_routes(engine))
    app.include_router(_service_routes(engine))
    app.include_router(live_router(engine))
    if settings.demo:
        from serving.demo import demo_router

        app.include_router(demo_router())
    for router in routers:
        app.include_router(router)
    app.add_api_websocket_route("/{path:path}", _nowhere)
    app.mount("/static", _Fresh(directory=WEB), name="static")
    app.mount("/swagger", StaticFiles(directory=swagger_ui_path), name="swagger")
    return app


class _Api(FastAPI):
    """FastAPI, whose /openapi.json is of the version it says."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi.in_3_0(super().openapi())
        return self.openapi_schema


class _Fresh(StaticFiles):
    """Files that a browser asks for anew each time: parts of the page of two versions would not fit together."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers.update(_ANEW)
        return response


async def _nowhere(socket: WebSocket, path: str) -> None:
    told = f"no WebSocket at /{path[:200]}: frames go to /v1/stream, and /v1/watch is there while `hipsono watch` runs"
    await socket.send_denial_response(problems.problem_response(problems.Problem(404, told)))


def _frame_routes(engine: Engine) -> APIRouter:
    router = APIRouter(
        prefix="/v1", tags=["readings"], responses=problems.DECLARED, dependencies=[Depends(problems.check_parameters)]
    )
    limit = int(engine.settings.max_upload_mb * 1e6)

    async def upload_of(
        request: Request, spacing_mm: str | None, laterality: str | None, age_years: float | None, frame: int | None
    ) -> Upload:
        options = parse_options(spacing_mm, laterality, age_years)
        return Upload(await receive(request, limit), options, frame)

    async def told(work: Callable[[Stopwatch], bytes], kind: str) -> Response:
        asked = time.perf_counter()

        def timed() -> Response:
            watch = Stopwatch(asked)
            body = work(watch)
            return Response(body, media_type=kind, headers={"Server-Timing": watch.header()})

        return await engine.run(timed)

    @router.post(
        "/frames", response_class=Response, responses={200: {"model": PicturedBody}}, openapi_extra=openapi.BODY
    )
    async def read_frame(
        request: Request, spacing_mm: SpacingQuery = None, laterality: SideQuery = None, age_years: AgeQuery = None,
        frame: FrameQuery = None, pictures: PictureQuery = None,
    ) -> Response:  # fmt: skip
        """One frame in, one Reading out."""
        upload = await upload_of(request, spacing_mm, laterality, age_years, frame)
        return await told(partial(_reading_of, engine, upload, pictures == "jpeg"), "application/json")

    @router.post("/frames/overlay", response_class=Response, responses=openapi.PNG, openapi_extra=openapi.BODY)
    async def overlay(
        request: Request, spacing_mm: SpacingQuery = None, laterality: SideQuery = None, age_years: AgeQuery = None,
        frame: FrameQuery = None,
    ) -> Response:  # fmt: skip
        """The annotated frame as PNG."""
        upload = await upload_of(request, spacing_mm, laterality, age_years, frame)
        return await told(partial(_overlay_of, engine, upload), "image/png")

    @router.post("/frames/mask", response_class=Response, responses=openapi.PNG, openapi_extra=openapi.BODY)
    async def mask(
        request: Request, spacing_mm: SpacingQuery = None, laterality: SideQuery = None, age_years: AgeQuery = None,
        frame: FrameQuery = None, raw: bool = False,
    ) -> Response:  # fmt: skip
        """The palette mask, ids of the annotation protocol; `raw` gives the network's own, before any abstention."""
        upload = await upload_of(request, spacing_mm, laterality, age_years, frame)
        return await told(partial(_raw_mask_of if raw else _mask_of, engine, upload), "image/png")

    @router.post("/cines", response_class=StreamingResponse, responses=openapi.LINES, openapi_extra=openapi.CINE)
    async def cine(
        request: Request, spacing_mm: SpacingQuery = None, laterality: SideQuery = None, age_years: AgeQuery = None,
        pictures: PictureQuery = None,
    ) -> StreamingResponse:  # fmt: skip
        """A Reading a line as each is ready, then a summary line."""
        upload = await upload_of(request, spacing_mm, laterality, age_years, None)
        opened = await engine.run(lambda: open_cine(upload.data))
        lines = readings_of(engine, opened, upload.options, pictures == "jpeg")
        return StreamingResponse(lines, media_type="application/x-ndjson")

    return router


def _service_routes(engine: Engine) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/model", tags=["service"], response_class=Response, responses={200: {"model": ModelBody}})
    async def model() -> Response:
        """The model's card and spec."""
        card = engine.session.path.with_suffix(".md")
        body = {
            "spec": orjson.loads(engine.session.spec.to_json()),
            "sha256": engine.session.sha256,
            "card": card.read_text() if card.is_file() else None,
            "demo": engine.settings.demo,
            "provider": engine.session.provider,
        }
        return Response(orjson.dumps(body), media_type="application/json")

    @router.get("/healthz", tags=["service"])
    async def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @router.get("/readyz", tags=["service"])
    async def readyz() -> dict[str, str]:
        """The network is loaded and warm."""
        session = engine.session
        told = {"status": "ready", "model": session.spec.name, "sha256": session.sha256}
        return told | {"provider": session.provider}

    @router.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="hipsono",
            swagger_js_url="/swagger/swagger-ui-bundle.js",
            swagger_css_url="/swagger/swagger-ui.css",
            swagger_favicon_url="/swagger/favicon-32x32.png",
        )

    @router.get("/", include_in_schema=False)
    async def viewer() -> HTMLResponse:
        return HTMLResponse((WEB / "index.html").read_text(), headers=_ANEW)

    return router


def _reading_of(engine: Engine, upload: Upload, pictured: bool, watch: Stopwatch) -> bytes:
    frame, reading = _read(engine, upload, watch)
    body = encode_reading(reading, **({"picture": data_uri(frame)} if pictured else {}))
    watch.lap("encode")
    return body


def _overlay_of(engine: Engine, upload: Upload, watch: Stopwatch) -> bytes:
    drawn = encode_png(draw_overlay(*_read(engine, upload, watch)))
    watch.lap("draw")
    return drawn


def _mask_of(engine: Engine, upload: Upload, watch: Stopwatch) -> bytes:
    drawn = encode_mask(paint_mask(_read(engine, upload, watch)[1]))
    watch.lap("draw")
    return drawn


def _raw_mask_of(engine: Engine, upload: Upload, watch: Stopwatch) -> bytes:
    ids = engine.reader.raw_mask(_decoded(upload, watch))
    watch.lap("network")
    drawn = encode_mask(ids)
    watch.lap("draw")
    return drawn


def _read(engine: Engine, upload: Upload, watch: Stopwatch) -> tuple[Frame, Reading]:
    frame = _decoded(upload, watch)
    return frame, watch.timed(engine.reader.read(frame))


def _decoded(upload: Upload, watch: Stopwatch) -> Frame:
    frame = decode(upload)
    watch.lap("decode")
    return frame


def run_server(settings: Settings) -> None:
    """Serves until stopped. Raises OSError where it cannot listen."""
    check_address(settings.host, settings.port)
    run_until_stopped(server_of(create_app(settings), settings, "info"))
