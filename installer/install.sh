#!/bin/sh
# Installs ebr-gateway from the folder that this file lies in. No network is used. docs/install.md says what each step is for.
#
#   ./install.sh                  install this version; where another one runs, it stays beside until you switch
#   ./install.sh switch VERSION   let the lines run on an installed version: forward to a new one, or back to an old one
#   ./install.sh verify [KEYS]    look whether this folder is whole and signed by a release key of the machine; installs nothing
#   ./install.sh list             which versions are installed, and which one is in use
#   ./install.sh remove VERSION   remove a version that is not in use
#   ./install.sh uninstall        remove the program; line folders and journals stay
#
# Exit 0: done. 1: refused or failed, in one line; what was there before is as it was.
# Killed, or cut off by the power: the same command again completes it; `list` says what is under way.
set -eu
umask 022
export PYTHONDONTWRITEBYTECODE=1 # pip alone compiles, before `whole`: byte code that a power cut left half stops a release that has it

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
opt=/opt
current=$opt/ebr-gateway
under_way=$opt/ebr-gateway.switch # what a switch is about to do, and which lines it stops: it is there for as long as that is not done
units=/etc/systemd/system
completion=/etc/bash_completion.d/ebr-gateway
completion_new=/etc/bash_completion.d/.ebr-gateway.new # no shell reads what begins with a dot
pages=/usr/local/share/man/man1
keys=/etc/ebr-gateway/release-keys # the supplier's public keys, one a line, as the plant got them another way
lines_at=/etc/ebr-gateway
starts_within_s=300

trap 'exit 1' HUP INT TERM # so that what stands behind EXIT is done as well

refuse() { echo "install.sh: $1" >&2; exit 1; }
say() { echo "install.sh: $1"; }

