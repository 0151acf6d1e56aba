"""The stream of proposals and decisions, and its recovery after the connection is lost.

A session lasts for its lease after the service last heard from it. So the stream is opened with the first
proposal and kept open, with a ping when there is nothing else to send. When it is lost, a new stream resumes
the session, and every proposal without a final decision is sent again under the same id. The service returns
the recorded decision for those that it had already decided.

On a caller's thread, ``propose`` and ``withdraw`` cost one append and, if none is pending, one wake-up of the
loop. Everything else runs on the loop. A message carries whatever is queued when the previous write returns;
there is no timer.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from typing import Final

from clearway._base.backoff import Backoff
from clearway._base.io_thread import IoThread
from clearway._transport.channel import RECONNECT, GrpcChannel
from clearway._transport.errors import unreachable
from clearway._transport.fork_safe_grpc import grpc
from clearway._transport.lost_runs import runs_lost
from clearway._transport.outbox import Outbox
from clearway._transport.pending import PendingProposal, PendingProposals
from clearway._transport.protocol import hello
from clearway.exceptions import ServerUnavailable, ServiceError, SessionExpired
from clearway.v1.proposal_pb2 import ProposeRequest, ProposeResponse, Welcome

_log = logging.getLogger("clearway.transport")

# After a server has been unreachable for so long that pending proposals failed.
_RECONNECT_IDLE: Final = Backoff(first=RECONNECT.first, longest=5.0)
_WELCOME_TIMEOUT: Final = 10.0
_GOODBYE_TIMEOUT: Final = 5.0
_PINGS: Final = 3

Stream = grpc.aio.StreamStreamCall[bytes, bytes]


class _Stage(enum.Enum):
    """The stages of the stream."""

    AWAY = enum.auto()  # not needed yet, or lost and waiting to reconnect
    OPENING = enum.auto()  # connecting, until the service's welcome
    OPEN = enum.auto()


class ProposalStream:
    """Sends proposals and distributes decisions; reopens the stream whenever it is lost."""

    def __init__(self, channel: GrpcChannel, io: IoThread, patience: float) -> None:
        """Make it; the stream is opened with the first proposal.

        Args:
            channel: The channel to the server.
            io: The I/O thread, on whose loop all of this runs.
            patience: How many seconds without the server until pending proposals fail.
        """
        self.pending = PendingProposals(patience, self._send_later)
        self._channel = channel
        self._io = io
        self._patience = patience
        self._outbox = Outbox(self.pending)
        self._waking = False
        self._writer_waits: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._session = ""
        self._stage = _Stage.AWAY
        self._progress = False
        self._closing = False
        self._ping = 0
        self._ping_due = False
        self._heard = 0.0

    # On any thread.

    def send(self, entry: PendingProposal) -> None:
        """Send a proposal that is pending."""
        self._outbox.add(entry)
        self._wake()

    def withdraw(self, entry: PendingProposal) -> None:
        """Withdraw a proposal at the service, if it was sent."""
        if self._outbox.withdraw(entry):
            self._wake()

    def note_await(self, task_run_id: str, awaited_task_run_id: str) -> None:
        """Report that a task run's code waits for another run; with an empty id, that it no longer waits."""
        self._outbox.note_await(task_run_id, awaited_task_run_id)
        self._wake()

    def _wake(self) -> None:
        # Callers append first and check the flag then; the writer clears it before it reads the outbox.
        if self._waking:
            return
        try:
            self._waking = True
            self._io.call_soon(self._on_wake)
        except BaseException:  # Ctrl-C in between: a flag without a wake-up would stall the stream forever
            self._waking = False
            raise

    # On the loop.

    async def close(self) -> None:
        """Send what is pending, say goodbye, and wait for the decisions."""
        self._closing = True
        if self._task is None:
            return
        # A first stream that is still being opened is waited for: its proposals are not sent yet.
        if self._stage is _Stage.OPEN or (self._stage is _Stage.OPENING and not self._session):
            self._on_wake()
        else:
            self._task.cancel()
        done, _ = await asyncio.wait([self._task], timeout=_GOODBYE_TIMEOUT)
        if not done:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_GOODBYE_TIMEOUT)

    def _on_wake(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
            self._task.add_done_callback(self._on_end)
        waiting = self._writer_waits
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """Note that there is no stream; the next proposal opens one."""
        self._task = None
        self._waking = False
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the stream to %s ended", self._channel.address, exc_info=error)
            self.pending.fail_all(lambda: ServiceError(f"the stream ended because of an SDK bug: {error!r}"))
        elif not self._closing and any(not entry.stream for entry in self.pending.all()):
            self._wake()

    async def _run(self) -> None:
        """Keep a stream open as long as there is a session."""
        loop = asyncio.get_running_loop()
        lost_since: float | None = None
        failures = 0
        while not self._closing:
            self._stage = _Stage.OPENING
            failure = await self._converse()
            self._stage = _Stage.AWAY
            if self._closing:
                return
            self._channel.note_failure(failure)
            if self._progress:
                lost_since, failures = None, 0
            lost_since = lost_since or loop.time()
            expired = bool(self._session) and isinstance(failure, SessionExpired)
            given_up = loop.time() - lost_since >= self._patience
            if expired:
                self._channel.note_reached()
                _log.warning("the session with %s had expired; a new one begins", self._channel.address)
                self._session = ""
                self._outbox.begin_session()
                runs_lost(self.pending.take_running())
            elif given_up or not self._may_pass(failure):
                self._fail_all(self._channel.why_given_up(failure))
                if not self._session:
                    return
            _log.debug("the stream to %s was lost: %s", self._channel.address, failure)
            failures += 1
            await asyncio.sleep((_RECONNECT_IDLE if given_up else RECONNECT).delay(failures))

    def _may_pass(self, failure: ServiceError) -> bool:
        """Return whether reconnecting may help; a server that was never reached is not retried."""
        return self._channel.reached and (
            isinstance(failure, ServerUnavailable) or (type(failure) is ServiceError and not failure.reason)
        )

    def _fail_all(self, failure: ServiceError) -> None:
        self.pending.fail_all(
            lambda: type(failure)(str(failure), failure.reason, failure.field, failure.metadata)
        )

    async def _converse(self) -> ServiceError:
        """Open a stream and use it until it ends; return why it ended."""
        self._progress = False
        stream = self._channel.open_stream()
        try:
            welcome = await asyncio.wait_for(self._greet(stream), _WELCOME_TIMEOUT)
            self._begin(welcome)
            loop = asyncio.get_running_loop()
            tasks = [
                loop.create_task(self._write(stream, welcome.max_message_bytes)),
                loop.create_task(self._keep_alive(stream, welcome.lease.ToTimedelta().total_seconds())),
            ]
            try:
                await self._read(stream)
            finally:
                self._stage = _Stage.AWAY
                for helper in tasks:
                    helper.cancel()
                await asyncio.wait(tasks)
        except grpc.aio.AioRpcError as error:
            return self._channel.exception_from(error)
        except SessionExpired as error:
            return error
        except TimeoutError:
            return unreachable(self._channel.address, f"no welcome within {_WELCOME_TIMEOUT:.0f} s")
        except asyncio.CancelledError:
            # gRPC raises this also if the server cancelled the stream, as it does when it stops.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return unreachable(self._channel.address, "it cancelled the stream")
        finally:
            stream.cancel()
        return unreachable(self._channel.address, "it ended the stream")

    async def _greet(self, stream: Stream) -> Welcome:
        greeting = hello()
        greeting.resume_session_id = self._session
        await stream.write(ProposeRequest(hello=greeting).SerializeToString())
        body = await stream.read()
        if not isinstance(body, bytes):
            raise TimeoutError
        response = ProposeResponse.FromString(body)
        self.pending.settle(response.decisions)
        return response.welcome

    def _begin(self, welcome: Welcome) -> None:
        """Start using the stream: adopt the session, and queue every proposal without a final decision."""
        self._channel.note_reached()
        self._session = welcome.session_id
        self._progress = not self._outbox.begin_stream()
        self._stage = _Stage.OPEN

    async def _keep_alive(self, stream: Stream, lease: float) -> None:
        """Renew the lease with pings; close a stream on which nothing was received for a whole lease."""
        loop = asyncio.get_running_loop()
        self._heard = loop.time()
        while loop.time() - self._heard < lease:
            await asyncio.sleep(lease / _PINGS)
            self._ping_due = True
            self._on_wake()
        _log.warning("nothing was received from %s for %.0f s; reconnecting", self._channel.address, lease)
        stream.cancel()

    async def _read(self, stream: Stream) -> None:
        loop = asyncio.get_running_loop()
        while isinstance(body := await stream.read(), bytes):
            self._heard = loop.time()
            decisions = ProposeResponse.FromString(body).decisions
            if decisions and self.pending.settle(decisions):
                self._progress = False
                raise SessionExpired("the session expired while its stream was open")
            self._progress = True

    async def _write(self, stream: Stream, max_bytes: int) -> None:
        try:
            while True:
                self._waking = False
                if messages := self._outbox.take(max_bytes):
                    for body in messages:
                        await stream.write(body)
                elif self._ping_due:
                    self._ping_due = False
                    self._ping += 1
                    await stream.write(ProposeRequest(ping=self._ping).SerializeToString())
                elif self._closing:
                    await stream.write(ProposeRequest(goodbye=True).SerializeToString())
                    await stream.done_writing()
                    return
                else:
                    self._writer_waits = asyncio.get_running_loop().create_future()
                    await self._writer_waits
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the stream has ended; the reader reports why
        except Exception:  # noqa: BLE001 - a stream without a writer is useless
            _log.exception("the writer of the stream to %s failed", self._channel.address)
            stream.cancel()

    def _send_later(self, delay: float, entry: PendingProposal) -> None:
        self._io.call_later(delay, self._send_again, entry)

    def _send_again(self, entry: PendingProposal) -> None:
        if self.pending.is_pending(entry):
            entry.stream = 0
            self.send(entry)
