#!/bin/sh
# Pack the Python of a Storm node into one file, which Storm itself brings to the workers.
#
#   deploy/python/make-archive.sh ARCHIVE.tar.gz [--wheels WHEELS] [--with-python]
#
# The archive holds bin/streamparse_run, which finds the rest by its own place, and the packages.
# It runs them with the node's Python of the same version (python3.11), or, --with-python, with
# one that it brings along. --wheels: from a directory that wheels.sh filled, without an index.
# PYTHON=python3.11 names the Python. docs/operate.md says how a deployment uses the archive.
set -eu
umask 022
requirements=$(cd "$(dirname "$0")/../.." && pwd)/requirements/worker.txt
python=${PYTHON:-python3.11}
usage="usage: make-archive.sh ARCHIVE.tar.gz [--wheels WHEELS] [--with-python]"
archive="" wheels="" bring=""

fail() {
    echo "make-archive.sh: $1" >&2
    exit "${2:-1}"
}

while [ $# -gt 0 ]; do
    case $1 in
        --wheels) [ $# -ge 2 ] || fail "$usage" 2; wheels=$2; shift 2 ;;
        --with-python) bring=yes; shift ;;
        -*) fail "there is no option $1; $usage" 2 ;;
        *) [ -z "$archive" ] || fail "$usage" 2; archive=$1; shift ;;
    esac
done
# Storm looks at the name to know how to unpack it.
case $archive in *.tar.gz) ;; *) fail "$usage" 2 ;; esac
[ -z "$wheels" ] || [ -d "$wheels" ] ||
    fail "there is no $wheels; fill it where there is a network: deploy/python/wheels.sh $wheels"
"$python" -m pip --version >/dev/null 2>&1 ||
    fail "$python has no pip; apt-get install python3-pip, or name another Python: PYTHON=..."
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$root/bin" "$root/packages"
set -- -r "$requirements"
[ -z "$wheels" ] || set -- --no-index --find-links "$wheels" "$@"
"$python" -m pip install --disable-pip-version-check --no-input --progress-bar off -q --no-deps \
    --no-compile --target "$root/packages" "$@" ||
    fail "pip could not install $requirements; if there is no network here, use --wheels; the wheels must be made by the same version of Python"
# scripts with paths of this machine; and tests, a fifth of the whole
rm -rf "$root/packages/bin"
find "$root/packages" -type d -name tests -prune -exec rm -rf {} +

cat >"$root/bin/run.py" <<'PY'
"""Start the task that Storm names: the packages beside this file, then what the jar brought."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "packages"))

from streamparse.run import main  # noqa: E402

main()
PY
# -I -S: nothing of the node's own packages, PYTHONPATH or home directory comes in between
cat >"$root/bin/streamparse_run" <<SH
#!/bin/sh
here=\$(dirname "\$0")
python=\$here/python$version
if [ -x "\$python" ]; then
    export LD_LIBRARY_PATH="\$here/../lib"
elif ! python=\$(command -v python$version); then
    echo "this node has no python$version on the PATH of its supervisor: install it," \
        "or make the archive with --with-python" >&2
    exit 1
fi
exec "\$python" -I -S "\$here/run.py" "\$@"
SH
chmod 755 "$root/bin/streamparse_run"

if [ -n "$bring" ]; then
    "$python" - "$root" <<'PY'
import re, shutil, subprocess, sys, sysconfig
from pathlib import Path

root, version = Path(sys.argv[1]), f"python{sys.version_info[0]}.{sys.version_info[1]}"
left_out = shutil.ignore_patterns(
    "__pycache__", "test", "tests", "site-packages", "dist-packages", "ensurepip", "idlelib",
    "tkinter", "turtledemo", "lib2to3", "config-*",
)
lib = root / "lib" / version
shutil.copytree(sysconfig.get_path("stdlib"), lib, ignore=left_out)
program = Path(sys.executable).resolve()
shutil.copy2(program, root / "bin" / version)
# Libraries beside glibc that these need; the node's glibc must be as new as this machine's.
glibc = re.compile(r"(ld-linux.*|linux-vdso|lib(c|m|dl|rt|pthread|util|resolv))\.so")
for binary in [program, *lib.glob("lib-dynload/*.so")]:
    said = subprocess.run(["ldd", str(binary)], capture_output=True, text=True).stdout
    for name, path in re.findall(r"(\S+) => (/\S+)", said):
        if not glibc.match(name) and not (root / "lib" / name).exists():
            shutil.copy2(Path(path).resolve(), root / "lib" / name)
PY
fi

# The same content is the same file: the deployment names it by its digest.
find "$root" -exec touch -h -d @315532800 {} +
(cd "$root" && find . -mindepth 1 ! -type d | LC_ALL=C sort >"$root.names")
mkdir -p "$(dirname "$archive")"
tar -C "$root" --owner=0 --group=0 --numeric-owner -cf - -T "$root.names" | gzip -n >"$archive.part"
rm -f "$root.names"
mv "$archive.part" "$archive"
echo "$archive: $(du -m "$archive" | cut -f1) MB, $(du -sm "$root" | cut -f1) MB unpacked, for Python $version"
