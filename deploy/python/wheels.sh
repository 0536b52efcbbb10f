#!/bin/sh
# Fill DIRECTORY with the wheels that a Storm node's Python needs, for nodes without a network.
#
#   deploy/python/wheels.sh DIRECTORY
#
# PYTHON=python3.11 names the Python; it must be of the nodes' version, on the nodes' kind of
# machine. What has no wheel on the index is built here, so a node never needs a compiler.
set -eu
umask 022
requirements=$(cd "$(dirname "$0")/../.." && pwd)/requirements/worker.txt
python=${PYTHON:-python3.11}

if [ $# -ne 1 ]; then
    echo "usage: wheels.sh DIRECTORY" >&2
    exit 2
fi
if ! "$python" -m pip --version >/dev/null 2>&1; then
    echo "wheels.sh: $python has no pip; install it (apt-get install python3-pip)," \
        "or name another Python: PYTHON=... $0 $1" >&2
    exit 1
fi
mkdir -p "$1"
if ! "$python" -m pip wheel --disable-pip-version-check --no-input --progress-bar off -q \
    --no-deps --wheel-dir "$1" -r "$requirements"; then
    echo "wheels.sh: pip could not get all of $requirements; check that it reaches a package" \
        "index (pip config list), then run this again: what is in $1 stays" >&2
    exit 1
fi
echo "$1: $(find "$1" -name '*.whl' | wc -l) wheels for $("$python" --version)"