has_systemd() { [ -d /run/systemd/system ]; }
in_use() { if [ -L "$current" ]; then basename "$(readlink "$current")" | sed 's/^ebr-gateway-//'; fi; }
is_installed() { [ -s "$opt/ebr-gateway-$1/whole" ]; } # written last: what a power cut left half is not one
noted() { if [ -e "$under_way" ]; then sed -n "s/^$1 //p" "$under_way"; fi; }
noted_lines() { # that still have a folder
    for each in $(noted lines); do name=${each#ebr-gateway@}; if [ -d "$lines_at/${name%.service}" ]; then echo "$each"; fi; done
}
first_other() { other=$1; shift; for each in "$@"; do if [ -n "$each" ] && [ "$each" != "$other" ]; then echo "$each"; return; fi; done; }
installed() { for each in "$opt"/ebr-gateway-*; do [ -s "$each/whole" ] && basename "$each" | sed 's/^ebr-gateway-//'; done; true; }
lines_that_run() {
    if has_systemd; then systemctl list-units --plain --no-legend --state=active,activating 'ebr-gateway@*.service' | cut -d' ' -f1; fi
}

is_version() { case "$1" in */* | .* | '') refuse "'$1' is no version" ;; esac; }

alone() { # two at once would undo each other; who is killed holds nothing
    command -v flock >/dev/null 2>&1 || return 0
    exec 9>/run/ebr-gateway-install.lock
    flock -n 9 || refuse "another install.sh is at work: wait until it has ended"
}

put() { # a file in its place, whole or not at all: an empty unit after a power cut would start no line
    install -m 0644 "$1" "$2.new" && sync "$2.new" && mv -T "$2.new" "$2"
}

link_to() { # a link has no content that could be synced: its folder is, before another name leads to it
    ln -sfn "$1" "$2.new" && sync "$(dirname "$2")" && mv -T "$2.new" "$2"
}

python_for() { # the first Python that is new enough and for which this folder has libraries
    for each in python3 python3.14 python3.13 python3.12 python3.11; do
        command -v "$each" >/dev/null 2>&1 || continue
        "$each" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        tag=$("$each" -c 'import sys; print(f"cp{sys.version_info[0]}{sys.version_info[1]}")')
        if ls "$here"/wheels/*-"$tag"-*.whl >/dev/null 2>&1; then echo "$each"; return; fi
    done
}

wheel_here() {
    wheel=$(ls "$here"/ebr_gateway-*-py3-none-any.whl 2>/dev/null | head -n 1)
    [ -n "$wheel" ] || refuse "no wheel of ebr-gateway lies in $here"
}

is_whole() {
    (cd "$here" && sha256sum --check --quiet --strict SHA256SUMS >/dev/null 2>&1) || refuse "a file in $here is not what SHA256SUMS says: copy the medium again"
}

is_signed() { # by a key of the plant: who can change a file here can change the sums beside it, but not sign them
    command -v openssl >/dev/null 2>&1 || refuse "openssl is needed to verify the signature: apt-get install openssl"
    "$1" -I - "$here" "$2" "$(basename "$wheel")" <<'PYTHON'
import base64, hashlib, pathlib, subprocess, sys, tempfile

here, keys, wheel = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]


def refuse(why):
    sys.exit(f"install.sh: {why}; nothing is installed")


def signed(note, key):  # a signed note (C2SP signed-note, Ed25519)
    name, number, coded = key.split("+", 2)
    text, _, signatures = note.rpartition(b"\n\n")
    for line in signatures.decode("utf-8", "replace").splitlines():
        who, _, raw = line.removeprefix("\u2014 ").rpartition(" ")
        raw = base64.b64decode(raw)
        if who != name or raw[:4].hex() != number:
            continue
        with tempfile.TemporaryDirectory() as folder:
            at = [pathlib.Path(folder, each) for each in ("key", "text", "signature")]
            found = (bytes.fromhex("302a300506032b6570032100") + base64.b64decode(coded)[1:], text + b"\n", raw[4:])
            for path, content in zip(at, found):
                path.write_bytes(content)
            words = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin", "-inkey", at[0], "-in", at[1], "-sigfile", at[2]]
            if subprocess.run(words, capture_output=True).returncode == 0:
                return True
    return False


try:
    note = (here / "SHA256SUMS.note").read_bytes()
except OSError:
    refuse(f"no signature lies here (SHA256SUMS.note), and {keys} names whose releases this machine takes")
try:
    is_signed = any(signed(note, key) for key in keys.read_text("utf-8").split())
except (OSError, ValueError) as error:
    refuse(f"{keys} or the signature can not be read: {error}")
if not is_signed:
    refuse(f"the release is signed by none of the keys of {keys}")
sums = dict(reversed(line.split("  ", 1)) for line in note.rpartition(b"\n\n")[0].decode().splitlines())
for name in (wheel, "locks/databases.txt", *sums):
    path = here / name
    if name not in sums or not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sums[name]:
        refuse(f"{name} is not what was signed")
PYTHON
}

looked_at() { # python, keys
    is_whole
    if [ -s "$2" ]; then
        is_signed "$1" "$2" || exit 1
        say "signed by a key of $2"
    else
        say "no release key is at $2: nobody's signature was looked at"
    fi
}

verify() {
    wheel_here
    [ -s "$1" ] || refuse "no release key is at $1: put the supplier's there, as you got it another way than this folder"
    command -v python3 >/dev/null 2>&1 || refuse "no python3 is here"
    looked_at python3 "$1"
    say "$(basename "$wheel") and the locks are as they were signed; the libraries are held against the locks when they are installed"
}

install_version() {
    wheel_here
    version=$(basename "$wheel" | sed 's/^ebr_gateway-\(.*\)-py3-none-any\.whl$/\1/')
    target=$opt/ebr-gateway-$version
    is_whole
    if [ -n "$(in_use)" ]; then name_itself "$(in_use)"; fi # where taking over was cut off
    if is_installed "$version" && [ -n "$(in_use)" ]; then refuse "version $version is installed already: ./install.sh switch $version"; fi
    python=$(python_for)
    [ -n "$python" ] || refuse "no Python 3.11 or newer with venv is here for which this folder has libraries: apt-get install python3-venv"
    looked_at "$python" "$keys"
    if [ -d "$current" ] && [ ! -L "$current" ]; then take_over; fi
    is_installed "$version" || make_it # whole, and not in use: an installation that was cut off behind its last step goes on there
    if [ -n "$(in_use)" ]; then
        say "installed beside version $(in_use), which stays in use; between two batches: ./install.sh switch $version"
    else
        lay_around "$target"
        sync # whoever finds the link takes all around it for laid
        link_to "$target" "$current"
        sync
        say "installed. Next: ebr-gateway new /etc/ebr-gateway/NAME, and docs: ebr-gateway docs install"
    fi
    "$target/bin/ebr-gateway" about || say "the supplier's signature was not verified: see 'ebr-gateway docs install', 1"
}

take_over() { # what was installed by hand, in the link's place, becomes a version beside at one stroke: lines run on, and can be switched back to it
    was=$("$current/bin/python" -P -c 'import importlib.metadata as m; print(m.version("ebr-gateway"))' 2>/dev/null) || was=
    [ -n "$was" ] || refuse "$current is a folder, and no ebr-gateway is in it: move it away"
    [ "$was" != "$version" ] || refuse "version $version was installed by hand in $current already"
    beside=$opt/ebr-gateway-$was
    if [ -L "$beside" ]; then rm "$beside"; fi # of one that was cut off
    [ ! -e "$beside" ] || refuse "$current, installed by hand, is version $was, and $beside is there as well: move one of the two away"
    echo "ebr-gateway $was" >"$current/whole"
    ln -s "$beside" "$beside"
    sync # all of it, before the two change places
    exchange "$current" "$beside"
    name_itself "$was"
    sync
    say "version $was, installed by hand, lies in $beside now, and stays in use"
}

name_itself() { # commands that were installed by hand name the place in which they lay, and which another version is to have
    for each in $(grep -Ils "^#!$current/" "$opt/ebr-gateway-$1"/bin/*); do
        sed "1s|^#!$current/|#!$opt/ebr-gateway-$1/|" "$each" >"$each.new"
        chmod --reference="$each" "$each.new"
        sync "$each.new"
        mv -T "$each.new" "$each"
    done
}

exchange() { # two names, at once: at no moment is one of them not there
    "$python" -I -c '
import ctypes, os, sys

libc = ctypes.CDLL(None, use_errno=True)
if libc.renameat2(-100, os.fsencode(sys.argv[1]), -100, os.fsencode(sys.argv[2]), 2):
    sys.exit("install.sh: " + sys.argv[1] + ": " + os.strerror(ctypes.get_errno()))' "$1" "$2" || { rm -f "$2"; exit 1; }
}

make_it() {
    say "version $version with $("$python" --version)"
    rm -rf "$target"
    trap 'rm -rf "$target"' EXIT
    "$python" -m venv "$target"
    "$target/bin/pip" install --quiet --disable-pip-version-check --no-index --find-links "$here/wheels" --require-hashes -r "$here/locks/databases.txt"
    "$target/bin/pip" install --quiet --disable-pip-version-check --no-index --no-deps "$wheel"
    "$target/bin/ebr-gateway" --version >"$target/whole.new"
    sync # all of it is on the disk before the file that says so
    mv -T "$target/whole.new" "$target/whole"
    sync
    trap - EXIT
}

lay_around() { # account, unit, command, completion, pages for man: of the version that is in use
    share=$("$1/bin/python" -P -c 'import gateway, pathlib; print(pathlib.Path(gateway.__file__).parent / "install/systemd")')
    install -d -m 0755 /etc/sysusers.d "$units" /etc/ebr-gateway /usr/local/bin /etc/bash_completion.d
    put "$share/ebr-gateway.conf" /etc/sysusers.d/ebr-gateway.conf
    put "$share/ebr-gateway@.service" "$units/ebr-gateway@.service"
    link_to "$current/bin/ebr-gateway" /usr/local/bin/ebr-gateway
    if _EBR_GATEWAY_COMPLETE=bash_source "$1/bin/ebr-gateway" >"$completion_new"; then
        sync "$completion_new" && mv -T "$completion_new" "$completion"
    else
        rm -f "$completion" "$completion_new"
    fi
    "$1/bin/ebr-gateway" docs --man "$pages" >/dev/null 2>&1 || rm -f "$pages"/ebr-gateway*.1 # an older version makes none
    systemd-sysusers /etc/sysusers.d/ebr-gateway.conf
    if has_systemd; then systemctl daemon-reload; fi
}

point_at() { link_to "$opt/ebr-gateway-$1" "$current" && sync; }

can_read() { # a release that is older than what the lines have written, or does not take their folders, refuses before anything is stopped
    "$opt/ebr-gateway-$1/bin/python" -P -c 'import sys' 2>/dev/null || refuse "version $1 can not be used: its Python does not start; nothing was changed"
    told=$("$opt/ebr-gateway-$1/bin/python" -P - "$lines_at" $(lines_that_run) $(noted_lines) <<'PYTHON'
import pathlib, sys

to_start = {unit.removeprefix("ebr-gateway@").removesuffix(".service") for unit in sys.argv[2:]}


def not_taken(folder):  # what a start would run: in production the version in force, else the folder
    try:
        from gateway.runtime.choosing import chosen
    except ImportError:
        return ""
    try:
        chosen(folder)
    except ConfigError as error:
        return f"it would not start there: {str(error).splitlines()[0]}"


try:  # releases of before anybody could ask do not refuse
    from config import ConfigError, data_directory
except ImportError:
    sys.exit()
try:
    from buffer import newer_than_this
except ImportError:
    newer_than_this = lambda _: None
for line in sorted(pathlib.Path(sys.argv[1]).glob("*/line.toml")):
    try:
        data = data_directory(line.parent)
    except ConfigError:
        data = pathlib.Path("/var/lib/ebr-gateway", line.parent.name)
    if why := newer_than_this(data) or (line.parent.name in to_start and not_taken(line.parent)):
        print(f"{line.parent.name}: {why}")
        break
PYTHON
    ) || refuse "version $1 can not say whether it reads the journals; nothing was changed"
    [ -z "$told" ] || refuse "version $1 can not be used. $told; nothing was changed"
}

