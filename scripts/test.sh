#!/usr/bin/env bash
# The whole test suite, linter and type checker included, in an environment of its own.
# usage: scripts/test.sh [arguments of pytest]
set -euo pipefail
. "$(dirname "$0")/environment.sh" test
ruff check .
ruff format --check --quiet .
mypy nmt
exec python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder "$@"
