"""gRPC, imported with its own handling of forks off.

With it, a child that a user's task forks (as ``multiprocessing`` does on Linux) while the channel is in use
dies of a segmentation fault in every fourth or fifth case, though it never touches gRPC. Without it, none of
hundreds did. The variable is read during the import only. Where the user has set it, or has imported gRPC
before, that stands.
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
