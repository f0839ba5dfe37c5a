#!/bin/sh
#
# Do all arrows point down, and does every library keep to its door?
#
#	tests/tools/floors.sh [SOURCE-ROOT]
#
# Reads the #include lines of our sources and says, as "file:line: why", where
#
# - an include goes up, or from one room of the middle floor into another;
# - an outside library's header is seen anywhere but at its door, be it through
#   one of our headers; or a library comes in that has no door at all;
# - a source does not begin with its own header;
# - a header's guard is not its path.
#
# Silent when all is well. The picture is in proxy/ARCHITECTURE.md.
set -u

cd "${1:-${srcdir:-.}}" || exit 2
sources=$(find proxy conf storage transports tests -name '*.[ch]' | sort)
[ -n "$sources" ] || {
	echo "floors: no sources in $PWD" >&2
	exit 2
}

# Their names have no blanks.
# shellcheck disable=SC2086
awk '
BEGIN {
	# The doors: a library, its headers, and the files that may see them.
	door("libmicrohttpd", "^microhttpd[.]h$", "^proxy/http/http[^/]*[.][ch]$")
	door("libssl", "^openssl/(ssl|x509v3)[.]h$",
	    "^proxy/(tls/tls[^/]*|compare/secure)[.][ch]$")
	door("libcrypto", "^openssl/",
	    "^proxy/(base/(digest|signature)|tls/tls[^/]*|compare/secure)" \
	    "[.][ch]$")
	door("SQLite", "^sqlite3[.]h$",
	    "^storage/(sqlite|outbox)/[^/]*sqlite[^/]*[.][ch]$")
	door("libconfuse", "^confuse[.]h$", "^conf/conf[.]c$")
	door("libcurl", "^curl/", "^proxy/backend/upstream[^/]*[.][ch]$")
	door("zlib", "^zlib[.]h$",
	    "^(transports/ws_deflate|proxy/http/coding)[.]c$")

	# What comes with the C library. Tests may use anything.
	system_headers = "^((arpa|linux|net|netinet|sys)/[a-z_]+|assert|" \
	    "ctype|dirent|errno|fcntl|getopt|grp|inttypes|limits|malloc|" \
	    "math|netdb|poll|pthread|pwd|sched|signal|stdarg|stdatomic|stdbool|" \
	    "stddef|stdint|stdio|stdlib|string|strings|syslog|time|unistd|" \
	    "wchar)[.]h$"
}

function door(library, headers, files) {
	doors++
	door_name[doors] = library
	door_headers[doors] = headers
	door_files[doors] = files
}

function floor_of(path) {
	if (path ~ /^proxy\/base\//)
		return "proxy/base"
	return substr(path, 1, index(path, "/") - 1)
}

# May a file of floor `from` include one of floor `to`?
function leads_down(from, to) {
	return from == to || from == "tests" || to == "proxy/base" ||
	    (from == "proxy" && to != "tests")
}

function complain(line, why) {
	printf "%s:%d: %s: %s\n", FILENAME, line, why, $0
	failed = 1
}

function guard_of(path) {
	gsub(/[^A-Za-z0-9]/, "_", path)
	return "SPILLWAY_" toupper(path)
}

# The header that the line includes, without its quotes or brackets.
function header_in(line) {
	sub(/^#[ \t]*include[ \t]*["<]/, "", line)
	sub(/[">].*/, "", line)
	return line
}

# A header of ours: it exists, and it is below.
function take_ours(header) {
	if (!(header in known))
		complain(FNR, "no such header, as seen from the top")
	else if (!leads_down(floor_of(FILENAME), floor_of(header)))
		complain(FNR, floor_of(FILENAME) " may not know " \
		    floor_of(header))
	edges++
	edge_file[edges] = FILENAME
	edge_line[edges] = FNR
	edge_header[edges] = header
}

# One from outside: the C library, or a library at its door.
function take_foreign(header,    d) {
	for (d = 1; d <= doors; d++) {
		if (header !~ door_headers[d])
			continue
		if (FILENAME ~ door_files[d])
			sees[FILENAME, d] = 1
		else if (FILENAME !~ /^tests\//)
			complain(FNR, "not the door to " door_name[d])
		return
	}
	if (header !~ system_headers && FILENAME !~ /^tests\//)
		complain(FNR, "a library without a door")
}

# Everything is known by name before the first line is read.
BEGIN {
	for (i = 1; i < ARGC; i++)
		known[ARGV[i]] = 1
}

FNR == 1 {
	includes = 0
	directives = 0
}

/^#/ { directives++ }

FILENAME ~ /[.]h$/ && /^#/ && directives == 1 &&
    $0 != "#ifndef " guard_of(FILENAME) {
	complain(FNR, "the guard is " guard_of(FILENAME))
}

FILENAME ~ /[.]h$/ && /^#/ && directives == 2 &&
    $0 != "#define " guard_of(FILENAME) {
	complain(FNR, "the guard is " guard_of(FILENAME))
}

/^#[ \t]*include/ {
	includes++
	own = FILENAME
	sub(/[.]c$/, ".h", own)
	if (includes == 1 && own != FILENAME && own in known &&
	    $0 != "#include \"" own "\"")
		complain(FNR, "its own header comes first")
	if ($0 ~ /include[ \t]*"/)
		take_ours(header_in($0))
	else
		take_foreign(header_in($0))
}

# File `i` of the edges sees what its header does; true if that is news.
function look_through(i, d) {
	if (!((edge_header[i], d) in sees) || ((edge_file[i], d) in sees) ||
	    edge_file[i] ~ /^tests\// || (i, d) in told)
		return 0
	if (edge_file[i] ~ door_files[d]) {
		sees[edge_file[i], d] = 1
		return 1
	}
	told[i, d] = 1
	printf "%s:%d: not the door to %s, which is seen through %s\n",
	    edge_file[i], edge_line[i], door_name[d], edge_header[i]
	failed = 1
	return 0
}

# What a header includes is seen by whoever includes the header.
END {
	do {
		news = 0
		for (i = 1; i <= edges; i++)
			for (d = 1; d <= doors; d++)
				news += look_through(i, d)
	} while (news > 0)
	exit failed
}
' $sources
