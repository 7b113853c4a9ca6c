#!/bin/sh
# Runs the tests in four processes, so that a crash in OpenGL or Slicer's libraries cannot hide the results of the others:
#   run_tests.sh PYTHON [pytest options]
#
# Groups: scene, rendering, gui, and everything else under Testing/python. The first three run one after another beside
# the fourth, since two cores are what the slowest computers have, and are shown after it. A group that selects no test
# (pytest's exit status 5, usual with `-m slow`) is not a failure; a run in which no group selected any is.
set -u

python=$1
shift
tests=Testing/python
others=""
for folder in "$tests"/*/; do
    name="$(basename "$folder")"
    case "$name" in
    scene | rendering | gui | __pycache__) ;;
    *) others="$others $tests/$name" ;;
    esac
done

export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # two groups share the cores

told="$(mktemp -d)"
beside=""
trap 'rm -rf "$told"' EXIT
trap '[ -z "$beside" ] || pkill -P "$beside" 2>/dev/null; [ -z "$beside" ] || kill "$beside" 2>/dev/null; exit 130' INT TERM

run_group() {
    title=$1
    shift
    echo "== tests: $title"
    "$python" -m pytest -q "$@"
    status=$?
    case $status in
    0) : >"$told/ran" ;;
    5) echo "(no test of this group was selected)" ;;
    *)
        : >"$told/ran"
        : >"$told/failed"
        [ $status -lt 128 ] || echo "The test process of '$title' died (exit status $status); its remaining tests did not run."
        ;;
    esac
}

(
    for name in scene rendering gui; do
        [ ! -d "$tests/$name" ] || run_group "$name" "$tests/$name" "$@"
    done
) >"$told/output" 2>&1 &
beside=$!
# shellcheck disable=SC2086  # one word per folder is meant
[ -z "$others" ] || run_group "$(basename -a $others | tr '\n' ' ' | sed 's/ $//')" $others "$@"
wait "$beside"
beside=""
cat "$told/output"

[ -e "$told/ran" ] || { echo "No test was selected at all." >&2; exit 1; }
[ ! -e "$told/failed" ]
