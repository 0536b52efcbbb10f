#!/bin/sh
# What wattstorm needs from the system: looks what is missing, installs it by apt where it may,
# else says which packages to install.
#
#   requirements/system.sh PYTHON run    a Python 3.11 or later that can make environments
#   requirements/system.sh PYTHON test   also Redis, R, and what a Storm cluster is made with
set -eu
python=$1
level=$2
packages=""
missing=""

# need NAME PACKAGE TEST...: NAME is what a reader knows it by, PACKAGE is Debian's
need() {
    name=$1 package=$2
    shift 2
    "$@" >/dev/null 2>&1 && return
    missing="$missing${missing:+, }$name"
    packages="$packages${packages:+ }$package"
}

look() {
    packages="" missing=""
    need "Python 3" "python3" "$python" -c ""
    need "Python's venv" "python3-venv" "$python" -c "import venv, ensurepip"
    if [ "$level" = test ]; then
        need "Redis" "redis-server" sh -c "command -v redis-server || command -v valkey-server"
        need "R" "r-base-core" R --version
        need "R's mgcv" "r-cran-mgcv" R --vanilla --no-echo -e "loadNamespace('mgcv')"
        need "Java" "default-jre-headless" java -version
        need "Maven" "maven" mvn --version
        need "lein" "leiningen" sh -c "command -v lein"
        need "a C compiler" "gcc libc6-dev" sh -c "echo 'int main(void){return 0;}' | cc -xc - -o /dev/null"
        need "Chromium" "chromium" sh -c "command -v chromium || command -v chromium-browser"
        need "openssl" "openssl" openssl version
    fi
}

old_python() {
    "$python" -c "" 2>/dev/null &&
        ! "$python" -c "import sys; sys.exit(sys.version_info < (3, 11))"
}

refuse_old_python() {
    old_python || return 0
    echo "$python is $("$python" --version), wattstorm needs 3.11 or later;" \
        "name another one, such as: make PYTHON=python3.11 ..." >&2
    exit 1
}

refuse_old_python
look
if [ -n "$packages" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing $packages"
        export DEBIAN_FRONTEND=noninteractive
        # a server that the package starts by itself is not used: wattstorm starts its own
        apt-get update -qq -o Acquire::Retries=3 || echo "apt-get update failed, going on with the lists at hand" >&2
        # shellcheck disable=SC2086  # a list of names
        apt-get install -y -qq -o Acquire::Retries=3 --no-install-recommends $packages >/dev/null
        look
    fi
    if [ -n "$packages" ]; then
        echo "missing: $missing" >&2
        echo "on Debian or Ubuntu: sudo apt-get install --no-install-recommends $packages" >&2
        echo "elsewhere: the packages of these names; then run make again" >&2
        exit 1
    fi
fi
refuse_old_python
