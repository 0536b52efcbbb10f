"""Storm's jars on this machine: an Apache release (STORM_HOME), or a home made by Maven.

The layout is Apache's: lib/ for the daemons, lib-worker/ for the workers, log4j2/. So the
same command lines start either. Maven verifies the checksum of each jar that it fetches.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from wattstorm.errors import ClusterError

PARTS = Path(__file__).parent / "parts"
"""POMs and what else a development cluster is made of."""
VERSION = "2.8.3"
OLDEST_JAVA = 17
INSTALL = "apt-get install --no-install-recommends"


@dataclass(frozen=True)
class StormHome:
    """A directory with Storm's jars, and the `java` that runs them."""

    directory: Path
    version: str
    java: str

    def classpath(self, conf: Path) -> str:
        """For daemons, with the settings in the directory `conf`."""
        jars = (f"{self.directory}/{name}/*" for name in ("lib", "extlib", "extlib-daemon"))
        return ":".join([str(conf), *jars])


def storm_home() -> StormHome:
    """The home that STORM_HOME names, else the cached one, made now if it is not there."""
    given = os.environ.get("STORM_HOME")
    if given:
        directory = Path(given)
        return StormHome(directory, release_of(directory), find_java())
    directory = made_home()
    java = find_java()
    directory.parent.mkdir(parents=True, exist_ok=True)
    with (directory.parent / f"{directory.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two cannot make it at once
        if not directory.exists():
            make_home(directory)
    return StormHome(directory, VERSION, java)


def made_home() -> Path:
    return cache_directory() / f"storm-{VERSION}"


def is_missing() -> bool:
    """Whether Storm has to be fetched first."""
    return not os.environ.get("STORM_HOME") and not made_home().exists()


def release_of(directory: Path) -> str:
    """The version of the Apache release in `directory`."""
    for jar in directory.glob("lib/storm-server-*.jar"):
        return jar.stem.removeprefix("storm-server-")
    raise ClusterError(
        f"STORM_HOME is {directory}, which has no lib/storm-server-*.jar",
        "name the directory of an unpacked Apache Storm release, or unset STORM_HOME",
    )


def make_home(directory: Path) -> None:
    """Fetch the jars by Maven into `directory`; all of it, or nothing."""
    maven = shutil.which("mvn")
    if maven is None:
        raise ClusterError(
            "Maven, which fetches Storm's jars, is not on the PATH",
            f"install it: {INSTALL} maven, or set STORM_HOME to an Apache Storm release",
        )
    part = directory.with_name(f"{directory.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    for pom, jars in (("home", "lib"), ("worker", "lib-worker")):
        _copy_jars(maven, PARTS / pom / "pom.xml", part / jars)
    shutil.copytree(PARTS / "log4j2", part / "log4j2")
    for name in ("extlib", "extlib-daemon"):
        (part / name).mkdir()
    part.rename(directory)


def _copy_jars(maven: str, pom: Path, target: Path) -> None:
    command = [
        maven,
        "--batch-mode",
        "--quiet",
        "--strict-checksums",
        "--file",
        str(pom),
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={target}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode or not any(target.glob("*.jar")):
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
        raise ClusterError(
            f"Maven could not fetch Storm {VERSION}: {' '.join(lines[:2]) or done.stdout[-300:]}",
            "look whether it can reach a mirror of Maven Central (settings.xml), or set STORM_HOME",
        )


def find_java() -> str:
    """The `java` to use, of JAVA_HOME or of the PATH; ClusterError if it is missing or too old."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else "java"
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    except OSError:
        raise ClusterError(
            f"there is no {java}, and Storm runs on Java {OLDEST_JAVA}",
            f"install it: {INSTALL} default-jre-headless",
        ) from None
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < OLDEST_JAVA:
        raise ClusterError(
            f"{java} is version {found[1] if found else said!r}, Storm needs {OLDEST_JAVA}",
            f"install it: {INSTALL} default-jre-headless, and set JAVA_HOME",
        )
    return java


def loopback_shim(directory: Path) -> Path:
    """The library that keeps Storm's ports on loopback, compiled into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    library = directory / "loopback.so"
    if library.exists():
        return library
    source = PARTS / "loopback.c"
    part = library.with_suffix(f".{os.getpid()}")
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(part), str(source), "-ldl"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        raise ClusterError(
            "there is no C compiler, by which Storm's ports are kept on loopback",
            f"install it: {INSTALL} gcc libc6-dev",
        ) from None
    if done.returncode:
        raise ClusterError(f"cc {source}: {done.stderr[:300]}", f"{INSTALL} gcc libc6-dev")
    part.rename(library)
    return library


def cache_directory() -> Path:
    """The XDG base directory specification: a relative XDG_CACHE_HOME is ignored."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "wattstorm"
