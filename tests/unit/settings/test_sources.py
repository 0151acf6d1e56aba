"""Where settings come from, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearway._settings.errors import SettingError
from clearway._settings.nearest import nearest
from clearway._settings.profile import Profile
from clearway._settings.showing import show
from clearway._settings.sources import DEFAULT, Sources
from clearway._settings.table import HOME, TABLE

SECRET = "hunter2-the-key"


def sources(home: Path, profile: str = "", options: dict[str, str] | None = None, **environ: str) -> Sources:
    home.mkdir(parents=True, exist_ok=True)
    (home / "profile.toml").write_text(profile, encoding="utf-8")
    return Sources({"CLEARWAY_HOME": str(home)} | environ, options)


def error(found: Sources, name: str) -> str:
    with pytest.raises(SettingError) as caught:
        found.get(name)
    return str(caught.value)


def problem(found: Sources) -> str:
    with pytest.raises(SettingError) as caught:
        found.check_profile()
    return str(caught.value)


def test_an_option_wins_over_a_variable_that_over_the_profile_and_that_over_the_default(home: Path) -> None:
    profile = "port = 1\nlease_seconds = 2\nmax_threads = 3\n"
    found = sources(home, profile, {"port": "7"}, CLEARWAY_PORT="6", CLEARWAY_LEASE_SECONDS="5")
    seen = [(found.get(name), found.given(name).source) for name in ("port", "lease_seconds", "max_threads")]
    assert seen == [(7, "--port"), (5.0, "CLEARWAY_LEASE_SECONDS"), (3, "profile.toml line 3")]
    assert (found.get("host"), found.given("host").source) == ("127.0.0.1", DEFAULT)


@pytest.mark.parametrize("name", TABLE)
def test_every_default_is_allowed_and_is_what_it_is_shown_as(home: Path, name: str) -> None:
    found = sources(home)
    shown = show(found, name)
    assert not shown.problem
    if name != HOME:
        assert shown.source == DEFAULT
        again = sources(home, **{TABLE[name].variable: shown.value})
        assert again.get(name) == found.get(name)


def test_a_setting_of_the_server_in_the_profile_is_no_mistake_of_a_flow(home: Path) -> None:
    found = sources(home, "lease_seconds = 60\nport = 4300\nmax_threads = 4")
    found.check_profile()
    assert (found.get("lease_seconds"), found.get("port"), found.get("max_threads")) == (60.0, 4300, 4)


@pytest.mark.parametrize(
    ("key", "right"),
    [
        ("adress", "address"),
        ("lease", "lease_seconds"),
        ("leaseSeconds", "lease_seconds"),
        ("CLEARWAY_ADDRESS", "address"),
        ("max-threads", "max_threads"),
        ("signing_key", "result_signing_key"),
        ("log_level", "logging_level"),
        ("server_port", "port"),
        ("databse", "database"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_the_nearest_right_one(
    home: Path, key: str, right: str
) -> None:
    said = problem(sources(home, f'# a comment\n\n"{key}" = 1\n'))
    assert said.endswith(f"sets {key} in line 3, which is not a setting; did you mean {right}?")


def test_a_key_that_is_like_none_is_an_error_that_says_where_all_are(home: Path) -> None:
    said = problem(sources(home, "zzz = 1"))
    assert said.endswith(
        "sets zzz in line 1, which is not a setting; `clearway config view` lists the settings"
    )


def test_all_unknown_keys_are_named(home: Path) -> None:
    said = problem(sources(home, "adress = 1\nport = 1\ndatabse = 2"))
    assert "adress in line 1" in said
    assert "databse in line 3" in said


@pytest.mark.parametrize("profile", ["[server]\nport = 1", "server.port = 1", "[[server]]\nport = 1"])
def test_a_table_is_an_error_that_says_where_settings_stand(home: Path, profile: str) -> None:
    assert problem(sources(home, profile)).endswith(
        "sets server in line 1, which is a table, not a setting; settings are lines at the top of the file"
    )


def test_the_profile_cannot_move_the_home_that_it_is_in(home: Path) -> None:
    assert "which only the variable CLEARWAY_HOME sets" in problem(sources(home, 'home = "/elsewhere"'))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"address: x", "profile.toml is not TOML: "),
        (b"\xff = 1", "profile.toml is not TOML: it is not UTF-8"),
        (b"port = " + b"[" * 5_000, "profile.toml is not TOML: "),
        (b"#" * 2**20 + b"#", "profile.toml has more than 1,048,576 bytes"),
    ],
)
def test_a_profile_that_cannot_be_read_is_named(home: Path, body: bytes, said: str) -> None:
    found = sources(home)
    (home / "profile.toml").write_bytes(body)
    assert said in problem(found)


def test_a_wrong_value_is_named_with_its_line_also_after_values_of_several_lines(home: Path) -> None:
    profile = 'logging_extra_loggers = [\n  "port = 1",\n]\naddress = """\nport = 2\n"""\nport = "x"\n'
    assert error(sources(home, profile), "port") == (
        f"port in line 7 of {home}/profile.toml is 'x'; it must be a whole number from 0 to 65,535"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "70000"),
        ("port", "-1"),
        ("port", "٤٢٠٠"),
        ("port", "1" * 10_000),
        ("port", "4_2.0"),
        ("lease_seconds", "0.5"),
        ("lease_seconds", "nan"),
        ("lease_seconds", "inf"),
        ("lease_seconds", "1e400"),
        ("max_connection_age_seconds", "99999999"),
        ("max_message_bytes", "1"),
        ("max_message_bytes", "3000000000"),
        ("host", "http://x"),
        ("database", ":memory:"),
        ("database", "postgresql://x/y"),
        ("debug", "perhaps"),
    ],
)
def test_a_wrong_value_of_a_variable_or_option_is_named_with_what_is_right(
    home: Path, name: str, value: str
) -> None:
    setting = TABLE[name]
    said = error(sources(home, **{setting.variable: value}), name)
    assert said.startswith(f"{setting.variable} is ")
    assert said.endswith(f"; it must be {setting.kind.expected}")
    assert len(said) < 500
    assert error(sources(home, options={name: value}), name).startswith(f"--{name.replace('_', '-')} is ")


def test_what_clients_have_together_is_no_less_than_what_one_has(home: Path) -> None:
    found = sources(home, CLEARWAY_MAX_CLIENT_BYTES="2000000", CLEARWAY_MAX_INFLIGHT_BYTES="1900000")
    assert error(found, "max_inflight_bytes") == (
        "CLEARWAY_MAX_INFLIGHT_BYTES is 1900000; it must be at least max_client_bytes, which is 2000000"
    )


def test_secrets_are_neither_shown_nor_in_errors(home: Path) -> None:
    found = sources(
        home,
        f'result_extra_storages = "ftp://me:{SECRET}@host/x,/srv"\nresult_signing_key = "{SECRET}"',
        CLEARWAY_RESULT_STORAGE=f"s3://key:{SECRET}@bucket/x?token={SECRET}",
    )
    shown = [show(found, name) for name in TABLE]
    assert SECRET not in repr(shown)
    assert "ftp://me:***@host/x,/srv" in repr(shown)
    assert show(found, "result_signing_key").value == "***"
    wrong = sources(
        home,
        f'result_signing_key = ["{SECRET}"]\nresult_extra_storages = [["{SECRET}"]]',
        CLEARWAY_RESULT_STORAGE=f"s3://key:{SECRET}@bucket//x",
    )
    names = ("result_signing_key", "result_extra_storages", "result_storage")
    assert SECRET not in "".join(error(wrong, name) for name in names)
    assert SECRET not in problem(sources(home, f'signing_kee = "{SECRET}"'))


def test_an_unknown_variable_is_warned_of_with_the_nearest_right_name(home: Path) -> None:
    found = sources(home, CLEARWAY_ADRESS="x", CLEARWAY_ZZZ="y", CLEARWAY_PORT="1", CLEARWAYS="z")
    begin, end = "the variable ", "is not one of Clearway's settings and is ignored"
    assert list(found.unknown_variables()) == [
        f"{begin}CLEARWAY_ADRESS {end}; did you mean CLEARWAY_ADDRESS?",
        f"{begin}CLEARWAY_ZZZ {end}; `clearway config view` lists them",
    ]


def test_a_variable_whose_name_steers_terminals_is_harmless(home: Path) -> None:
    (said,) = sources(home, **{"CLEARWAY_\x1b[2J\n" + "é" * 10_000: "x"}).unknown_variables()
    assert said.isascii()
    assert said.isprintable()
    assert len(said) < 700


def test_variables_that_kubernetes_sets_for_a_service_of_our_name_are_no_settings(home: Path) -> None:
    links = {
        "CLEARWAY_PORT": "tcp://10.0.0.1:4200",
        "CLEARWAY_SERVICE_HOST": "10.0.0.1",
        "CLEARWAY_SERVICE_PORT": "4200",
        "CLEARWAY_SERVICE_PORT_GRPC": "4200",
        "CLEARWAY_PORT_4200_TCP": "tcp://10.0.0.1:4200",
        "CLEARWAY_PORT_4200_TCP_ADDR": "10.0.0.1",
        "CLEARWAY_SERVER_PORT": "tcp://10.0.0.1:4200",
    }
    inside = sources(home, **links, KUBERNETES_SERVICE_HOST="10.0.0.2")
    assert inside.get("port") == 4200
    assert inside.given("port").source == DEFAULT
    assert list(inside.unknown_variables()) == []
    outside = sources(home, **links)
    assert "CLEARWAY_PORT is 'tcp://10.0.0.1:4200'; it must be " in error(outside, "port")
    assert len(list(outside.unknown_variables())) == 6


def test_without_a_home_the_error_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda _uid: {}["nobody"])
    assert "this user has no home directory (HOME is not set); set CLEARWAY_HOME" in error(Sources({}), HOME)
    found = Sources({"CLEARWAY_HOME": "/srv/clearway", "CLEARWAY_DATABASE": "~nobody-of-this-name/x.db"})
    assert found.get("local_storage_path") == Path("/srv/clearway/storage")
    assert "there is no home directory of a user 'nobody-of-this-name'" in error(found, "database")


@given(st.text(max_size=300))
def test_any_text_is_a_profile_or_an_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("home")
    (folder / "profile.toml").write_text(text, encoding="utf-8", errors="replace", newline="")
    for each in Profile(folder).problems:
        assert str(folder) in each


@given(st.text(max_size=300), st.sampled_from(list(TABLE)))
def test_any_text_is_a_value_or_an_error_that_names_the_setting(text: str, name: str) -> None:
    found = Sources({"CLEARWAY_HOME": "/srv/clearway"}, {name: text})
    shown = show(found, name)
    assert shown.source == f"--{name.replace('_', '-')}"
    assert not shown.problem or shown.problem.startswith(f"{shown.source} is ")


def test_a_name_is_nearest_to_itself() -> None:
    assert {nearest(name, TABLE) for name in TABLE} == set(TABLE)
