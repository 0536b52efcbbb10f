#!/bin/sh
# Make the Python environment of a Storm node: what the tasks import, without wattstorm itself,
# which comes with each topology.
#
#   deploy/python/make-venv.sh DIRECTORY [--wheels WHEELS]
#
# DIRECTORY is the same on every node (/opt/wattstorm). --wheels: install from a directory that
# wheels.sh filled, and ask no index. PYTHON=python3.11 names the Python.
# An environment that is there is replaced only when the new one is complete and tried.
set -eu
umask 022
requirements=$(cd "$(dirname "$0")/../.." && pwd)/requirements/worker.txt
python=${PYTHON:-python3.11}
usage="usage: make-venv.sh DIRECTORY [--wheels WHEELS]"
target="" wheels=""

fail() {
    echo "make-venv.sh: $1" >&2
    exit "${2:-1}"
}

while [ $# -gt 0 ]; do
    case $1 in
        --wheels) [ $# -ge 2 ] || fail "$usage" 2; wheels=$2; shift 2 ;;
        -*) fail "there is no option $1; $usage" 2 ;;
        *) [ -z "$target" ] || fail "$usage" 2; target=$1; shift ;;
    esac
done
[ -n "$target" ] || fail "$usage" 2
"$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "$python is missing, older than 3.11 or without venv; apt-get install python3.11-venv, or name another one: PYTHON=..."
[ -z "$wheels" ] || [ -d "$wheels" ] ||
    fail "there is no $wheels; fill it where there is a network: deploy/python/wheels.sh $wheels"
if [ -e "$target" ] && [ ! -e "$target/pyvenv.cfg" ]; then
    fail "$target is there and is no Python environment; choose another directory, or remove it"
fi
case $target in /*) ;; *) target=$PWD/$target ;; esac

# Scripts hold the path of their environment: so it is made in its place, the old one set aside.
old=$target.old.$$
[ ! -e "$target" ] || mv "$target" "$old"
undo() {
    rm -rf "$target"
    [ ! -e "$old" ] || mv "$old" "$target"
    fail "$1"
}
"$python" -m venv "$target" || undo "$python could not make $target"
set -- -r "$requirements"
[ -z "$wheels" ] || set -- --no-index --find-links "$wheels" "$@"
"$target/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
    -q --no-deps "$@" ||
    undo "pip could not install $requirements; if the node has no network, use --wheels; the wheels must be made by the same version of Python"
"$target/bin/python" -c 'import numba, redis, streamparse.run' ||
    undo "what was installed does not load"
rm -rf "$old"
echo "$target: $("$target/bin/python" --version), $(du -sm "$target" | cut -f1) MB"
