from __future__ import annotations

import re
import uuid
from importlib.metadata import version

from clearway._base.ids import new_id
from clearway._base.version import VERSION
from clearway._execution.flow.names import _WORDS, run_name


def test_a_name_is_two_plain_words() -> None:
    assert all(re.fullmatch(r"[a-z]+-[a-z]+", run_name()) for _ in range(100))


def test_no_word_is_there_twice() -> None:
    for words in _WORDS:
        assert sorted(set(words)) == sorted(words)


def test_there_are_many_names() -> None:
    assert len(_WORDS[0]) * len(_WORDS[1]) > 15_000


def test_ids_are_uuids_that_sort_by_time() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1_000
    assert uuid.UUID(ids[0]).version == 7


def test_the_version_is_the_distributions() -> None:
    assert version("clearway") == VERSION
