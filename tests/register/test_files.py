"""Damaged registers are refused by name; builds that are cut short leave a whole one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.register.cases import built, everything, row, source
from wattstorm.errors import RegisterError
from wattstorm.files.meters import build_register
from wattstorm.register.files import building, prune
from wattstorm.register.register import Register
from wattstorm.register.versions import Version, Versions

ARRAYS = (
    "ids",
    "index",
    "entries",
    "first_days",
    "last_days",
    "change_keys",
    "change_entries",
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a register of version 2, whose meters 0 and 1 have changes."""
    folder = tmp_path_factory.mktemp("sound")
    built(folder, [row(k, f"t{k % 3}") for k in range(40)])
    built(folder, [row(k, "t2", valid_from="2020-01-01") for k in range(2)])
    return folder


def damaged(sound: Path, tmp_path: Path) -> tuple[Path, Path]:
    """(register, its folder of arrays), copied from the sound one."""
    register = tmp_path / "register"
    shutil.copytree(sound / "register", register)
    return register, register / "version-000002"


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("harm", ["missing", "cut", "flipped", "empty"])
def test_a_damaged_file_is_refused(sound: Path, tmp_path: Path, name: str, harm: str) -> None:
    """The file is named, with what to do about it."""
    register, arrays = damaged(sound, tmp_path)
    path = arrays / f"{name}.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.unlink()
    if harm != "missing":
        path.write_bytes({"cut": data[:-1], "flipped": data, "empty": b""}[harm])
    with pytest.raises(RegisterError, match=rf"{name}\.npy .*build the register again"):
        Register.open(register)


