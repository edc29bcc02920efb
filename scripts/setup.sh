#!/bin/sh
# Installs what a fresh Debian 12 lacks; does nothing, quickly, where all is there. Needs root, Rust and git.
#   scripts/setup.sh           what the build needs
#   scripts/setup.sh --tests   and the peers of the whole-house tests
set -eu
cd "$(dirname "$0")/.."

build="build-essential cmake nasm pkg-config libvpx-dev libspeex-dev"
tests="chromium kamailio kamailio-tls-modules rtpengine-daemon sip-tester socat openssl baresip-core baresip-ffmpeg linphone-cli libbcg729-0 ffmpeg tshark iproute2 nftables util-linux \
    espeak-ng python3 python3-dev python3-venv python3-numpy cython3"

# Words of $1 that are not installed.
missing() {
    for package in $1; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
    done
}

# Debian starts a service with its package, now and at each boot. The tests bring their own, with their own ports: new
# ones do neither.
install() {
    [ -n "$1" ] || return 0
    echo "installing: $1"
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of words
    apt-get install -y -qq --no-install-recommends $1 >/dev/null
    for service in kamailio rtpengine-daemon; do
        case " $1 " in *" $service "*) systemctl disable -q $service 2>/dev/null || true ;; esac
    done
}

wanted=$(missing "$build")
if [ "${1:-}" = --tests ]; then
    wanted="$wanted$(missing "$tests")"
    command -v node >/dev/null || wanted="$wanted nodejs"
    command -v npm >/dev/null || wanted="$wanted npm"
fi
install "$wanted"

if [ "${1:-}" = --tests ]; then
    # What stands in node_modules came from this lock file: nothing to do.
    stamp=tests/web/node_modules/.installed-lock
    if ! cmp -s tests/web/package-lock.json $stamp; then
        echo "installing the npm packages of tests/web"
        (cd tests/web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
        cp tests/web/package-lock.json $stamp
    fi
    # PESQ judges the speech that was heard; it is compiled here.
    venv=${CARGO_TARGET_DIR:-target}/pesq
    if ! cmp -s tests/support/pesq.txt "$venv/installed.txt"; then
        echo "installing pesq"
        rm -rf "$venv"
        /usr/bin/python3 -m venv --system-site-packages "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check --no-build-isolation --no-deps --require-hashes -r tests/support/pesq.txt
        cp tests/support/pesq.txt "$venv/installed.txt"
    fi
fi
