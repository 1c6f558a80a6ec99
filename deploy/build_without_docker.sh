#!/usr/bin/env bash
# Builds the Dockerfile and runs a job in its image, without a Docker engine or a pulled image.
#
#     sudo deploy/build_without_docker.sh
#
# The base is a Debian made by debootstrap, once; buildah builds upon it with chroot, so that no
# daemon, no runtime and no registry of images is needed. SUITE names another Debian, EXTRAS other
# extras. What apt and pip of this machine are told of mirrors and authorities holds here too, and
# does not get into the image. All is kept in the cache folder of the user, or in the one that
# SAMZA_PY_TEST_CACHE names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source deploy/images.sh

SUITE=${SUITE:-bookworm}
EXTRAS=${EXTRAS-kafka,monitoring,uvloop}

check_tools() {
    local tool missing=()
    for tool in buildah debootstrap; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    [ -f /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
    [ ${#missing[@]} = 0 ] || fail "missing; get it: sudo apt-get install ${missing[*]}"
}

# shellcheck disable=SC2016  # apt's own names
apt_sources() {
    apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 2>/dev/null || true
}

# A Debian with Python, and as the slim images without manuals, translations and lists of apt.
make_base() {
    local mirror container root
    # What is not there names no mirror, and debootstrap then has one of its own.
    mirror=$(apt_sources | awk -v suite="$SUITE" '$1 == "Debian" && $2 == suite && !n++ { print $3 }')
    container=$(images from scratch)
    root=$(images mount "$container")
    # Mounts of its own go with it, however it ends.
    bounded unshare --mount debootstrap --force-check-gpg --variant=minbase \
        --include=ca-certificates,python3,python3-venv "$SUITE" "$root" ${mirror:+"$mirror"} \
        >"$CACHE/debootstrap.log" 2>&1 || fail "debootstrap: $(tail -n 5 "$CACHE/debootstrap.log")"
    rm -rf "${root:?}"/dev/* "${root:?}"/var/{cache/apt,lib/apt/lists,log}/*
    rm -rf "${root:?}"/usr/share/{info,locale,man}/*
    find "$root/usr/share/doc" -type f ! -name copyright -delete
    images commit --quiet --rm "$container" "$BASE" >/dev/null
}
# Another recipe is another base.
BASE=$IMAGE-base:$SUITE-$(declare -f make_base | sha256sum | cut -c1-8)

# Secrets of the build: what pip is told on this machine, the environment first, as with pip.
write_secrets() {
    local authorities=${PIP_CERT:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}
    { python3 -m pip config list 2>/dev/null || true; } |
        sed -nE "s/^[^=]*\.(index-url|extra-index-url|trusted-host|proxy)='(.*)'$/\1 = \2/p" |
        awk -F= 'BEGIN { print "[global]" } !seen[$1]++' >"$WORK/pip.conf"
    SECRETS=(--secret "id=pip,src=$WORK/pip.conf")
    if [ -f "$authorities" ]; then
        echo 'cert = /run/secrets/authorities' >>"$WORK/pip.conf"
        SECRETS+=(--secret "id=authorities,src=$authorities")
    fi
}

build() {
    # The format of Docker, since that of OCI has no health check.
    images build --quiet --isolation chroot --format docker --pull-never "${SECRETS[@]}" \
        --build-arg "BASE=$BASE" --build-arg "EXTRAS=$EXTRAS" --tag "$IMAGE" . >/dev/null
    images rmi --prune >/dev/null
    images from --pull-never --name "$TREE" "$IMAGE" >/dev/null
}

# What is in the image, and a job from a file to a file: with what buildah has, and closed up.
prove() {
    local inside=(images run --isolation chroot "$TREE" --)
    [ "$("${inside[@]}" id -u)" = 10001 ] || fail 'the image runs as another user'
    "${inside[@]}" sh -c '! command -v pip && ! command -v cc' || fail 'tools of the build are left'
    "${inside[@]}" samza-py new /state/job.py
    "${inside[@]}" samza-py run /state/job.py
    "${inside[@]}" sh -c 'cat /state/job-output/*' >"$WORK/by-buildah"

    mkdir "$WORK/state"
    chown 10001:10001 "$WORK/state"
    deploy/run_without_docker.sh "$WORK/state" deploy new /state/job.py
    deploy/run_without_docker.sh "$WORK/state" deploy run /state/job.py
    cat "$WORK"/state/job-output/* >"$WORK/closed-up"

    cmp "$WORK/by-buildah" "$WORK/closed-up"
    [ "$(wc -l <"$WORK/closed-up")" = 4 ] || fail "not 4 prices: $(cat "$WORK/closed-up")"
}

be_root
check_tools
mkdir -p "$CACHE"
exec 9>"$CACHE/lock"
bounded flock 9
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
images rm --all >/dev/null  # what is in use here, or was left by a build that was killed

if ! images inspect --type image "$BASE" >/dev/null 2>&1; then
    say "base: $SUITE by debootstrap (once)"
    make_base
fi
say "build: the Dockerfile by buildah, with the extras ${EXTRAS:-none}"
write_secrets
build
flock --shared 9  # from here on the image is only looked at
say 'run: a job from a file to a file, in the image'
prove
size() { images images --format '{{.Size}}' "$1"; }
say "size: $IMAGE has $(size "$IMAGE"), of which the base has $(size "$BASE"); $SECONDS s in all"
say "to have it as a file for docker load:"
echo "   buildah --storage-driver vfs --root $CACHE/root push $IMAGE docker-archive:samza-py.tar"
