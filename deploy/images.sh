# Where the images that are built without Docker lie. Sourced by its neighbours, never run.
# shellcheck shell=bash disable=SC2034

CACHE=${SAMZA_PY_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/samza-py/services}/image
IMAGE=localhost/samza-py
# The working container whose files run_without_docker.sh runs; it is never written to.
TREE=samza-py
LIMIT_S=${LIMIT_S:-900}

fail() { echo "$*" >&2; exit 1; }
say() { printf -- '-- %s\n' "$*"; }
be_root() { [ "$(id -u)" = 0 ] || fail "$0 makes mounts, so it must be root: call it with sudo"; }
bounded() { timeout --verbose "$LIMIT_S" "$@"; }
# vfs asks nothing of the kernel, and so works within a container too.
images() { bounded buildah --storage-driver vfs --root "$CACHE/root" --runroot "$CACHE/run" "$@"; }
