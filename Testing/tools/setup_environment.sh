#!/bin/sh
# Makes the development environment, once: `make venv`, and every other target through its stamp file.
#
#   setup_environment.sh PYTHON VENV
#
# 1. a virtual environment in VENV, made by PYTHON (3.10 or newer);
# 2. the exact packages of requirements-dev.txt;
# 3. on Linux the system libraries for off-screen rendering: installed when this runs as root on Debian or Ubuntu,
#    otherwise the one line that installs them is printed. Nothing else in the project needs root.
set -eu

python=$1
venv=$2
PATH="$PATH:/usr/sbin:/sbin"

say() { echo "[setup] $*"; }
fail() {
    echo "[setup] $*" >&2
    exit 1
}
can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }
sudo_line() { [ "$(id -u)" = 0 ] && echo "$*" || echo "sudo $*"; }

# Package lists are fetched only when an install needs it, and only then is the network touched.
apt_install() {
    say "installing system packages: $*"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 && return 0
    apt-get update -qq >/dev/null 2>&1 || return 1
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

check_python() {
    [ -n "$python" ] && command -v "$python" >/dev/null 2>&1 ||
        fail "No Python was found; install Python 3.10 or newer, or name one: make venv PYTHON=/path/to/python3."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "$python is $("$python" -V 2>&1), 3.10 or newer is needed; name another: make venv PYTHON=python3.12."
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return 0
    # Debian and Ubuntu ship Python without the part that makes virtual environments.
    package="$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    if can_install && apt_install "$package" && "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        return 0
    fi
    fail "$python cannot make virtual environments; install that part with: $(sudo_line apt-get install -y "$package")"
}

make_environment() {
    if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        say "reusing $venv"
    else
        say "making $venv with $("$python" -V 2>&1)"
        rm -rf "$venv"
        "$python" -m venv "$venv"
    fi
}

install_packages() {
    # torch comes first and by its exact version, so that no other package can pull another build of it. It is a third of
    # all files: the other pinned packages are unpacked beside it, by a second core. What they ask for comes last.
    torch="$(sed -n 's/^\(torch==[^ ;]*\).*/\1/p' requirements-dev.txt)"
    say "installing $torch and the packages of requirements-dev.txt (minutes on a first run)"
    # Not compiled beforehand: Python compiles what is imported when it is, a quarter of what pip would in a minute.
    pip="$venv/bin/python -m pip install -qq --no-compile --disable-pip-version-check"
    $pip --no-deps "$torch" &
    beside=$!
    installed=0
    grep -v '^torch==' requirements-dev.txt >"$venv/others.txt"
    $pip --no-deps -r "$venv/others.txt" || installed=1
    wait "$beside" || installed=1
    [ "$installed" = 0 ] && $pip -r requirements-dev.txt ||
        fail "The packages could not be installed (message above). See that a package index is reachable, behind a proxy by docs/how-to/install_offline.md, and run make again."
}

# Shared libraries first, by the name that the loader looks for; what is not a library, by package name.
missing_libraries() {
    known="$(ldconfig -p 2>/dev/null)"
    for pair in libOSMesa.so.8:libosmesa6 libGL.so.1:libgl1 libEGL.so.1:libegl1 libxkbcommon.so.0:libxkbcommon0 \
        libglib-2.0.so.0:libglib2.0-0 libfontconfig.so.1:libfontconfig1 libdbus-1.so.3:libdbus-1-3; do
        case "$known" in *"${pair%%:*}"*) ;; *) echo "${pair##*:}" ;; esac
    done
    command -v dpkg-query >/dev/null 2>&1 || return 0
    for package in libgl1-mesa-dri fonts-dejavu-core; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || echo "$package"
    done
}

install_libraries() {
    [ "$(uname -s)" = Linux ] || return 0
    missing="$(missing_libraries | tr '\n' ' ')"
    [ -n "$missing" ] || return 0
    # OSMesa left Mesa in 2025; where it is gone, EGL does (the Makefile looks which of the two is there).
    # shellcheck disable=SC2086,SC2046  # one word per package is meant
    if can_install && { apt_install $missing || apt_install $(echo "$missing" | sed 's/libosmesa6//'); }; then
        return 0
    fi
    say "Off-screen rendering needs system libraries that are missing here. On Debian or Ubuntu this installs them"
    say "(leave out libosmesa6 on releases that no longer have it):"
    say "    $(sudo_line apt-get install -y --no-install-recommends $missing)"
    say "Without them the commands reactkd and reactkd-train work, but make demo stops and make test fails."
}

# So that `.venv/bin/python -m REACTKDLib` runs from the checkout, whatever the folder one is in.
link_sources() {
    site="$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')" || return 0
    [ -d "$site" ] && printf '%s\n' "$PWD/REACTKD" "$PWD/REACTKDTrain" > "$site/reactkd.pth"
    return 0
}

check_python
make_environment
install_packages
link_sources
install_libraries
say "ready"
