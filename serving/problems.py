"""Refusals: RFC 9457 problem+json whose detail says what was wrong and what to do."""

from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

PROBLEM_TYPE: Final = "application/problem+json"
_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what was wrong and what to do"},
    },
    "required": ["type", "title", "status", "detail"],
}
_MEANINGS: Final = {
    403: "a name that is not the server's, or a page of another site", 408: "the body stalls",
    411: "multipart without Content-Length", 413: "too large", 415: "not a kind that is read",
    422: "not decodable, or a value that cannot be", 500: "a fault of the server",
    503: "full: Retry-After says when", 504: "past the deadline",
}  # fmt: skip
DECLARED: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": meaning, "content": {PROBLEM_TYPE: {"schema": _SCHEMA}}}
    for status, meaning in _MEANINGS.items()
}
"""The refusals of routes that read, for OpenAPI."""


class Problem(Exception):  # noqa: N818 - the standard's own word
    """A refusal with its HTTP status; `retry_after_s` for a server that is full."""

    def __init__(self, status: int, detail: str, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after_s = retry_after_s


def problem_body(status: int, detail: str, **extra: Any) -> bytes:
    """The problem as JSON; `extra` are further members, such as a stream's seq."""
    title = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
    return orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail} | extra)


def problem_response(problem: Problem) -> Response:
    """The problem as a response."""
    headers = {} if problem.retry_after_s is None else {"Retry-After": str(problem.retry_after_s)}
    return Response(problem_body(problem.status, problem.detail), problem.status, headers, PROBLEM_TYPE)


def check_parameters(request: Request) -> None:
    """Raises Problem 422 for a query parameter that the route does not know, that is empty or that comes twice: passed
    over, it would cost the millimetres.
    """
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params]
    given = request.query_params.multi_items()
    for place, (name, value) in enumerate(given):
        if name not in known:
            raise Problem(422, f"unknown query parameter {name!r}: this route knows {', '.join(known)}")
        if not value:
            raise Problem(422, f"query parameter {name} is empty: give it a value, or leave it out")
        if name in (earlier for earlier, _ in given[:place]):
            raise Problem(422, f"query parameter {name} comes twice: give it once")


def install(app: FastAPI) -> None:
    """Every error of the application answers as a problem."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> Response:
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> Response:
        told = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors())
        return problem_response(Problem(422, told))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        detail = f"{request.method} {request.url.path}: {error.detail}. The routes are listed at /docs"
        response = problem_response(Problem(error.status_code, detail))
        response.headers.update(error.headers or {})
        return response
