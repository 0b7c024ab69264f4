"""The shape of a demo API: the routes of a provider's demo behind its key, with the provider's errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request

from aigw.demo.provider.wire import Refusal

if TYPE_CHECKING:
    from starlette.responses import Response

    from shared.secret import Secret

Answer = Callable[[Request, float], Awaitable["Response"]]
"""Answers a request, given the seconds between two words of a stream."""


@dataclass(frozen=True, slots=True)
class DemoApi:
    """A provider's demo.

    Attributes:
        is_meant: whether a request is for this API, on a path that several APIs have.
        check_key: raises `Refusal` unless the request carries the given key as this provider wants it.
        refusal_answer: writes a refusal in the provider's shape.
        no_such_route: the refusal of an unknown route, from the status, the method and the path.
        routes: (method, path, answer).
    """

    is_meant: Callable[[Request], bool]
    check_key: Callable[[Request, str], None]
    refusal_answer: Callable[[Refusal], Response]
    no_such_route: Callable[[int, str, str], Refusal]
    routes: tuple[tuple[str, str, Answer], ...]

    def app(self, key: Secret, pace_seconds: float) -> FastAPI:
        """Build the application for this API alone."""
        app = FastAPI(openapi_url=None)
        for method, path, answer in self.routes:
            app.add_route(path, partial(self._checked, answer, key, pace_seconds), methods=[method])
        app.add_exception_handler(Refusal, self._refused)
        app.add_exception_handler(HTTPException, self._unknown)
        return app

    async def _checked(self, answer: Answer, key: Secret, pace_seconds: float, request: Request) -> Response:
        self.check_key(request, key.reveal())
        return await answer(request, pace_seconds)

    async def _refused(self, _request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return self.refusal_answer(error)

    async def _unknown(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return self.refusal_answer(self.no_such_route(error.status_code, request.method, request.url.path))
