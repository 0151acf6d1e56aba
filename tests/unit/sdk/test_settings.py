from __future__ import annotations

import logging
from pathlib import Path

import pytest

from clearway._base.settings import Settings, forget_settings, get_settings, read_settings
from clearway.exceptions import InvalidSetting


def read(home: Path, profile: str = "", **variables: str) -> Settings:
    if profile:
        home.mkdir(parents=True, exist_ok=True)
        (home / "profile.toml").write_text(profile, encoding="utf-8")
    return read_settings({"CLEARWAY_HOME": str(home)} | variables)


def test_all_files_are_under_the_home_by_default(home: Path) -> None:
    settings = read(home)
    assert settings.home == home
    assert settings.database == home / "clearway.db"
    assert settings.local_storage_path == home / "storage"


def test_without_an_address_the_engine_is_embedded(home: Path) -> None:
    assert read(home).address is None


def test_the_home_is_in_the_users_directory_by_default() -> None:
    assert read_settings({}).home == Path("~/.clearway").expanduser()


def test_a_variable_wins_over_the_profile_and_the_profile_over_the_default(home: Path) -> None:
    profile = 'address = "profile:1"\nlogging_level = "warning"\nmax_threads = 7\n'
    settings = read(home, profile, CLEARWAY_ADDRESS="variable:2")
    assert settings.address == "variable:2"
    assert settings.logging_level == logging.WARNING
    assert settings.max_threads == 7
    assert settings.reconnect_timeout == 60


@pytest.mark.parametrize(("word", "meant"), [("true", True), ("On", True), ("1", True), ("no", False)])
def test_a_flag_is_said_in_several_words(home: Path, word: str, meant: bool) -> None:
    assert read(home, CLEARWAY_LOGGING_LOG_PRINTS=word).logging_log_prints is meant


def test_an_empty_address_means_embedded_whatever_the_profile_names(home: Path) -> None:
    assert read(home, 'address = "profile:1"', CLEARWAY_ADDRESS="").address is None


def test_another_empty_variable_counts_as_unset(home: Path) -> None:
    assert read(home, "max_threads = 7", CLEARWAY_MAX_THREADS="").max_threads == 7


def test_a_path_may_begin_with_the_users_directory(home: Path) -> None:
    settings = read(home, CLEARWAY_LOCAL_STORAGE_PATH="~/results")
    assert settings.local_storage_path == Path("~/results").expanduser()


def test_a_relative_path_stays_what_it_was_when_it_was_read(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read(home, CLEARWAY_DATABASE="x.db").database == tmp_path / "x.db"


@pytest.mark.parametrize("address", ["127.0.0.1:4200", "localhost:1", "[::1]:4200", "a.b-c.example:65535"])
def test_an_address_is_a_host_and_a_port(home: Path, address: str) -> None:
    assert read(home, CLEARWAY_ADDRESS=address).address == address


@pytest.mark.parametrize(
    ("variable", "value", "right"),
    [
        ("CLEARWAY_ADDRESS", "http://127.0.0.1:4200", "host:port"),
        ("CLEARWAY_ADDRESS", "127.0.0.1", "host:port"),
        ("CLEARWAY_ADDRESS", ":4200", "host:port"),
        ("CLEARWAY_ADDRESS", "::1:4200", "host:port"),
        ("CLEARWAY_ADDRESS", "host:", "from 1 to 65,535"),
        ("CLEARWAY_ADDRESS", "host:0", "from 1 to 65,535"),
        ("CLEARWAY_ADDRESS", "host:65536", "from 1 to 65,535"),
        ("CLEARWAY_ADDRESS", "host:٤٢", "from 1 to 65,535"),
        ("CLEARWAY_LOGGING_LOG_PRINTS", "maybe", "true or false"),
        ("CLEARWAY_LOGGING_LEVEL", "LOUD", "DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("CLEARWAY_MAX_THREADS", "many", "from 1 to 10,000"),
        ("CLEARWAY_MAX_THREADS", "0", "from 1 to 10,000"),
        ("CLEARWAY_MAX_THREADS", "10001", "from 1 to 10,000"),
        ("CLEARWAY_RECONNECT_TIMEOUT", "-1", "from 0 to 86,400"),
        ("CLEARWAY_RECONNECT_TIMEOUT", "nan", "from 0 to 86,400"),
        ("CLEARWAY_RECONNECT_TIMEOUT", "soon", "from 0 to 86,400"),
    ],
)
def test_a_bad_value_is_named_with_its_variable_and_what_would_be_right(
    home: Path, variable: str, value: str, right: str
) -> None:
    with pytest.raises(InvalidSetting) as caught:
        read(home, **{variable: value})
    message = str(caught.value)
    assert message.startswith(f"{variable} is {value!r}; it must be ")
    assert right in message


@pytest.mark.parametrize(
    "line",
    ["max_threads = true", "max_threads = 1.5", "address = 4200", "database = 1", "logging_level = 20"],
)
def test_a_bad_value_in_the_profile_is_named_with_its_file(home: Path, line: str) -> None:
    name = line.split(" ", maxsplit=1)[0]
    with pytest.raises(InvalidSetting, match=rf"{name} in .*profile.toml is .*; it must be "):
        read(home, line)


def test_an_unknown_name_in_the_profile_is_an_error_that_names_the_nearest_right_one(home: Path) -> None:
    with pytest.raises(
        InvalidSetting, match=r"sets adress in line 1, which is not a setting; did you mean address\?"
    ):
        read(home, 'adress = "x:1"')


def test_a_profile_that_is_not_toml_is_an_error_that_names_it(home: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"profile\.toml is not TOML: "):
        read(home, "address: x")


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before = get_settings()
    monkeypatch.setenv("CLEARWAY_MAX_THREADS", "3")
    assert get_settings() is before
    forget_settings()
    assert get_settings().max_threads == 3


def test_extra_loggers_are_named_with_commas_or_as_a_list(home: Path) -> None:
    assert read(home).logging_extra_loggers == ()
    assert read(home, CLEARWAY_LOGGING_EXTRA_LOGGERS="a, b.c,").logging_extra_loggers == ("a", "b.c")
    assert read(home, 'logging_extra_loggers = ["a", "b.c"]').logging_extra_loggers == ("a", "b.c")


@pytest.mark.parametrize(
    ("variable", "value", "right"),
    [
        ("CLEARWAY_DISPLAY", "sometimes", "one of auto, always, never"),
        ("CLEARWAY_DEBUG", "maybe", "true or false"),
    ],
)
def test_a_wrong_switch_says_what_would_be_right(home: Path, variable: str, value: str, right: str) -> None:
    with pytest.raises(InvalidSetting, match=f"{variable} is {value!r}; it must be {right}"):
        read(home, **{variable: value})


def test_a_list_of_loggers_that_is_none_is_refused(home: Path) -> None:
    with pytest.raises(
        InvalidSetting, match=r"logging_extra_loggers in .* is 3; it must be names of loggers"
    ):
        read(home, "logging_extra_loggers = 3")
