"""The HTTP routes: thin, the work is the engine's."""

import gc
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import orjson
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

from datasets.palette import encode_mask
from model.frame import Frame
from model.reading import Reading, paint_mask
from serving import problems
from serving.about import VERSION
from serving.bodies import encode_reading
from serving.cines import readings_of
from serving.engine import Engine
from serving.gate import Gate
from serving.intake import Upload, decode, open_cine, parse_options, receive
from serving.live import live_router
from serving.overlay import draw_overlay, encode_png
from serving.schema import ModelBody, ReadingBody
from serving.settings import Settings
from serving.stages import Stopwatch
from serving.tracing import Tracing

WEB: Final = Path(__file__).parent / "web"

SpacingQuery = Annotated[str | None, Query(description="ROW,COL in mm per pixel", examples=["0.08,0.08"])]
SideQuery = Annotated[str | None, Query(description="left, right or unknown")]
AgeQuery = Annotated[float | None, Query(description="age of the patient in years")]
FrameQuery = Annotated[int | None, Query(ge=0, description="frame of a multi-frame file, from 0")]


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

    app = FastAPI(
        title="hipsono",
        version=VERSION,
        description="Reads hip ultrasound. Research use; not a medical device.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.openapi_version = "3.0.3"
    app.state.engine = engine
    app.add_middleware(Gate, engine=engine)
    app.add_middleware(Tracing)
    problems.install(app)
    app.include_router(_frame_routes(engine))
    app.include_router(_service_routes(engine))
    app.include_router(live_router(engine))
    if settings.demo:
        from serving.demo import demo_router

        app.include_router(demo_router())
    for router in routers:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=WEB), name="static")
    app.mount("/swagger", StaticFiles(directory=swagger_ui_path), name="swagger")
    return app


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

    @router.post("/frames", response_class=Response, responses={200: {"model": ReadingBody}}, openapi_extra=_BODY)
    async def read_frame(
        request: Request, spacing_mm: SpacingQuery = None, laterality: SideQuery = None, age_years: AgeQuery = None,
        frame: FrameQuery = None,
    ) -> Response:  # fmt: skip
        """One frame in, one Reading out."""
        upload = await upload_of(request, spacing_mm, laterality, age_years, frame)
        return await told(partial(_reading_of, engine, upload), "application/json")

    @router.post("/frames/overlay", response_class=Response, responses=_PNG, openapi_extra=_BODY)
    async def overlay(
        request: Request, spacing_mm: SpacingQuery = None, laterality: SideQuery = None, age_years: AgeQuery = None,
        frame: FrameQuery = None,
    ) -> Response:  # fmt: skip
        """The annotated frame as PNG."""
        upload = await upload_of(request, spacing_mm, laterality, age_years, frame)
        return await told(partial(_overlay_of, engine, upload), "image/png")

    @router.post("/frames/mask", response_class=Response, responses=_PNG, openapi_extra=_BODY)
    async def mask(
        request: Request, raw: bool = False, spacing_mm: SpacingQuery = None, frame: FrameQuery = None
    ) -> Response:
        """The palette mask, ids of the annotation protocol; `raw` gives the network's own, before any abstention."""
        upload = await upload_of(request, spacing_mm, None, None, frame)
        return await told(partial(_raw_mask_of if raw else _mask_of, engine, upload), "image/png")

    @router.post("/cines", response_class=StreamingResponse, openapi_extra=_BODY)
    async def cine(
        request: Request, spacing_mm: SpacingQuery = None, laterality: SideQuery = None, age_years: AgeQuery = None,
        pictures: Annotated[str | None, Query(pattern="^jpeg$", description="add each frame as a data URI")] = None,
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
        return HTMLResponse((WEB / "index.html").read_text())

    return router


def _reading_of(engine: Engine, upload: Upload, watch: Stopwatch) -> bytes:
    body = encode_reading(_read(engine, upload, watch)[1])
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
    """Serves until stopped."""
    run_until_stopped(server_of(create_app(settings), settings, "info"))


def run_until_stopped(server: uvicorn.Server) -> None:
    """Serves until it is told to stop; Ctrl-C is no error."""
    with suppress(KeyboardInterrupt):
        server.run()


def server_of(app: FastAPI, settings: Settings, log_level: str = "warning") -> uvicorn.Server:
    """Every server of this program: what costs time on every frame (access log, packing of pictures) is left out."""
    # What is there now stays: without this the collector walks it all while frames wait, some 50 ms each time.
    gc.collect()
    gc.freeze()
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_level=log_level,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws_max_size=int(settings.max_frame_mb * 1e6),
            ws_per_message_deflate=False,
        )
    )


_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("image/jpeg", "image/png", "application/dicom")
        }
        | {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
            }
        },
    }
}
_PNG: Final[dict[int | str, dict[str, object]]] = {200: {"content": {"image/png": {}}}}
