#!/usr/bin/env bash
# From a fresh clone to translations, alignments and a model of your own.
# usage: scripts/quickstart.sh [--no-train]
set -euo pipefail
case "${1:-}" in
    "" | --no-train) ;;
    *) echo "usage: scripts/quickstart.sh [--no-train]" >&2; exit 2 ;;
esac
. "$(dirname "$0")/environment.sh" ""

echo; echo "== The shipped model translates, and shows what it translated from what"
nmt-translate "Where is the station?" "She brought me a cup of tea." "My brother works in a hospital."
nmt-translate "She is wearing a white dress." --show alignment
nmt-page --output translator.html
echo "a translator in one page, with every head to look at: open $PWD/translator.html"
if [ "${1:-}" = --no-train ]; then exit 0; fi

echo; echo "== A small model of your own: about five minutes of two cores (nmt-train configs/quickstart.yaml)"
nmt-train configs/quickstart.yaml --overwrite
echo; echo "== Its score on test sentences it has never seen"
nmt-evaluate --checkpoint checkpoints/quickstart
echo; echo "== Its translations and its alignment"
nmt-translate --checkpoint checkpoints/quickstart "Where is the station?" "She brought me a cup of tea."
nmt-translate --checkpoint checkpoints/quickstart "She is wearing a white dress." --plot checkpoints/quickstart/alignment.png
echo "the alignment as a picture: $PWD/checkpoints/quickstart/alignment.png"
