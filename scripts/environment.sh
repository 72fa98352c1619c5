# Sourced by the other scripts: makes .venv with what the project needs and activates it.
# usage: . scripts/environment.sh [EXTRA]     EXTRA: test
cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_python() {
    local name
    for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "no Python 3.11 or newer with venv was found; install one, or name it: PYTHON=/path/to/python3 $0" >&2
    return 1
}

if [ ! -x .venv/bin/python ]; then
    "$(find_python)" -m venv .venv
fi
. .venv/bin/activate
stamp=".venv/installed-${1:-base}"
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ scripts/constraints.txt -nt "$stamp" ]; then
    echo "installing into .venv (the first time takes a few minutes) ..." >&2
    python -m pip install --quiet --disable-pip-version-check --constraint scripts/constraints.txt --editable ".${1:+[$1]}"
    touch "$stamp"
fi
