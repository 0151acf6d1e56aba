"""RPCs about the sessions of clients that make unary calls."""

from __future__ import annotations

from datetime import timedelta

from clearway.v1 import session_pb2
from clearway_service.api import rendering as render
from clearway_service.api import validation as valid
from clearway_service.api.base import Handlers
from clearway_service.engine.clock import new_id
from clearway_service.store.sessions import Client, end_session, open_session, resume_session

MAX_LANGUAGE = 64


def parse_client(field: str, name: str, language: str, version: str) -> Client:
    """Return who is at the other end; ``field`` is put before the names of its fields."""
    return Client(
        valid.text(f"{field}client_name", name, valid.MAX_NAME) or "a client without a name",
        valid.text(f"{field}language", language, MAX_LANGUAGE),
        valid.text(f"{field}version", version, MAX_LANGUAGE),
    )


class SessionHandlers(Handlers):
    """RPCs about the sessions of clients that make unary calls."""

    @property
    def _lease(self) -> int:
        return self._settings.lease // timedelta(microseconds=1)

    async def OpenSession(  # noqa: N802 - the RPC's name
        self, request: session_pb2.OpenSessionRequest
    ) -> session_pb2.OpenSessionResponse:
        """Open a session."""
        client = parse_client("", request.client_name, request.language, request.version)
        session_id = new_id()
        await self._run(open_session(session_id, client, self._lease))
        return session_pb2.OpenSessionResponse(session_id=session_id, lease=render.duration(self._lease))

    async def KeepAlive(  # noqa: N802
        self, request: session_pb2.KeepAliveRequest
    ) -> session_pb2.KeepAliveResponse:
        """Renew a session's lease."""
        session_id = valid.required_id("session_id", request.session_id)
        await self._run(resume_session(session_id, self._lease, "session_id"))
        return session_pb2.KeepAliveResponse(lease=render.duration(self._lease))

    async def CloseSession(  # noqa: N802
        self, request: session_pb2.CloseSessionRequest
    ) -> session_pb2.CloseSessionResponse:
        """End a session."""
        session_id = valid.required_id("session_id", request.session_id)
        await self._run(end_session(session_id, "its client ended the session"))
        return session_pb2.CloseSessionResponse()
