"""RPCs about the sessions of clients that make unary calls."""

from __future__ import annotations

from datetime import timedelta

from clearway.v1 import proposal_pb2, session_pb2
from clearway_service.api import rendering as render
from clearway_service.api.base import Handlers
from clearway_service.api.parsing import uuid_of
from clearway_service.engine.clock import new_id
from clearway_service.store.session_ends import end_session
from clearway_service.store.sessions import Client, open_session, resume_session


def parse_client(said: proposal_pb2.Hello | session_pb2.OpenSessionRequest) -> Client:
    """Return the description of a session's client."""
    return Client(said.client_name or "a client without a name", said.language, said.version)


class SessionHandlers(Handlers):
    """RPCs about the sessions of clients that make unary calls."""

    @property
    def _lease(self) -> int:
        return self._settings.lease // timedelta(microseconds=1)

    async def OpenSession(  # noqa: N802 - the RPC's name
        self, request: session_pb2.OpenSessionRequest
    ) -> session_pb2.OpenSessionResponse:
        """Open a session."""
        client = parse_client(request)
        session_id = new_id()
        await self._run(open_session(session_id, client, self._lease))
        return session_pb2.OpenSessionResponse(session_id=session_id, lease=render.duration(self._lease))

    async def KeepAlive(  # noqa: N802
        self, request: session_pb2.KeepAliveRequest
    ) -> session_pb2.KeepAliveResponse:
        """Renew a session's lease."""
        session_id = uuid_of(request.session_id)
        await self._run(resume_session(session_id, self._lease, "session_id"))
        return session_pb2.KeepAliveResponse(lease=render.duration(self._lease))

    async def CloseSession(  # noqa: N802
        self, request: session_pb2.CloseSessionRequest
    ) -> session_pb2.CloseSessionResponse:
        """End a session."""
        session_id = uuid_of(request.session_id)
        await self._run(end_session(session_id, "its client ended the session"))
        return session_pb2.CloseSessionResponse()
