# First contact, run as root by `/bin/sh -s`: the deploy user, its key and its sudo rights; the host's own keys.
# In front of this text stand DEPLOY_KEY, CHECK, and TUNNELS when the host ends tunnels. Only public halves are printed.
set -eu
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
deploy_user=egov-deploy
home=/home/egov-deploy
sudo_line="$deploy_user ALL=(ALL:ALL) NOPASSWD: ALL"
sudo_file=/etc/sudoers.d/egov-deploy
borg_key=/etc/egov/keys/borg_ed25519
tunnel_key=/etc/egov/keys/wireguard
host_key=/etc/ssh/ssh_host_ed25519_key.pub
note=/var/lib/egov/enrol.sha256
changed=

fail() {
	echo "error: $1"
	exit 1
}

# What enrolment wrote may be replaced by the first apply without being adopted.
remember() {
	mkdir -p /var/lib/egov
	sha256sum "$1" >>"$note"
}

# place FILE MODE OWNER: standard input becomes the file, whole or not at all.
place() {
	fresh="$1.egov-new"
	cat >"$fresh"
	chown "$3:$3" "$fresh"
	chmod "$2" "$fresh"
	mv -f "$fresh" "$1"
	remember "$1"
}

[ "$(id -u)" = 0 ] || fail "the first contact needs root"
for tool in python3 sudo visudo ssh-keygen useradd; do
	command -v "$tool" >/dev/null || fail "$tool is missing there; install python3, sudo, openssh-client and passwd"
done
[ -s "$host_key" ] || fail "$host_key is missing; run ssh-keygen -A there"

if ! getent passwd "$deploy_user" >/dev/null; then
	changed="$changed user"
	[ -n "$CHECK" ] || useradd --create-home --home-dir "$home" --shell /bin/sh --password '*' \
		--comment "Applies the city's configuration" "$deploy_user"
fi
if ! grep -qsxF "$DEPLOY_KEY" "$home/.ssh/authorized_keys"; then
	changed="$changed authorized_key"
	if [ -z "$CHECK" ]; then
		mkdir -p "$home/.ssh"
		chmod 0700 "$home/.ssh"
		chown "$deploy_user:$deploy_user" "$home/.ssh"
		printf '%s\n' "$DEPLOY_KEY" | place "$home/.ssh/authorized_keys" 0600 "$deploy_user"
	fi
fi
if ! grep -qsxF "$sudo_line" "$sudo_file"; then
	changed="$changed sudo"
	if [ -z "$CHECK" ]; then
		mkdir -p /var/lib/egov
		printf '%s\n' "$sudo_line" >/var/lib/egov/sudoers.new
		visudo -cqf /var/lib/egov/sudoers.new || fail "visudo refuses the sudo rights of $deploy_user"
		place "$sudo_file" 0440 root </var/lib/egov/sudoers.new
		rm -f /var/lib/egov/sudoers.new
	fi
fi
if ! [ -s "$borg_key" ] || ! [ -s "$borg_key.pub" ]; then
	changed="$changed borg_key"
	if [ -z "$CHECK" ]; then
		mkdir -p /etc/egov/keys
		chmod 0755 /etc/egov
		chmod 0700 /etc/egov/keys
		rm -f "$borg_key" "$borg_key.pub"
		ssh-keygen -q -t ed25519 -N '' -C "borg@$(uname -n)" -f "$borg_key"
		sync "$borg_key" "$borg_key.pub" /etc/egov/keys
	fi
fi
if [ -n "$TUNNELS" ] && ! [ -s "$tunnel_key" ]; then
	changed="$changed wireguard_key"
	if [ -z "$CHECK" ]; then
		command -v wg >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wireguard-tools >/dev/null ||
			fail "wg is missing and wireguard-tools could not be installed"
		mkdir -p /etc/egov/keys
		chmod 0755 /etc/egov
		chmod 0700 /etc/egov/keys
		wg genkey >"$tunnel_key.new"
		sync "$tunnel_key.new"
		mv -f "$tunnel_key.new" "$tunnel_key"
		sync /etc/egov/keys
	fi
fi

echo egov-enrol-1
echo "changed $changed"
echo "ssh_host_ed25519 $(cat "$host_key")"
if [ -s "$borg_key.pub" ]; then
	echo "borg_ed25519 $(cat "$borg_key.pub")"
fi
if [ -n "$TUNNELS" ] && [ -s "$tunnel_key" ]; then
	echo "wireguard $(wg pubkey <"$tunnel_key")"
fi
echo egov-enrol-end
