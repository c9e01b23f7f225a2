# screen.sh: what the story draws with; sourced by story, never run. 100 columns, colours only on a terminal, block
# characters only where the locale knows them.
# shellcheck shell=bash

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
	terminal=1
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m' blue=$'\e[36m' plain=$'\e[0m'
	wipe=$'\r\e[K'
else
	terminal='' bold='' dim='' red='' green='' yellow='' blue='' plain='' wipe=''
fi
if [ "${DEMO_CHARMAP:-}" = UTF-8 ]; then
	full='█' empty='░' rule='─' tick='✓' cross='✗' arrow='→' at_least='≥' steps='▁▂▃▄▅▆▇█'
else
	full='#' empty='.' rule='-' tick='ok' cross='NO' arrow='->' at_least='>=' steps='0123456789'
fi

# repeat: a character n times.
repeat() {
	local line
	printf -v line '%*s' "$2" ''
	printf '%s' "${line// /$1}"
}

# heading: a numbered chapter.
heading() {
	printf '\n%s%s  %s%s\n%s' "$bold" "$1" "$2" "$plain" "$dim"
	repeat "$rule" 98
	printf '%s\n' "$plain"
}

# say: a line of the story, indented. sql: a statement as it is run.
say() { printf '  %s\n' "$*"; }
sql() { printf '%s\n' "$1" | sed "s/^/  ${blue}/; s/\$/${plain}/"; }

# bar: percent of a width: bar PERCENT WIDTH COLOUR.
bar() {
	local filled=$(((${1%.*} * $2 + 50) / 100))
	printf '%s' "$3"
	repeat "$full" "$filled"
	printf '%s' "$plain$dim"
	repeat "$empty" $(($2 - filled))
	printf '%s' "$plain"
}

# spark: values between a low and a high end as a line of bars: spark LOW HIGH VALUE...
spark() {
	local low=$1 high=$2 value level line=''
	shift 2
	for value in "$@"; do
		level=$(((value - low) * ${#steps} / (high - low)))
		((level >= 0)) || level=0
		((level < ${#steps})) || level=$((${#steps} - 1))
		line+=${steps:level:1}
	done
	printf '%s' "$line"
}
# lowest: of whole numbers.
lowest() { printf '%s\n' "$@" | sort -n | head -n 1; }

# live: a line that the next one replaces; only on a terminal.
live() { [ -z "$terminal" ] || printf '%s%s' "$wipe" "$1"; }
# settled: the line that stays in place of the live ones.
settled() { printf '%s%s\n' "$wipe" "$1"; }

# table: rows on standard input, fields separated by the unit separator, under the heads given as arguments "name:width"
# (a leading - aligns left); the last column is wrapped where the screen ends.
table() {
	local spec name width line field i rest first last=$(($# - 1))
	local -a widths=() fields
	line=''
	for spec in "$@"; do
		name=${spec%%:*} width=${spec##*:}
		widths+=("$width")
		printf -v field "%${width}s" "$name"
		line+="$field  "
	done
	printf '  %s%s%s\n' "$dim" "${line%"${line##*[![:space:]]}"}" "$plain"
	while IFS=$'\x1f' read -r -a fields; do
		line=''
		for ((i = 0; i < last; i++)); do
			printf -v field "%${widths[i]}s" "${fields[i]:-}"
			line+="$field  "
		done
		rest=${fields[last]:-}
		first=${#line}
		while [ $((first + ${#rest})) -gt 97 ] && [[ ${rest:0:97-first} == *' '* ]]; do
			field=${rest:0:97-first}
			field=${field% *}
			printf '  %s%s\n' "$line" "$field"
			rest=${rest:${#field}+1}
			printf -v line '%*s' "$first" ''
		done
		printf '  %s%s\n' "$line" "$rest"
	done
}