def test_a_large_damaged_file_is_found_by_verify(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large files are only measured at opening; a flipped bit in them is found by `verify`."""
    monkeypatch.setattr("wattstorm.register.files.SMALL_BYTES", 0)
    register, arrays = damaged(sound, tmp_path)
    Register.open(register).verify()
    data = bytearray((arrays / "ids.npy").read_bytes())
    data[-1] ^= 1
    (arrays / "ids.npy").write_bytes(data)
    with pytest.raises(RegisterError, match=r"ids\.npy has not the checksum its card names"):
        Register.open(register).verify()
    (arrays / "ids.npy").write_bytes(b"\x00" * len(data))
    with pytest.raises(RegisterError, match=r"ids\.npy is no array"):
        Register.open(register)
    (arrays / "ids.npy").write_bytes(data.replace(b"(40,)", b"(39,)"))
    with pytest.raises(RegisterError, match="ids has 39 rows, its card says 40"):
        Register.open(register)


CARDS = {
    "half a card": (lambda card: json.dumps(card)[:100], "cannot be read"),
    "bytes": (lambda card: "\x00\x01", "cannot be read"),
    "a list": (lambda card: "[]", "is no card of a register"),
    "another schema": (
        lambda card: json.dumps(card | {"schema": 99}),
        "has schema 99, .* reads .1, 2",
    ),
    "wrong count": (lambda card: json.dumps(card | {"meters": 41}), "damaged or was edited"),
    "bad dates": (lambda card: json.dumps(card | {"change_dates": ["x"]}), "damaged or was edited"),
    "no files": (lambda card: json.dumps(card | {"files": {}}), "damaged or was edited by hand"),
    "no checksum": (lambda card: json.dumps(card | {"checksum": ""}), "damaged or was edited"),
}


@pytest.mark.parametrize("harm", CARDS)
def test_a_damaged_card_is_refused(sound: Path, tmp_path: Path, harm: str) -> None:
    """A card that cannot be meant is refused by `open` and by `build`, which writes nothing."""
    register, _ = damaged(sound, tmp_path)
    spoil, message = CARDS[harm]
    card = register / "card.json"
    card.write_text(spoil(json.loads(card.read_text())))
    before = sorted(register.rglob("*"))
    with pytest.raises(RegisterError, match=message):
        Register.open(register)
    with pytest.raises(RegisterError, match=message):
        built(tmp_path, [row(99)])
    assert sorted(register.rglob("*")) == before


def test_a_directory_without_a_register_says_how_to_make_one(tmp_path: Path) -> None:
    """The message ends with the command to type."""
    with pytest.raises(
        RegisterError, match="holds no register; make one: wattstorm register build"
    ):
        Register.open(tmp_path)


def test_two_builds_at_once_are_refused(tmp_path: Path) -> None:
    """The second is told to wait; the first is not disturbed."""
    directory = tmp_path / "register"
    with building(directory), pytest.raises(RegisterError, match="being built by another process"):
        built(tmp_path, [row(1)])
    assert built(tmp_path, [row(1)]).count == 1


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where the directory should be: our own error with the path."""
    (tmp_path / "register").write_text("in the way")
    with pytest.raises(RegisterError, match="register cannot be written: "):
        built(tmp_path, [row(1)])


KILLED = """
import os, sys
from pathlib import Path
from wattstorm.files.meters import build_register
left = [int(sys.argv[1])]
def dying(real):
    def call(*args, **more):
        if left[0] == 0:
            os._exit(9)
        left[0] -= 1
        return real(*args, **more)
    return call
os.fsync = dying(os.fsync)
Path.mkdir, Path.rename, Path.replace = map(dying, (Path.mkdir, Path.rename, Path.replace))
build_register([Path(sys.argv[2])], Path(sys.argv[3]))
print(left[0])
"""


@pytest.mark.parametrize("steps", [1, 2, 5, 8, 9, 10, 11, 12, 13, 14, 15])
def test_a_build_killed_at_any_step_leaves_the_old_or_the_new_register(
    sound: Path, tmp_path: Path, steps: int
) -> None:
    """Dies before its n-th write, rename or flush: what opens is whole, and a new build works."""
    register, _ = damaged(sound, tmp_path)
    old = everything(Register.open(register), [0, 19_000])
    extra = source(tmp_path, [row(1000), row(3, "t9", valid_from="2021-01-01")], "extra.csv")
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(steps), str(extra), str(register)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.returncode == 9, run.stdout + run.stderr
    found = Register.open(register)
    found.verify()
    if found.version == 2:
        assert everything(found, [0, 19_000]) == old
    else:
        assert steps > 13
    after = build_register([extra], register)
    assert (after.version, after.count) == (3, 41)
    versions = [f"version-{n:06d}" for n in (1, 2, 3)]
    assert sorted(p.name for p in register.iterdir()) == ["card.json", "lock", *versions]
    assert everything(Register.open(register, 2), [0, 19_000]) == old


def test_old_versions_stay_until_nobody_needs_them(tmp_path: Path) -> None:
    """Each opens as it was built; what is pruned is neither needed nor of the last week."""
    directory = tmp_path / "register"
    built_ = [built(tmp_path, [row(n)]) for n in (1, 2, 3, 4)]
    assert [Register.open(directory, n).count for n in (1, 2, 3, 4)] == [1, 2, 3, 4]
    versions = Versions(directory)
    assert versions.open(Version.of(built_[1])).count == 2
    with pytest.raises(RegisterError, match="version 2 is not the one that the stream was given"):
        versions.open(Version(2, "another"))
    assert prune(directory, 4, time.time()) == []
    for n in (1, 2, 3, 4):
        os.utime(directory / f"version-{n:06d}", (0, 0) if n < 4 else None)
    assert prune(directory, 3, time.time()) == [1, 2]
    assert Register.open(directory, 3).count == 3
    with pytest.raises(RegisterError, match="has no register version 2; its newest is 4"):
        Register.open(directory, 2)


def test_a_register_of_before_gets_cards_for_its_versions(tmp_path: Path) -> None:
    """Its newest version had none of its own: the next build writes it."""
    built(tmp_path, [row(1)])
    (tmp_path / "register" / "version-000001" / "card.json").unlink()
    assert Register.open(tmp_path / "register", 1).count == 1
    built(tmp_path, [row(2)])
    assert Register.open(tmp_path / "register", 1).count == 1


def test_a_lost_card_is_no_reason_to_number_again(sound: Path, tmp_path: Path) -> None:
    """Without its card a register of several builds is refused, not overwritten."""
    register, arrays = damaged(sound, tmp_path)
    (register / "card.json").unlink()
    with pytest.raises(RegisterError, match=r"card\.json is missing beside version-000002"):
        built(tmp_path, [row(99)])
    assert (arrays / "ids.npy").exists()


def test_a_register_that_the_stream_cannot_take_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built when more names were let pass: said before any block meets it."""
    with monkeypatch.context() as patched:
        for module in ("files.meters", "register.files"):
            patched.setattr(f"wattstorm.{module}.MAX_CODES", 255)
        built(tmp_path, [row(k, f"t{k}") for k in range(129)])
    message = r"card\.json has 129 tariffs, the stream takes 127; group them into fewer tariffs"
    with pytest.raises(RegisterError, match=message):
        Register.open(tmp_path / "register")