note_switch() { # from, to, lines: on the disk before the first line is stopped
    printf 'from %s\nto %s\nlines %s\n' "$1" "$2" "$3" >"$under_way.new"
    sync "$under_way.new"
    mv -T "$under_way.new" "$under_way"
    sync "$opt"
}

done_switching() { sync && rm -f "$under_way" && sync "$opt"; }

start_all() { # start the lines that ran; false if one does not come up
    for line in $1; do
        timeout "$starts_within_s" systemctl start "$line" || return 1
        systemctl is-active --quiet "$line" || return 1
    done
}

go_back() { # whatever ended the switch: the lines that ran run again on what they ran on
    trap - EXIT
    for line in $lines; do systemctl stop "$line" || true; done
    if [ -z "$before" ]; then refuse "version $wanted can not be used: journalctl -u 'ebr-gateway@*'"; fi
    if point_at "$before" && lay_around "$opt/ebr-gateway-$before" && start_all "$lines"; then
        done_switching
        refuse "the lines do not run on version $wanted (journalctl -u 'ebr-gateway@*'); all run on $before again"
    fi
    refuse "the lines run on neither $wanted nor $before: journalctl -u 'ebr-gateway@*'"
}

switch_to() {
    wanted=$1
    is_version "$wanted"
    is_installed "$wanted" || refuse "version $wanted is not installed; there are: $(installed | tr '\n' ' ')"
    [ -e "$under_way" ] || [ "$(in_use)" != "$wanted" ] || refuse "version $wanted is in use already"
    can_read "$wanted"
    before=$(first_other "$wanted" "$(noted from)" "$(in_use)" "$(noted to)") # of one that was cut off: where it began
    lines=$(printf '%s\n' $(lines_that_run) $(noted_lines) | sort -u) # and the lines that it had stopped
    if [ -n "$before" ]; then name_itself "$before"; fi
    note_switch "$before" "$wanted" "$(echo $lines)"
    trap go_back EXIT
    for line in $lines; do
        say "stopping $line"
        systemctl stop "$line"
    done
    point_at "$wanted"
    lay_around "$opt/ebr-gateway-$wanted"
    start_all "$lines" || exit 1
    trap - EXIT
    done_switching
    say "version $wanted is in use${before:+; back again: ./install.sh switch $before}"
}

