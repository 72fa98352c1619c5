#!/usr/bin/env bash
# Makes .venv-peers with what the benchmark compares this project with: JoeyNMT 2.3.0 on the same PyTorch.
# usage: scripts/speed/peers.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
python="${PYTHON:-python3}"
if [ -x .venv/bin/python ]; then
    python="${PYTHON:-.venv/bin/python}"
fi
if [ ! -x .venv-peers/bin/python ]; then
    "$python" -m venv .venv-peers
fi
.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --requirement scripts/speed/peers.txt
.venv-peers/bin/python -c "import joeynmt, torch; print('JoeyNMT beside PyTorch', torch.__version__)"
