# What every script here shares: where things are, what is needed, how a recording is made, and
# cleaning up. Sourced by bash, with `set -eu`.
#
# OUT        where the recording goes        [the folder tests/recordings]
# SEEPMETER  the seepmeter that records      [the workspace's release build]

set -euo pipefail

name=$(basename "$0")
make=$(cd "$(dirname "$0")" && pwd)
programs=$make/programs
out=$(cd "${OUT:-$make/..}" && pwd)
seepmeter=${SEEPMETER:-$make/../../../target/release/seepmeter}

# Everything happens in a folder of its own, where the programs are copied to, so that commands are
# short and the same on every machine.
work=$(mktemp -d)
load_pids=()
watch_pid=()

clean_up() {
    # The watch first: it passes TERM on to its program, and ends when that has ended.
    for pid in "${watch_pid[@]}" "${load_pids[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cp "$programs"/* "$work"
cd "$work"

# The distribution's own programs, not those of some version manager.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH

# need COMMAND PACKAGE: ends where a command is missing, and says where it comes from.
need() {
    if ! command -v "$1" >/dev/null; then
        echo "$name: $1 is missing; it is in Debian's package $2 (apt-get install $2)" >&2
        exit 1
    fi
}

if [ ! -x "$seepmeter" ]; then
    echo "$name: $seepmeter is missing; cargo build --release makes it, or set SEEPMETER" >&2
    exit 1
fi
need unshare util-linux
need python3 python3

# The machine's name is part of a recording and nobody's business: it is recorded under another one.
as_nobodys_machine() {
    local flags=(--uts)
    [ "$(id -u)" = 0 ] || flags+=(--map-root-user)
    exec unshare "${flags[@]}" sh -c 'hostname recordings; exec "$@"' sh "$@"
}

# watch SUBCOMMAND FLAG…: runs seepmeter on $words in the background and waits for it, since bash would not act on a
# signal before a command in the foreground has ended.
watch() {
    as_nobodys_machine "$seepmeter" "$@" -q --no-summary \
        -o "jsonl,path=$work/$name.jsonl.zst" "${words[@]}" <&0 >/dev/null &
    watch_pid=($!)
    wait "${watch_pid[0]}" ||
        [ $? = 143 ] # a JVM answers TERM by ending with this status by itself
    watch_pid=()
    mv "$work/$name.jsonl.zst" "$out/$name.jsonl.zst"
    echo "$name: $(stat -c %s "$out/$name.jsonl.zst") bytes"
}

# record DURATION INTERVAL COMMAND…: spawns a command, watches it for so long and ends it.
record() {
    local duration=$1 interval=$2
    shift 2
    words=(-- "$@")
    watch run -i "$interval" -d "$duration" --on-stop end
}

# record_pid DURATION INTERVAL PID: the same of a process that runs already, which goes on.
record_pid() {
    words=("$3")
    watch attach -i "$2" -d "$1"
}

# load COMMAND…: runs a load generator beside the program until this script ends.
load() {
    "$@" >/dev/null 2>"$work/load.err" &
    load_pids+=($!)
}

# A port on the loopback that nobody listens on.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