remove_version() {
    is_version "$1"
    [ "$(in_use)" != "$1" ] || refuse "version $1 is in use"
    if [ "$(noted from)" = "$1" ] || [ "$(noted to)" = "$1" ]; then refuse "a switch from $(noted from) to $(noted to) was cut off: complete it first"; fi
    [ -d "$opt/ebr-gateway-$1" ] || refuse "version $1 is not installed"
    rm -f "$opt/ebr-gateway-$1/whole" # first: what is removed by half must not be taken for a version
    sync
    rm -rf "$opt/ebr-gateway-$1"
    say "version $1 is removed"
}

uninstall() {
    for line in $(lines_that_run); do systemctl disable --now "$line"; done
    if [ -d "$current" ] && [ ! -L "$current" ]; then rm -rf "$current"; fi # installed by hand
    rm -f "$under_way" "$current"
    sync "$opt" # none is in charge any more, before anything that it needs is gone
    rm -f /usr/local/bin/ebr-gateway "$units/ebr-gateway@.service" /etc/sysusers.d/ebr-gateway.conf "$completion" "$pages"/ebr-gateway*.1
    rm -f "$opt"/ebr-gateway-[0-9]*/whole
    sync
    rm -rf "$opt"/ebr-gateway-[0-9]*
    if has_systemd; then systemctl daemon-reload; fi
    say "the program is removed. Line folders in /etc/ebr-gateway, journals in /var/lib/ebr-gateway and the account stay"
}

if [ "${1:-}" = verify ]; then verify "${2:-$keys}"; exit 0; fi
[ "$(id -u)" = 0 ] || refuse "root installs: sudo $0 $*"
[ "${1:-install}" = list ] || alone
case "${1:-install}" in
install) install_version ;;
switch) switch_to "${2:?a version}" ;;
list)
    for version in $(installed); do if [ "$version" = "$(in_use)" ]; then echo "$version  in use"; else echo "$version"; fi; done
    if [ -e "$under_way" ]; then
        say "a switch from $(noted from) to $(noted to) is under way or was cut off: ./install.sh switch $(noted to) completes it, switch $(noted from) goes back"
    fi
    ;;
remove) remove_version "${2:?a version}" ;;
uninstall) uninstall ;;
*) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 1 ;;
esac
