# machine.sh: throw-away Debian machines, for the scripts that try things on a clean one; sourced after common.sh. A machine
# is a chroot in $place, from the mirror that this system's own apt sources name. Needs root and debootstrap.
# shellcheck shell=bash
passed=0 failed=0
place=$(mktemp -d -t model_mgr_machine.XXXXXX)

# debian_mirror: where this system gets Debian from; DEBIAN_MIRROR says otherwise.
debian_mirror() {
	[ -z "${DEBIAN_MIRROR:-}" ] || { echo "$DEBIAN_MIRROR" && return; }
	# shellcheck disable=SC2016 # apt-get expands
	apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian main //p' | head -n 1 | grep . ||
		die "the system's apt sources name no Debian mirror (after apt-get update); set DEBIAN_MIRROR"
}

# debian_sources: its lines of sources.list for a release, security and other updates too when the system has that release.
debian_sources() {
	echo "deb $(debian_mirror) $1 main"
	# shellcheck disable=SC2016 # apt-get expands
	apt-get indextargets --format '$(ORIGIN) deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' | sed -n "s/^Debian \(deb [^ ]* $1-.*\)/\1/p"
}

# new_machine: Debian's minimum and some packages: new_machine SUITE [PACKAGE,...].
new_machine() {
	debootstrap --variant=minbase --include="ca-certificates${2:+,$2}" "$1" "$place" "$(debian_mirror)"
	chmod 755 "$place"
	debian_sources "$1" >"$place/etc/apt/sources.list"
	# A mirror may be a copy that stands still.
	echo 'Acquire::Check-Valid-Until "false";' >"$place/etc/apt/apt.conf.d/copy"
	mount -t proc proc "$place/proc"
	cp /etc/resolv.conf /etc/hosts /etc/hostname "$place/etc/"
	grep -qw "$(hostname)" "$place/etc/hosts" || printf '127.0.1.1 %s\n' "$(hostname)" >>"$place/etc/hosts"
	# No service starts, but one that is asked for: START_SERVICE.
	# shellcheck disable=SC2016 # the script expands it
	printf '#!/bin/sh\n[ "$1" = "%s" ] || exit 101\n' "${START_SERVICE:-none}" >"$place/usr/sbin/policy-rc.d"
	chmod 755 "$place/usr/sbin/policy-rc.d"
}
in_machine() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive MAKEFLAGS=-j2 chroot "$place" "$@"; }
install_in_machine() { in_machine apt-get update -q && in_machine apt-get install -q -y --no-install-recommends "$@"; }
# copy_sources: the project as it stands, without what is built: copy_sources DIRECTORY.
copy_sources() {
	mkdir -p "$1"
	git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$1"
}
# end_machine: nothing of it stays.
end_machine() {
	umount -l "$place/proc" 2>/dev/null || true
	rm -rf --one-file-system "$place"
}

# step: one thing that must succeed; its output is shown when it does not: step NAME COMMAND...
step() {
	local name=$1 log
	log=$(mktemp)
	shift
	# In a shell of its own, which ends at the first command that fails: in a condition bash would go on.
	(
		set -e
		"$@"
	) >"$log" 2>&1 </dev/null &
	if wait $!; then
		passed=$((passed + 1))
		say "ok     $name ($SECONDS s)"
	else
		failed=$((failed + 1))
		say "not ok $name ($SECONDS s)"
		tail -n 30 "$log" | sed 's/^/    /'
	fi
	rm -f "$log"
}
# sum: the last line, and the exit status.
sum() {
	printf '%d passed, %d failed\n' $passed $failed
	[ $failed -eq 0 ]
}
