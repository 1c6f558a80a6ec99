#!/usr/bin/env bash
# Runs a command of samza-py in the image of build_without_docker.sh, closed up as by compose.yaml.
#
#     sudo deploy/run_without_docker.sh STATE_FOLDER JOB_FOLDER [NAME=VALUE ...] COMMAND [ARG ...]
#
# A read-only file system but for /state and /tmp, the image's user and environment, no capability,
# none to be gained. `buildah run` with chroot isolation has no option for the first, so this enters
# the image's files in a mount namespace of its own. Processes and network are the machine's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source deploy/images.sh

[ $# -ge 3 ] || fail 'which state folder, which job folder, and which command?'
be_root
[ -f "$CACHE/lock" ] || fail 'there is no image: call deploy/build_without_docker.sh first'
STATE=$(realpath "$1") JOB=$(realpath "$2")
shift 2
exec 8<"$CACHE/lock"
bounded flock --shared 8  # held until the job has ended: nobody builds the image anew meanwhile
config() { images inspect --type image --format "{{$1}}" "$IMAGE"; }
each() { config "range .OCIv1.Config.$1}}{{.}}{{\"\\n\"}}{{end"; }
ROOT=$(images mount "$TREE")
IFS=: read -r USER_ID GROUP_ID <<<"$(config .OCIv1.Config.User)"
FOLDER=$(config .OCIv1.Config.WorkingDir)
mapfile -t ENVIRONMENT < <(each Env)
mapfile -t ENTRYPOINT < <(each Entrypoint)
while [[ $1 == *=* ]]; do
    ENVIRONMENT+=("$1")
    shift
done

# Root of the machine sets up; what setpriv starts has nothing of it left. The process stays the
# same from here to the job, so that a signal for this one is one for the job.
close_up() {
    mount --bind "$ROOT" "$ROOT"
    mount --bind "$STATE" "$ROOT/state"
    mount --bind "$JOB" "$ROOT/job"
    mount -o remount,bind,ro "$ROOT/job"
    mount --bind /dev "$ROOT/dev"
    mount -t proc proc "$ROOT/proc"
    mount -t tmpfs -o nosuid,nodev tmpfs "$ROOT/tmp"
    mount -o remount,bind,ro "$ROOT"
}
export -f close_up
export ROOT STATE JOB
# shellcheck disable=SC2016  # for the shell within
exec unshare --mount bash -euc 'close_up; exec chroot "$ROOT" "$@"' - \
    setpriv --reuid "$USER_ID" --regid "$GROUP_ID" --clear-groups \
    --no-new-privs --bounding-set=-all --inh-caps=-all \
    env --ignore-environment --chdir "$FOLDER" "${ENVIRONMENT[@]}" "${ENTRYPOINT[@]}" "$@"
