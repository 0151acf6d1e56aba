from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path

import pytest

import clearway
from clearway._base.settings import forget_settings
from clearway._base.tracebacks import folded
from clearway.exceptions import InvalidSetting, MissingContext

OURS = str(Path(clearway.__file__).parent / "made_up.py")
THEIRS = "/home/user/flow.py"


def compiled(source: str, filename: str, **names: object) -> dict[str, object]:
    """Return what a module of this source, in this file, would have."""
    exec(compile(source, filename, "exec"), names)
    return names


def raised(*files: str, error: Exception) -> Exception:
    """Return an exception that was raised through functions of these files, the outermost first."""
    call: object = compiled("def call():\n    raise error\n", files[-1], error=error)["call"]
    for file in reversed(files[:-1]):
        call = compiled("def call():\n    inner()\n", file, inner=call)["call"]
    assert callable(call)
    try:
        call()
    except Exception as caught:  # noqa: BLE001 - that is what is wanted
        trace = caught.__traceback__
        return caught.with_traceback(trace.tb_next if trace else None)
    raise AssertionError


def files(error: BaseException) -> list[str]:
    return [frame.filename for frame in traceback.extract_tb(error.__traceback__)]


def test_our_frames_are_left_out_wherever_they_are() -> None:
    error = raised(OURS, OURS, THEIRS, OURS, THEIRS, error=ValueError("bad"))
    assert folded(error) is error
    assert files(error) == [THEIRS, THEIRS]


def test_our_last_frames_stay_since_they_may_be_a_flaw_of_ours() -> None:
    error = raised(OURS, THEIRS, OURS, OURS, error=TypeError("what is that?"))
    folded(error)
    assert files(error) == [THEIRS, OURS, OURS]


def test_of_an_exception_of_the_sdk_only_the_users_frames_stay() -> None:
    error = raised(THEIRS, OURS, OURS, error=MissingContext("call it in a flow"))
    folded(error)
    assert files(error) == [THEIRS]


def test_what_it_came_from_is_folded_too() -> None:
    cause, context, member = (raised(OURS, THEIRS, error=ValueError(name)) for name in "abc")
    error = raised(OURS, THEIRS, error=ExceptionGroup("several", [member]))
    error.__cause__ = cause
    cause.__context__ = context
    context.__context__ = error  # a circle, as careless code makes one
    folded(error)
    assert [files(each) for each in (error, cause, context, member)] == [[THEIRS]] * 4


def test_with_the_setting_all_frames_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARWAY_DEBUG", "1")
    forget_settings()
    error = raised(OURS, THEIRS, error=ValueError("bad"))
    folded(error)
    forget_settings()
    assert files(error) == [OURS, THEIRS]


def test_with_a_wrong_setting_frames_are_folded_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLEARWAY_RESULT_STORAGE", "memory://")
    forget_settings()
    error = raised(THEIRS, OURS, error=InvalidSetting("CLEARWAY_RESULT_STORAGE is wrong"))
    assert folded(error) is error
    assert files(error) == [THEIRS]
    program = tmp_path / "program.py"
    program.write_text("from clearway import flow\n\n@flow\ndef some():\n    pass\n\nsome()\n")
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False
    )
    forget_settings()
    assert done.returncode == 1
    assert "clearway.exceptions.InvalidSetting: CLEARWAY_RESULT_STORAGE" in done.stderr
    assert done.stderr.count("  File ") == 1, done.stderr
    assert "During handling" not in done.stderr


def test_an_exception_that_was_never_raised_has_nothing_to_fold() -> None:
    assert folded(ValueError("bad")).__traceback__ is None
