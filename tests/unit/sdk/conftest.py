"""What the SDK's unit tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clearway._base.settings import forget_settings


@pytest.fixture(autouse=True)
def fresh_settings(home: Path) -> Iterator[None]:
    """Let the settings be read anew."""
    del home
    forget_settings()
    yield
    forget_settings()
