"""``service/checker_sources.py``, which is no part of the package, as a module."""

from __future__ import annotations

import sys

from support.documents import ROOT

sys.path.append(str(ROOT / "service"))

from checker_sources import READ as READ  # noqa: E402 - found by now
from checker_sources import request_messages as request_messages  # noqa: E402
from checker_sources import rules_of as rules_of  # noqa: E402
