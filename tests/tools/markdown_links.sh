#!/bin/sh
#
# Does everything exist that our documents point to?
#
#	tests/tools/markdown_links.sh [SOURCE-ROOT]
#
# Follows, and says as "file:line: what",
#
# - relative links, and the headings that they name;
# - paths in `code` that begin with one of our folders, as seen from the top;
#   they may have wildcards, and a module needs no ending: `proxy/stream/hub`;
# - the map in proxy/ARCHITECTURE.md: every module of ours is in it.
#
# What the build makes, and placeholders in capitals, are left out.
set -u

cd "${1:-${srcdir:-.}}" || exit 2
documents="README.md SECURITY.md proxy/ARCHITECTURE.md .github/CONTRIBUTING.md"
failed=0

complain() {
	printf '%s\n' "$1"
	failed=1
}

# Takes a path, perhaps with wildcards: is there any such file?
exists() {
	# What it matches are the words.
	# shellcheck disable=SC2086
	set -- $1
	[ -e "$1" ]
}

# Takes a document and the text of a link behind #.
has_heading() {
	awk -v wanted="$2" '
	/^```/ { code = !code }
	!code && /^#+ / {
		heading = tolower($0)
		sub(/^#+ +/, "", heading)
		gsub(/[^a-z0-9 _-]/, "", heading)
		gsub(/ /, "-", heading)
		if (heading == wanted)
			found = 1
	}
	END { exit !found }
	' "$1"
}

# Takes a document; prints "LINE link TARGET" and "LINE path TARGET".
find_targets() {
	awk '
	/^[ \t]*```/ { code = !code; next }
	{
		rest = $0
		while (!code && match(rest, /\]\([^) ]+/)) {
			print FNR, "link", substr(rest, RSTART + 2, RLENGTH - 2)
			rest = substr(rest, RSTART + RLENGTH)
		}
		rest = $0
		while (!code && match(rest, /`[^`]+`/)) {
			text = substr(rest, RSTART + 1, RLENGTH - 2)
			n = split(text, words, /[ ,;]+/)
			for (i = 1; i <= n; i++)
				print FNR, "path", words[i]
			rest = substr(rest, RSTART + RLENGTH)
		}
		n = code ? split($0, words, /[ \t,;`"()=]+/) : 0
		for (i = 1; i <= n; i++)
			if (words[i] != "")
				print FNR, "path", words[i]
	}
	' "$1"
}

# Takes the document, the line, the target.
check_link() {
	case $3 in
	*://* | mailto:*) return ;;
	esac
	file=${3%%#*}
	case $file in
	'') file=$1 ;;
	/*) file=.$file ;;
	*) file=$(dirname "$1")/$file ;;
	esac
	[ -e "$file" ] || {
		complain "$1:$2: a link to nothing: $3"
		return
	}
	case $3 in
	*#*)
		has_heading "$file" "${3#*#}" ||
			complain "$1:$2: a link to no heading: $3"
		;;
	esac
}

# Takes the same.
check_path() {
	path=${3#./}
	path=${path%.}
	case $path in
	*://* | *'$'* | *'{'* | *'<'* | *…*) return ;;
	*NAME* | *FOLDER* | *FILE* | *DIR* | *JOB*) return ;; # placeholders
	*.log) return ;; # what a run leaves behind
	proxy/?* | conf/?* | storage/?* | transports/?* | tests/?* | web/?* | \
		.ci/?* | .github/?*) ;;
	*) return ;;
	esac
	exists "$path" || exists "$path.[ch]" ||
		complain "$1:$2: there is no $path"
}

# The map names a module by its file, without folder and, mostly, ending; what
# is behind one door has one line, with what its names end in.
check_map() {
	map=proxy/ARCHITECTURE.md
	for file in conf/*.[ch] proxy/*.[ch] proxy/*/*.[ch] storage/*.[ch] \
		storage/*/*.[ch] transports/*.[ch]; do
		name=${file##*/}
		stem=${name%.[ch]}
		grep -q "^|.*\`$stem\(\.[ch]\)\{0,1\}\`.*|.*|" "$map" ||
			grep -q "^| \`${stem%%_*}\` (.*\`_${stem#*_}\.[ch]\`" "$map" ||
			complain "$map: the map has no $file"
	done
}

for document in $documents; do
	[ -e "$document" ] || {
		complain "$document: there is no such document"
		continue
	}
	targets=$(find_targets "$document")
	while read -r line kind target; do
		case $kind in
		link) check_link "$document" "$line" "$target" ;;
		path) check_path "$document" "$line" "$target" ;;
		esac
	done <<-END
	$targets
	END
done
check_map
exit "$failed"
