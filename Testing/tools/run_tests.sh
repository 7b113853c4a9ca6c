#!/bin/sh
# Runs the tests in four processes, one after another, so that a crash in OpenGL or Slicer's libraries cannot hide the
# results of the others:   run_tests.sh PYTHON [pytest options]
#
# Groups: scene, rendering, gui, and everything else under Testing/python. A group that selects no test (pytest's exit
# status 5, usual with `-m slow`) is not a failure; a run in which no group selected any is.
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

failed=0
ran=0
run_group() {
    title=$1
    shift
    echo "== tests: $title"
    "$python" -m pytest -q "$@"
    status=$?
    case $status in
    0) ran=1 ;;
    5) echo "(no test of this group was selected)" ;;
    *)
        ran=1
        failed=1
        [ $status -lt 128 ] || echo "The test process of '$title' died (exit status $status); its remaining tests did not run."
        ;;
    esac
}

# shellcheck disable=SC2086  # one word per folder is meant
[ -z "$others" ] || run_group "$(basename -a $others | tr '\n' ' ' | sed 's/ $//')" $others "$@"
for name in scene rendering gui; do
    [ ! -d "$tests/$name" ] || run_group "$name" "$tests/$name" "$@"
done

[ $ran = 1 ] || { echo "No test was selected at all." >&2; exit 1; }
exit $failed
