"""Settings: where each value comes from, what is refused, and that passwords stay out."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattstorm.errors import UsageError
from wattstorm.setting_values import Limits, checked, mask_url, parse, shown, split_password
from wattstorm.settings import Settings


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(environ: dict[str, str] | None = None, toml: str | None = None, **kw) -> Settings:
    if toml is not None:
        Path("wattstorm.toml").write_text(toml, "utf-8")
    return Settings.load(environ=environ or {}, **kw)


def test_without_any_source_every_value_is_a_default() -> None:
    """An empty directory and environment give the documented defaults."""
    settings = load()
    assert settings.store.url == ""
    assert settings.stream.scopes == ("nation", "tariff", "region")
    assert settings.log.backlog_mb == 512
    assert settings.dead_letters.keep == 10_000
    assert {row.origin for row in settings.rows()} == {"default"}


def test_the_environment_wins_over_the_file_and_an_option_over_both(tmp_path: Path) -> None:
    """default < TOML < environment < option, each remembered as the origin."""
    toml = "[batch]\nmax_blocks = 2\npending = 3\n[stream]\nopen_days = 5\n"
    settings = load(
        {"WATTSTORM_BATCH_MAX_BLOCKS": "7", "WATTSTORM_STREAM_OPEN_DAYS": "6"},
        toml,
        options={"stream.open_days": 9, "log.backlog_mb": None},
    )
    assert (settings.batch.max_blocks, settings.batch.pending) == (7, 3)
    assert settings.stream.open_days == 9
    assert settings.origins["batch.pending"] == str(tmp_path / "wattstorm.toml")
    assert settings.origins["batch.max_blocks"] == "environment WATTSTORM_BATCH_MAX_BLOCKS"
    assert settings.origins["stream.open_days"] == "command line"
    assert settings.origins["log.backlog_mb"] == "default"


def test_redis_url_names_the_store_unless_our_own_variable_does() -> None:
    """REDIS_URL is what hosts set; the more specific variable wins; an empty one is none."""
    assert load({"REDIS_URL": "redis://a:1/0"}).store.url == "redis://a:1/0"
    both = {"REDIS_URL": "redis://a:1/0", "WATTSTORM_STORE_URL": "redis://b:2/0"}
    assert load(both).store.url == "redis://b:2/0"
    assert load({"REDIS_URL": ""}).store.url == ""


def test_a_named_file_is_read_and_must_exist(tmp_path: Path) -> None:
    """--config and WATTSTORM_CONFIG name a file; a missing one is an error, not a default."""
    other = tmp_path / "other.toml"
    other.write_text("[batch]\npending = 2\n")
    assert load(config=other).batch.pending == 2
    assert load({"WATTSTORM_CONFIG": str(other)}).batch.pending == 2
    with pytest.raises(UsageError, match=r"no configuration file .*gone\.toml"):
        load(config=tmp_path / "gone.toml")


def test_a_directory_in_the_file_is_relative_to_the_file(tmp_path: Path) -> None:
    """So that a command started elsewhere with --config finds the same store."""
    assert load(toml='[data]\ndirectory = "state"').data.directory == tmp_path / "state"
    assert load({"WATTSTORM_DATA_DIRECTORY": "here"}).data.directory == tmp_path / "here"


def test_the_default_directory_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_DATA_HOME when absolute, else ~/.local/share."""
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert load().data.directory == Path("/somewhere/wattstorm")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert load().data.directory == Path.home() / ".local/share/wattstorm"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[strem]\nopen_days = 3", r"no section is called strem; did you mean stream\?"),
        ("[stream]\nopen_day = 3", r"no setting is called stream\.open_day; did you mean"),
        ("stream = 3", r"stream = 3 is a value; stream is a table"),
        ('[stream]\nopen_days = "3"', r"stream\.open_days .*'3', of type str; .*whole number"),
        ("[stream]\nopen_days = true", r"of type bool"),
        ("[stream]\nopen_days = 0", r"is 0; it must be between 1 and 31"),
        ("[stream]\nslot_minutes = 20", r"is 20; it may be one of 10, 15, 30, 60"),
        ("[stream]\nfinal_coverage = nan", r"is nan; it must be between 0 and 1"),
        ("[log]\nfull_timeout_s = -1", r"is -1\.0; it must be at least 0"),
        ('[log]\nwhen_full = "shedd"', r"'shedd'; did you mean shed\?"),
        ('[stream]\ntime_zone = "Europe/Pariss"', r"no time zone; did you mean Europe/Paris\?"),
        ('[stream]\ntime_zone = "../etc/passwd"', r"no time zone"),
        ('[stream]\nscopes = ["nation", "regions"]', r"'regions'; did you mean region\?"),
        ("[stream]\nscopes = []", r"at least one of nation, tariff, region"),
        ('[stream]\nscopes = ["nation", "nation"]', r"each once"),
        ('[store]\nprefix = "a:{b}"', r"letters, digits"),
        ('[store]\nurl = "http://u:hush@h"', r"http://u:\*\*\*@h.*redis://host:6379/0"),
        ('[store]\nurl = "redis://h:port"', r"redis://host:6379/0"),
        ('[engine]\ntopology = "load_curves"', r"topologies\.load_curves:LoadCurves"),
        ("[stream\n", r"cannot be read as TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_value_limit_and_remedy(
    toml: str, message: str
) -> None:
    """Unknown names, wrong types and values out of range, each with what to do."""
    with pytest.raises(UsageError, match=message):
        load(toml=toml)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("WATTSTORM_BATCH_PENDING", "many", r"WATTSTORM_BATCH_PENDING is 'many'.*whole number"),
        ("WATTSTORM_BATCH_PENDING", "0", r"batch\.pending \(environment .*\) is 0; .*1 and 1024"),
        ("WATTSTORM_BATCH_PENDIN", "2", r"did you mean WATTSTORM_BATCH_PENDING\?"),
        ("WATTSTORM_BACTH_PENDING", "2", r"did you mean WATTSTORM_BATCH_PENDING\?"),
    ],
)
def test_a_wrong_variable_is_refused(variable: str, value: str, message: str) -> None:
    """A typo in a variable's name must not silently leave a default in force."""
    with pytest.raises(UsageError, match=message):
        load({variable: value})


