"""Imports gRPC with its own fork handling turned off.

With fork handling, a child forked by a user's task (as ``multiprocessing`` does on Linux) while the channel
is in use segfaults in every fourth or fifth case, though it never touches gRPC. Without it, none of hundreds
did. The variable is only read during the import. A value set by the user, or an earlier import of gRPC, is
left as it is.
"""

from __future__ import annotations

import os
from typing import Final

_VARIABLE: Final = "GRPC_ENABLE_FORK_SUPPORT"

_is_ours = _VARIABLE not in os.environ
if _is_ours:
    os.environ[_VARIABLE] = "0"

import grpc  # noqa: E402 - after the variable is set
import grpc.aio  # noqa: E402

if _is_ours:
    del os.environ[_VARIABLE]

__all__ = ["grpc"]
