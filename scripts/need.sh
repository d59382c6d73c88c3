#!/bin/sh
# Makes sure that the named tools are there, of these: gcc, promtool, prometheus,
# busybox, docker, shellcheck, and xmlrpc-peers, which are the implementations of
# XML-RPC that test/xmlrpc calls and is called by.
#
# On Debian and its relatives it fetches what is missing: as root by apt-get
# install; servers and small tools, which nobody wants to have installed (and
# started) for a test, are only unpacked, into out/tools. Elsewhere it says what
# is missing, and fails when FARCALL_REQUIRE_ALL or CI is set, so that no test
# is left out unseen.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/out/tools
PATH=$tools/bin:$PATH

# Debian's packages with implementations of XML-RPC, and what runs them.
xmlrpc_peers='gcc g++ libc6-dev libflxmlrpc-dev libxmlrpc-core-c3-dev libxmlrpcpp-dev xmlrpc-api-utils
	libaxmlrpc-java default-jdk-headless lua5.1 lua-xmlrpc tcl tcl-xmlrpc
	libfrontier-rpc-perl librpc-xml-perl libxmlrpc-lite-perl php-cli php-xmlrpc
	python3 python3-aioxmlrpc python3-httpx ruby ruby-webrick ruby-xmlrpc'

# say prints a line that is not overlooked.
say() { echo "need.sh: $*" >&2; }

# update fetches the lists of packages, once.
update() {
	[ -z "${updated:-}" ] || return 0
	updated=yes
	[ "$(id -u)" != 0 ] || apt-get -qq update >&2 || true
}

# unpack PACKAGE FILE...: puts these files of the package into out/tools/bin.
unpack() {
	package=$1
	shift
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
	update
	say "unpacking Debian's $package into out/tools"
	deb=$tools/$package
	rm -rf "$deb"
	mkdir -p "$deb" "$tools/bin"
	(cd "$deb" && apt-get -qq download "$package" 2>/dev/null) || return 1
	for file; do
		# Nothing but the file: a package may hold Go source, which go would see.
		dpkg-deb --fsys-tarfile "$deb"/*.deb | tar -x -O "./$file" >"$tools/bin/${file##*/}" || return 1
		chmod +x "$tools/bin/${file##*/}"
	done
	rm -rf "$deb"
}

# install PACKAGE...: installs by apt-get, as root only.
install() {
	command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
	update
	say "installing $*"
	DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >&2
}

# have TOOL: reports whether it is there and works.
have() {
	case $1 in
	busybox)
		# It goes into an image without a libc, so a static one is wanted.
		command -v busybox >/dev/null && ! ldd "$(command -v busybox)" >/dev/null 2>&1
		;;
	docker) docker info >/dev/null 2>&1 && { command -v docker-compose || docker compose version; } >/dev/null 2>&1 ;;
	xmlrpc-peers)
		for package in $xmlrpc_peers; do
			[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || return 1
		done
		;;
	*) command -v "$1" >/dev/null ;;
	esac
}

# get TOOL: fetches it.
get() {
	case $1 in
	promtool | prometheus) unpack prometheus usr/bin/prometheus usr/bin/promtool ;;
	busybox) unpack busybox-static bin/busybox ;;
	shellcheck) unpack shellcheck usr/bin/shellcheck ;;
	gcc) install gcc libc6-dev ;;
	docker)
		command -v docker >/dev/null || install docker.io || return 1
		{ command -v docker-compose || docker compose version; } >/dev/null 2>&1 || install docker-compose
		;;
	xmlrpc-peers)
		# shellcheck disable=SC2086 # It is a list.
		install $xmlrpc_peers
		;;
	*) say "no such tool in need.sh: $1" && exit 2 ;;
	esac
}

missing=
for tool; do
	have "$tool" && continue
	get "$tool" && have "$tool" && continue
	missing="$missing $tool"
done
[ -n "$missing" ] || exit 0

say "MISSING:$missing"
say "install it by hand; what needs it cannot run."
case $missing in
*xmlrpc-peers*) say "xmlrpc-peers are Debian's packages $(echo "$xmlrpc_peers" | tr -s '\n\t' '  ')" ;;
esac
case $missing in
*docker*) say "docker means a running engine (docker info), and docker compose or docker-compose." ;;
esac
[ -z "${FARCALL_REQUIRE_ALL:-}${CI:-}" ] || exit 1
say "going on without."