def test_other_variables_are_left_alone() -> None:
    """The password, and variables of other tools that begin like ours."""
    load({"WATTSTORM_STORE_PASSWORD": "hush", "WATTSTORM_XYZ": "1", "HOME": "/"})


def test_lists_in_the_environment_are_separated_by_commas() -> None:
    """Spaces around the names do not matter."""
    assert load({"WATTSTORM_STREAM_SCOPES": "nation, tariff"}).stream.scopes == ("nation", "tariff")


SECRET_URLS = [
    "redis://meter:hush@store:6379/0",
    "rediss://:hush@store:6379/0?ssl_ca_certs=/etc/ca.pem",
    "unix://meter@/run/redis.sock?password=hush&db=1",
]


@pytest.mark.parametrize("url", SECRET_URLS)
def test_a_password_is_neither_shown_nor_sent_to_storm(url: str) -> None:
    """rows() masks it, to_conf() leaves it out, secrets() is the way to a worker."""
    settings = load({"REDIS_URL": url})
    row = next(row for row in settings.rows() if row.name == "store.url")
    assert "hush" not in row.value
    assert "***" in row.value
    assert "hush" not in json.dumps(settings.to_conf())
    assert settings.secrets({}) == {"WATTSTORM_STORE_PASSWORD": "hush"}
    assert Settings.from_conf(settings.to_conf()).store.url == split_password(url)[0]


@given(
    user=st.text("abc", max_size=4),
    password=st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=12),
    scheme=st.sampled_from(["redis", "rediss"]),
)
def test_no_password_survives_masking(user: str, password: str, scheme: str) -> None:
    """Whatever characters a password has, quoted as a URL asks, it is found and masked."""
    from urllib.parse import quote

    url = f"{scheme}://{user}:{quote(password, safe='')}@host:6379/2"
    assert mask_url(url) == f"{scheme}://{user}:***@host:6379/2"
    assert split_password(url) == (f"{scheme}://{user + '@' if user else ''}host:6379/2", password)


def test_conf_goes_through_json_and_back_unchanged() -> None:
    """What Storm carries as JSON gives equal settings in the worker."""
    settings = load({"WATTSTORM_STREAM_SCOPES": "nation", "WATTSTORM_STORE_TIMEOUT_S": "2.5"})
    again = Settings.from_conf(json.loads(json.dumps(settings.to_conf())))
    assert again == settings
    assert again.origins["store.timeout_s"] == "topology"


def test_conf_is_checked_like_a_file() -> None:
    """A topology submitted by another version fails with a name, not later with a KeyError."""
    conf = load().to_conf()
    conf["stream"]["mystery"] = 1
    with pytest.raises(UsageError, match=r"topology: no setting is called stream\.mystery"):
        Settings.from_conf(conf)


def test_replaced_values_are_checked_and_keep_the_other_origins() -> None:
    """The engine puts the embedded store's address into what it hands to its workers."""
    settings = load({"WATTSTORM_BATCH_PENDING": "2"})
    changed = settings.replaced({"store.url": "unix:///run/s.sock"}, "embedded store")
    assert changed.store.url == "unix:///run/s.sock"
    assert changed.origins["store.url"] == "embedded store"
    assert changed.origins["batch.pending"] == "environment WATTSTORM_BATCH_PENDING"
    with pytest.raises(UsageError):
        settings.replaced({"store.ulr": "x"}, "test")


def test_every_setting_has_a_description_of_one_line() -> None:
    """`wattstorm config show` has something to say about each."""
    for row in load().rows():
        assert 10 < len(row.description) < 100, row
        assert "\n" not in row.description


def test_a_setting_may_be_true_or_false() -> None:
    """The words that people write, and no number in their place; shown as TOML has it."""
    words = {"true": True, "Yes": True, "1": True, "FALSE": False, "no": False, " 0 ": False}
    assert {word: parse(bool, word, "a.b") for word in words} == words
    assert [checked(bool, value, Limits(), "a.b") for value in (True, False)] == [True, False]
    assert [shown(value) for value in (True, False)] == ["true", "false"]
    for refused in (lambda: parse(bool, "maybe", "a.b"), lambda: checked(bool, 1, Limits(), "a.b")):
        with pytest.raises(UsageError, match=r"a\.b is .*") as said:
            refused()
        assert said.value.remedy == "it must be true or false"


def test_settings_can_be_pickled() -> None:
    """The local engine hands them to processes."""
    assert pickle.loads(pickle.dumps(load())) == load()
