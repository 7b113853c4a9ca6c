#!/bin/sh
# Runs each folder of Testing/python in a process of its own, some at a time:
#   run_tests.sh PYTHON [pytest options]
#
# A crash in OpenGL or Slicer's libraries cannot hide the results of the other groups. There are as many lanes as the
# computer has cores; LANES sets another number. (One more fills the pauses of the panel's tests, but on two cores all
# tests together then take about 15 % more processor time and end later, also at the lowest priority.) Each lane takes the longest group that is
# left, so that all end at about the same time. The first lane is shown as it runs, the others after it. A group that
# selects no test (pytest's exit status 5, usual with `-m slow`) is not a failure; a run in which no group selected any
# is.
set -u

python=$1
shift
tests=Testing/python
groups="gui core train cli scene house rendering" # the longest first
for folder in "$tests"/*/; do
    name="$(basename "$folder")"
    case " $groups __pycache__ " in
    *" $name "*) ;;
    *) groups="$groups $name" ;;
    esac
done

lanes="${LANES:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # the groups share the cores

# Freed memory is kept for the next array: glibc returns large blocks to the kernel, which clears each page again.
# A twentieth of the processor time of all tests.
export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-1073741824}" MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-4294967296}"

# A run starts hundreds of Pythons. Where the environment wants no compiled files beside the sources, as images for
# containers often do, each of them would compile torch anew, twice the time of its import: they go to build instead.
if [ -n "${PYTHONDONTWRITEBYTECODE:-}" ]; then
    unset PYTHONDONTWRITEBYTECODE
    export PYTHONPYCACHEPREFIX="${PYTHONPYCACHEPREFIX:-$PWD/build/bytecode}"
fi

# Temporary files are in a folder of this run, and only those of failed tests stay. The folder is in memory if there is
# room and programs may be started from it: the tests write and delete thousands of small files.
memory=/dev/shm
room="$(df -Pk "$memory" 2>/dev/null | awk 'NR == 2 { print $4 }')"
scratch=""
if [ -z "${TMPDIR:-}" ] && [ "${room:-0}" -ge 8000000 ] && scratch="$(mktemp -d "$memory/reactkd.XXXXXX" 2>/dev/null)"; then
    printf '#!/bin/sh\n' >"$scratch/program" && chmod +x "$scratch/program"
    "$scratch/program" 2>/dev/null || { rm -rf "$scratch" && scratch=""; }
    rm -f "$scratch/program"
fi
scratch="${scratch:-$(mktemp -d)}"
export TMPDIR="$scratch"

told="$scratch/told"
mkdir "$told"
beside=""
stop_others() {
    for lane in $beside; do
        pkill -P "$lane" 2>/dev/null
        kill "$lane" 2>/dev/null
    done
}
remove_scratch() {
    if [ -e "$told/failed" ]; then
        rm -rf "$told"
        echo "Temporary files of the failed tests are kept in $scratch; remove the folder when you have looked." >&2
    else
        rm -rf "$scratch"
    fi
}
trap remove_scratch EXIT
trap 'stop_others; exit 130' INT TERM

run_group() {
    title=$1
    shift
    echo "== tests: $title"
    # shellcheck disable=SC2086  # COVERAGE is empty, or says that the lines reached are to be recorded
    "$python" ${COVERAGE:+-m coverage run} -m pytest -q -o tmp_path_retention_policy=failed "$@"
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

run_lane() {
    for group in $groups; do
        [ -d "$tests/$group" ] || continue
        mkdir "$told/group.$group" 2>/dev/null || continue # another lane has it
        run_group "$group" "$tests/$group" "$@"
    done
}

lane=1
while [ "$lane" -lt "$lanes" ]; do
    (run_lane "$@") >"$told/output.$lane" 2>&1 &
    beside="$beside $!"
    lane=$((lane + 1))
done
run_lane "$@"
wait
beside=""
for output in "$told"/output.*; do
    [ -e "$output" ] && cat "$output"
done

[ -e "$told/ran" ] || { echo "No test was selected at all." >&2; exit 1; }
[ ! -e "$told/failed" ]
