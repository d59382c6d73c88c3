#!/bin/sh
# A small mesh on this machine: one name server with etcd inside, two daemons.
#
#   mesh.sh demo   start it on free ports, call across it, stop it
#   mesh.sh up     start it on the usual ports and leave it running
#   mesh.sh down   stop what up started
#
# The programs must be in bin/ (make build). Logs, data and process ids go to
# out/demo or out/mesh.
set -eu

cd "$(dirname "$0")/.."
PATH=$PWD/bin:$PATH

# Seconds that a program gets to be ready, and to stop.
ready_within=60
stop_within=30

# fail prints why, and ends with status 1.
fail() {
	echo "mesh.sh: $*" >&2
	exit 1
}

# start NAME PROGRAM FLAG...: starts a program; its log goes to $dir/NAME.log.
start() {
	name=$1
	shift
	"$@" >"$dir/$name.log" 2>&1 </dev/null &
	echo $! >"$dir/$name.pid"
}

# runs NAME: reports whether the process that we started still runs. The name of
# the program is compared too, since a process id may be used again; one that
# has ended and whom nobody has asked after yet (Z) does not run.
runs() {
	pid=$(cat "$dir/$1.pid" 2>/dev/null) || return 1
	case $(cat "/proc/$pid/stat" 2>/dev/null || ps -o comm=,stat= -p "$pid" 2>/dev/null) in
	*nameserver*' Z'* | *daemon*' Z'*) return 1 ;;
	*nameserver* | *daemon*) return 0 ;;
	*) return 1 ;;
	esac
}

# settled NAME COMMAND...: waits until the command, a probe, says that the program
# is ready. Status 1 means that the program cannot have its address.
settled() {
	name=$1
	shift
	deadline=$(($(date +%s) + ready_within))
	until "$@" >/dev/null 2>&1; do
		if ! runs "$name"; then
			code=0
			wait "$pid" || code=$?
			# 3 is the programs' word for an address that they cannot listen on.
			[ "$code" != 3 ] || return 1
			tail -n 20 "$dir/$name.log" >&2
			fail "$name has ended with status $code; its log is $dir/$name.log"
		fi
		if [ "$(date +%s)" -ge "$deadline" ]; then
			tail -n 20 "$dir/$name.log" >&2
			fail "$name is not ready after $ready_within s; its log is $dir/$name.log"
		fi
		sleep 0.1
	done
}

# stop: asks every program to stop, daemons first, and waits for it. Status 1
# means that one did not stop as it should.
stop() {
	clean=0
	for name in daemon-b daemon-a nameserver; do
		if runs "$name"; then
			stop_one || clean=1
		fi
		rm -f "$dir/$name.pid"
	done
	return $clean
}

# stop_one: stops $name, whose process id is $pid.
stop_one() {
	kill -TERM "$pid"
	deadline=$(($(date +%s) + stop_within))
	while runs "$name"; do
		if [ "$(date +%s)" -ge "$deadline" ]; then
			echo "mesh.sh: $name does not stop; killing it" >&2
			kill -KILL "$pid"
			return 1
		fi
		sleep 0.1
	done
	# 127 means that it is not this shell's child, so that nobody knows.
	code=0
	wait "$pid" || code=$?
	if [ "$code" != 0 ] && [ "$code" != 127 ]; then
		tail -n 5 "$dir/$name.log" >&2
		echo "mesh.sh: $name ended with status $code" >&2
		return 1
	fi
	echo "stopped $name"
}

# start_mesh HTTP ETCD PEER A B FLAG...: starts the name server on the first three
# ports, with these flags, and the daemons on the others, each with its admin
# port beside it. Status 1 means that one of the ports is in use.
start_mesh() {
	http=127.0.0.1:$1 etcd=127.0.0.1:$2 peer=127.0.0.1:$3
	a=127.0.0.1:$4 a_admin=127.0.0.1:$(($4 + 1))
	b=127.0.0.1:$5 b_admin=127.0.0.1:$(($5 + 1))
	shift 5
	# Somebody else's programs would pass for ours when we ask whether they are
	# ready.
	for other in "$http" "$a_admin" "$b_admin"; do
		! nameserver probe --live --listen "$other" >/dev/null 2>&1 || return 1
	done
	start nameserver nameserver --listen "$http" \
		--etcd-listen-client "http://$etcd" --etcd-listen-peer "http://$peer" "$@"
	settled nameserver nameserver probe --listen "$http" || return 1
	start daemon-a daemon --node a --nameserver "$etcd" --listen "$a" --admin "$a_admin"
	start daemon-b daemon --node b --nameserver "$etcd" --listen "$b" --admin "$b_admin"
	settled daemon-a daemon probe --admin "$a_admin" || return 1
	settled daemon-b daemon probe --admin "$b_admin" || return 1
	FARCALL_NAMESERVER=$etcd
	export FARCALL_NAMESERVER
}

# finish STATUS: stops everything and ends with that status, or with 1 when
# something did not stop as it should.
finish() {
	stop || exit 1
	exit "$1"
}

# show COMMAND...: prints the command as one would type it, and runs it.
show() {
	printf '\n$ %s\n' "$*"
	"$@"
}

demo() {
	dir=out/demo
	rm -rf "$dir"
	mkdir -p "$dir"
	trap 'finish $?' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM

	# Somebody else may have the ports, so look for a block that is free.
	for base in 7400 17400 27400 37400 47400; do
		start_mesh $base $((base + 1)) $((base + 2)) $((base + 10)) $((base + 20)) --dev && break
		stop >/dev/null
		[ $base != 47400 ] || fail "found no free ports; the logs are in $dir"
	done
	echo "nameserver is ready at http://$http, etcd at $etcd; daemons a at $a, b at $b"

	show client list
	show client invoke greeting get_fortune letian
	show client call add 3 4
	show client describe greeting
	show client resolve greeting
	echo
}

up() {
	dir=out/mesh
	mkdir -p "$dir"
	if runs nameserver; then
		echo "It is running already; 'make down' stops it."
		return
	fi
	trap '[ $? = 0 ] || finish 1' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	start_mesh 7400 2379 2380 7500 7510 --data-dir "$dir/data" ||
		fail "one of the ports 7400, 2379, 2380, 7500, 7501, 7510 and 7511 is in use; $dir/*.log say which"
	cat <<-EOF
		A mesh is running: nameserver at http://$http, etcd at $etcd,
		daemons a at $a, b at $b. Logs are in $dir/.

		Try:
		  bin/client list
		  bin/client invoke greeting get_fortune letian
		  bin/client call add 3 4
		  bin/client describe greeting
		  bin/client list --watch

		Stop it with:
		  make down
	EOF
}

down() {
	dir=out/mesh
	stop
}

case ${1:-} in
demo) demo ;;
up) up ;;
down) down ;;
*)
	echo "usage: mesh.sh demo|up|down" >&2
	exit 2
	;;
esac
