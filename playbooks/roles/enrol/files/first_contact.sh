# First contact, run as root by `/bin/sh -s`: the deploy user, its key and its sudo rights; the host's own keys.
# In front of this text stand DEPLOY_KEY, CHECK, TUNNELS when the host ends tunnels, SEALS when it keeps and seals
# the logs, and MORE_KEYS, names of other SSH keys that it needs. Only public halves are printed.
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
syslog_key=/etc/egov/keys/syslog
seal_key=/etc/egov/keys/log_seal_ed25519
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

make_keys_folder() {
	mkdir -p /etc/egov/keys
	chmod 0755 /etc/egov
	chmod 0700 /etc/egov/keys
}

# ssh_key FILE COMMENT: an Ed25519 key pair, made anew when a half is missing.
ssh_key() {
	make_keys_folder
	rm -f "$1" "$1.pub"
	ssh-keygen -q -t ed25519 -N '' -C "$2" -f "$1"
	sync "$1" "$1.pub" /etc/egov/keys
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
	[ -n "$CHECK" ] || ssh_key "$borg_key" "borg@$(uname -n)"
fi
if [ -n "$TUNNELS" ] && ! [ -s "$tunnel_key" ]; then
	changed="$changed wireguard_key"
	if [ -z "$CHECK" ]; then
		command -v wg >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wireguard-tools >/dev/null ||
			fail "wg is missing and wireguard-tools could not be installed"
		make_keys_folder
		wg genkey >"$tunnel_key.new"
		sync "$tunnel_key.new"
		mv -f "$tunnel_key.new" "$tunnel_key"
		sync /etc/egov/keys
	fi
fi
if ! [ -s "$syslog_key.key" ] || ! [ -s "$syslog_key.crt" ]; then
	changed="$changed syslog_key"
	if [ -z "$CHECK" ]; then
		command -v openssl >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openssl >/dev/null ||
			fail "openssl is missing and could not be installed"
		make_keys_folder
		rm -f "$syslog_key.key" "$syslog_key.crt"
		# Self-signed: nobody vouches for it but the record on control, which pins its fingerprint.
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 7300 -subj "/CN=$(uname -n)" \
			-keyout "$syslog_key.key.new" -out "$syslog_key.crt.new" 2>/dev/null || fail "openssl could not make the key for logs"
		sync "$syslog_key.key.new" "$syslog_key.crt.new"
		mv -f "$syslog_key.key.new" "$syslog_key.key"
		mv -f "$syslog_key.crt.new" "$syslog_key.crt"
		sync /etc/egov/keys
	fi
fi
if [ -n "$SEALS" ] && { ! [ -s "$seal_key" ] || ! [ -s "$seal_key.pub" ]; }; then
	changed="$changed seal_key"
	[ -n "$CHECK" ] || ssh_key "$seal_key" "egov-logs@$(uname -n)"
fi
for name in $MORE_KEYS; do
	key=/etc/egov/keys/$name
	if ! [ -s "$key" ] || ! [ -s "$key.pub" ]; then
		changed="$changed $name"
		[ -n "$CHECK" ] || ssh_key "$key" "${name%_ed25519}@$(uname -n)"
	fi
done

echo egov-enrol-1
echo "changed $changed"
echo "ssh_host_ed25519 $(cat "$host_key")"
if [ -s "$borg_key.pub" ]; then
	echo "borg_ed25519 $(cat "$borg_key.pub")"
fi
if [ -n "$TUNNELS" ] && [ -s "$tunnel_key" ]; then
	echo "wireguard $(wg pubkey <"$tunnel_key")"
fi
if [ -s "$syslog_key.crt" ]; then
	echo "syslog_sha256 $(openssl x509 -in "$syslog_key.crt" -noout -fingerprint -sha256 | sed 's/.*=//')"
fi
if [ -n "$SEALS" ] && [ -s "$seal_key.pub" ]; then
	echo "log_seal_ed25519 $(cat "$seal_key.pub")"
fi
for name in $MORE_KEYS; do
	if [ -s "/etc/egov/keys/$name.pub" ]; then
		echo "$name $(cat "/etc/egov/keys/$name.pub")"
	fi
done
echo egov-enrol-end
