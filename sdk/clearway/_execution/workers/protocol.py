"""The kinds of messages between a flow's process and its worker processes."""

from __future__ import annotations

from typing import Final

START: Final = b"S"
BEGUN: Final = b"B"
REPLY: Final = b"R"
LOG: Final = b"L"
