#!/bin/sh
# Prints the Python that makes .venv: the first one that is 3.11 or newer and can make environments.
# Where there is none, prints one line with the command that installs it, and fails.
set -u

install_with() {
    if command -v apt-get >/dev/null 2>&1; then
        echo "sudo apt-get install $1"
    elif command -v dnf >/dev/null 2>&1; then
        echo "sudo dnf install $2"
    elif command -v brew >/dev/null 2>&1; then
        echo "brew install python@3.13"
    else
        echo "the package manager of this system ($1)"
    fi
}

# A version manager's shim may be on PATH and start nothing: each candidate is run, not just found.
old_enough="import sys; sys.exit(sys.version_info < (3, 11))"
without_venv=""
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
    "$candidate" -c "$old_enough" >/dev/null 2>&1 || continue
    if "$candidate" -c "import venv, ensurepip" >/dev/null 2>&1; then
        command -v "$candidate"
        exit 0
    fi
    without_venv="$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
done

if [ -n "$without_venv" ]; then
    echo "Python $without_venv is here, its venv module is not. Install it with: $(install_with "python$without_venv-venv" python3)" >&2
else
    echo "Python 3.11 or newer is needed and was not found. Install it with: $(install_with 'python3 python3-venv' python3)" >&2
fi
exit 1
