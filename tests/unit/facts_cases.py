"""What a well set up Debian 12 host answers, in its programs' own formats, and for each check what turns it red."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

AT = 1_790_000_000.0  # 2026-09-21
DAY = 86_400
TODAY = int(AT // DAY)


def said(out: str) -> dict[str, Any]:
    return {"code": 0, "out": out, "err": "", "cut": False}


def absent(name: str) -> dict[str, Any]:
    return {"code": 127, "out": "", "err": f"{name} is not installed"}


SSHD = """port 22
addressfamily any
usepam yes
logingracetime 20
maxauthtries 3
maxsessions 10
clientaliveinterval 60
clientalivecountmax 3
permitrootlogin no
pubkeyauthentication yes
passwordauthentication no
kbdinteractiveauthentication no
x11forwarding no
permitemptypasswords no
permituserenvironment no
allowagentforwarding no
permittunnel no
gatewayports no
hostbasedauthentication no
ignorerhosts yes
strictmodes yes
loglevel INFO
ciphers chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com
macs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,umac-128-etm@openssh.com
kexalgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,diffie-hellman-group16-sha512
hostkeyalgorithms ssh-ed25519,rsa-sha2-512
allowusers egov-deploy
allowusers borg
hostkey /etc/ssh/ssh_host_ed25519_key
maxstartups 10:30:100
"""
LOGIN_DEFS = """# Configuration of the shadow password suite
MAIL_DIR        /var/mail
UMASK\t\t022
PASS_MAX_DAYS\t90
PASS_MIN_DAYS\t0
PASS_WARN_AGE\t7
ENCRYPT_METHOD YESCRYPT
"""
COMMON_PASSWORD = """password\trequisite\t\t\tpam_pwquality.so retry=3 minlen=12
password\t[success=1 default=ignore]\tpam_unix.so obscure use_authtok try_first_pass yescrypt
password\trequisite\t\t\tpam_deny.so
"""
COMMON_AUTH = """auth\trequired\t\t\tpam_faillock.so preauth
auth\t[success=1 default=ignore]\tpam_unix.so
auth\trequisite\t\t\tpam_deny.so
"""
PAM_SSHD = """# PAM configuration for the Secure Shell service
auth\t[success=1 default=ignore]\tpam_oath.so usersfile=/var/lib/egov-otp/users.oath window=1
@include common-account
"""
PASSWD = """root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
sync:x:4:65534:sync:/bin:/bin/sync
_chrony:x:104:110:Chrony daemon,,,:/var/lib/chrony:/usr/sbin/nologin
borg:x:998:998:Backup repositories:/srv/borg:/bin/sh
egov-deploy:x:1000:1000::/home/egov-deploy:/bin/sh
"""
SHADOW = f"""root:hash y:{TODAY - 10}:0:99999:7::
daemon:locked:19500:0:99999:7::
sync:locked:19500:0:99999:7::
_chrony:locked:19500:::::
borg:locked:19500:::::
egov-deploy:locked:19500:0:99999:7::
"""
SUDOERS = """#
# This file MUST be edited with the 'visudo' command as root.
Defaults\tenv_reset
Defaults\tmail_badpass
Defaults\tsecure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Defaults\tuse_pty
Defaults\tlog_output
root\tALL=(ALL:ALL) ALL
%sudo\tALL=(ALL:ALL) ALL
@includedir /etc/sudoers.d
"""
SS = """udp UNCONN 0 0 127.0.0.1:323 0.0.0.0:* users:(("chronyd",pid=210,fd=5))
udp UNCONN 0 0 10.240.0.9:161 0.0.0.0:* users:(("snmpd",pid=300,fd=6))
tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=180,fd=3))
tcp LISTEN 0 128 [::]:22 [::]:* users:(("sshd",pid=180,fd=4))
tcp LISTEN 0 3 127.0.0.1:2605 0.0.0.0:* users:(("bgpd",pid=250,fd=15))
tcp LISTEN 0 4096 10.240.0.9%lo:9100 0.0.0.0:* users:(("prometheus-node",pid=310,fd=3))
"""
CHAINS = {
    "nftables": [
        {"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}},
        {
            "chain": {
                "family": "inet",
                "table": "egov",
                "name": "source",
                "handle": 1,
                "type": "filter",
                "hook": "prerouting",
                "prio": -300,
                "policy": "accept",
            }
        },
        *(
            {
                "chain": {
                    "family": "inet",
                    "table": "egov",
                    "name": hook,
                    "handle": 2,
                    "type": "filter",
                    "hook": hook,
                    "prio": 0,
                    "policy": "drop",
                }
            }
            for hook in ("input", "forward")
        ),
    ]
}
RULES = """table inet egov {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iifname "lo" accept
		ip saddr @control4 tcp dport 22 accept
	}

	chain output {
		type filter hook output priority filter; policy accept;
		accept
	}
}
"""
SYSCTLS = {
    "fs.protected_hardlinks": "1",
    "fs.protected_symlinks": "1",
    "fs.suid_dumpable": "0",
    "kernel.dmesg_restrict": "1",
    "kernel.kptr_restrict": "1",
    "kernel.randomize_va_space": "2",
    "net.ipv4.conf.all.accept_redirects": "0",
    "net.ipv4.conf.all.accept_source_route": "0",
    "net.ipv4.conf.all.route_localnet": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.icmp_echo_ignore_broadcasts": "1",
    "net.ipv4.tcp_syncookies": "1",
    "net.ipv6.conf.all.accept_ra": "0",
    "net.ipv6.conf.all.accept_redirects": "0",
    "net.ipv6.conf.all.accept_source_route": "0",
}
ACTIVE = """ssh.service loaded active running OpenBSD Secure Shell server
rsyslog.service loaded active running System Logging Service
systemd-journald.service loaded active running Journal Service
logrotate.timer loaded active waiting Daily rotation of log files
chrony.service loaded active running chrony, an NTP client/server
clamav-clamonacc.service loaded active running ClamAV On-Access Scanner
rspamd.service loaded active running rapid spam filtering system
suricata.service loaded active running Suricata IDS/IDP daemon
"""
DPKG = """installed openssh-server 1:9.2p1-2+deb12u7
installed chrony 4.3-2+deb12u1
config-files telnetd 0.17-41
installed rsyslog 8.2302.0-1+deb12u1
"""
JOURNALD = """# /etc/systemd/journald.conf
[Journal]
#Storage=auto
#MaxRetentionSec=0

# /etc/systemd/journald.conf.d/50-egov.conf
[Journal]
Storage=persistent
SystemMaxUse=500M
MaxRetentionSec=200day
"""
RSYSLOG = """# rendered
main_queue(
  queue.type="LinkedList"
  queue.filename="main"
  queue.saveOnShutdown="on"
)
if $syslogseverity <= 6 then {
  action(
    type="omrelp"
    target="10.240.0.2"
    port="6514"
    tls="on"
    tls.permittedPeer=["SHA256:0123"]
  )
}
"""
AUDIT = "enabled 1\nfailure 1\npid 412\nrate_limit 0\nbacklog_limit 8192\nlost 0\nbacklog 0\n"
REGULAR, FOLDER = 0o100000, 0o040000
STATS = {
    "files": {
        "/etc/passwd": [REGULAR, 0o644, 0, 0],
        "/etc/group": [REGULAR, 0o644, 0, 0],
        "/etc/shadow": [REGULAR, 0o640, 0, 42],
        "/etc/gshadow": [REGULAR, 0o640, 0, 42],
        "/etc/sudoers": [REGULAR, 0o440, 0, 0],
        "/etc/sudoers.d/egov-deploy": [REGULAR, 0o440, 0, 0],
        "/etc/ssh/ssh_host_ed25519_key": [REGULAR, 0o600, 0, 0],
        "/etc/egov/keys/syslog.key": [REGULAR, 0o600, 0, 0],
        "/etc/wireguard/wg0.conf": [REGULAR, 0o600, 0, 0],
        "/root": [FOLDER, 0o700, 0, 0],
        "/home/egov-deploy/.ssh/authorized_keys": [REGULAR, 0o600, 1000, 1000],
        "/var/log/journal": [FOLDER, 0o2755, 0, 999],
        "/var/log": [FOLDER, 0o755, 0, 0],
        "/home/egov-deploy": [FOLDER, 0o755, 1000, 1000],
        "/etc/shadow-": [REGULAR, 0o600, 0, 42],
        "/etc/egov/keys/mail.crt": [REGULAR, 0o644, 0, 0],
        "/etc/egov/keys/wireguard": [REGULAR, 0o600, 0, 0],
        "/srv/borg": [FOLDER, 0o700, 998, 998],
        "/tmp": [FOLDER, 0o1777, 0, 0],
    },
    "writable": [],
    "setuid": ["/usr/bin/passwd", "/usr/bin/sudo"],
    "jobs": [],
}
MOUNTS = """tmpfs /tmp tmpfs rw,nosuid,nodev,size=2468412k 0 0
tmpfs /dev/shm tmpfs rw,nosuid,nodev 0 0
"""
GROUP = """root:x:0:
daemon:x:1:
sudo:x:27:
_chrony:x:110:
borg:x:998:
egov-deploy:x:1000:
nogroup:x:65534:
users:x:777:
"""
KEY, OTHER_KEY = "hQ4kF2m1sYv0b8n6c5x3z7l9p1o2i3u4y5t6r7e8w9A=", "zQ4kF2m1sYv0b8n6c5x3z7l9p1o2i3u4y5t6r7e8w9A="
POSTGRESQL = "/etc/postgresql/15/egov/"
GOOD: dict[str, Any] = {
    "sshd": {"sshd": said(SSHD)},
    "passwords": {
        "/etc/login.defs": said(LOGIN_DEFS),
        "/etc/pam.d/common-password": said(COMMON_PASSWORD),
        "/etc/pam.d/common-auth": said(COMMON_AUTH),
        "/etc/pam.d/sshd": said(PAM_SSHD),
        "/etc/pam.d/su": said("auth       sufficient pam_rootok.so\n@include common-auth\n"),
        "/etc/pam.d/sudo": said("@include common-auth\n"),
        "/etc/security/pwquality.conf": said("# minlen = 8\n"),
        "/etc/security/faillock.conf": said("deny = 5\n"),
    },
    "accounts": {"/etc/passwd": said(PASSWD), "/etc/group": said(GROUP), "shadow": said(SHADOW)},
    "sudo": {
        "/etc/sudoers": said(SUDOERS),
        "/etc/sudoers.d/egov-deploy": said("egov-deploy ALL=(ALL:ALL) NOPASSWD: ALL\n"),
        "/etc/group": said("root:x:0:\nsudo:x:27:\n"),
    },
    "session": {
        "/etc/profile": said("if [ -d /etc/profile.d ]; then\n"),
        "/etc/profile.d/tmout.sh": said("readonly TMOUT=600\nexport TMOUT\n"),
        "/etc/bash.bashrc": said(""),
        "/etc/issue": said("Debian GNU/Linux 12 \\n \\l\n"),
        "/etc/issue.net": absent("/etc/issue.net"),
        "/etc/ld.so.preload": absent("/etc/ld.so.preload"),
        "/etc/environment": said('PATH="/usr/local/bin:/usr/bin:/bin"\n'),
        "/root/.profile": said('PATH="$HOME/bin:$PATH"\numask 022\n'),
    },
    "listening": {"ss": said(SS)},
    "firewall": {"chains": said(json.dumps(CHAINS)), "rules": said(RULES)},
    "sysctls": {name: said(value + "\n") for name, value in SYSCTLS.items()}
    | {"kernel.yama.ptrace_scope": absent("kernel.yama.ptrace_scope")},
    "units": {
        "enabled": said("ssh.service enabled enabled\ndailyaidecheck.timer enabled enabled\n"),
        "active": said(ACTIVE),
        "failed": said(""),
    },
    "packages": {
        "installed": said(DPKG),
        "upgrades": said(""),
        "lists": AT - 2 * DAY,
        "states": said("install installed openssh-server\ndeinstall config-files telnetd\n"),
        "apt": said(""),
        "/etc/apt/sources.list": said(
            "deb http://mirror.example/debian bookworm main\ndeb [trusted=yes] file:///srv/x ./\n"
        ),
        "/etc/apt/sources.list.d/own.sources": said("URIs: https://packages.example/debian\n\n"),
    },
    "modules": {
        "/proc/modules": said("nf_tables 303104 120 nft_ct, Live 0x0000000000000000\n"),
        "/etc/modprobe.d/usb.conf": said("install usb-storage /bin/false\n"),
        "/etc/usbguard/rules.conf": absent("/etc/usbguard/rules.conf"),
    },
    "modes": {"stats": STATS, "/proc/self/mounts": said(MOUNTS)},
    "journal": {"journald": said(JOURNALD)},
    "logs": {"/etc/rsyslog.conf": said(RSYSLOG)},
    "audit": {"status": said(AUDIT), "rules": said("-w /etc/passwd -p wa -k identity\n")},
    "system": {
        "/etc/os-release": said('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'),
        "/proc/uptime": said("53400.11 102000.00\n"),
        "/etc/resolv.conf": said("nameserver 10.240.0.9\nnameserver 2001:db8:5:1::1\nnameserver fe80::1%eth0\n"),
        "/etc/exports": said("# none\n/srv/share 10.64.5.10(rw,root_squash)\n"),
    },
}

GOOD["machine"] = {
    "/proc/cmdline": said("BOOT_IMAGE=/boot/vmlinuz root=/dev/mapper/root ro init_on_free=1\n"),
    "/sys/block/dm-0/dm/uuid": said("CRYPT-LUKS2-0123-root\n"),
    "/sys/class/tpm/tpm0/tpm_version_major": said("2\n"),
    "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c": said("\x06\x00\x00\x00\x01"),
    "/sys/fs/selinux/enforce": absent("/sys/fs/selinux/enforce"),
    "/sys/module/apparmor/parameters/enabled": said("Y\n"),
}
LINKS = [("lo", "UNKNOWN"), ("eth0", "UP"), ("sit0", "DOWN"), ("wg0", "UNKNOWN")]


def links(*more: tuple[str, str]) -> dict[str, Any]:
    return said(json.dumps([{"ifname": name, "operstate": state} for name, state in (*LINKS, *more)]))


GOOD["interfaces"] = {
    "link": links(),
    "peers": said(f"wg0\t{KEY}\n"),
    "/etc/wireguard/wg0.conf": said(f"PublicKey = {KEY}\n"),
}
GOOD["consoles"] = {
    "/etc/systemd/system/rescue.service": said("ExecStart=-/lib/systemd/systemd-sulogin-shell rescue\n"),
    "/etc/systemd/system/getty@tty1.service.d/clear.conf": said("ExecStart=\nExecStart=-/sbin/agetty --noclear %I\n"),
}
GOOD["databases"] = {
    POSTGRESQL + "postgresql.conf": said("archive_mode = off\n"),
    POSTGRESQL + "conf.d/50-archive.conf": said("archive_mode = on\narchive_command = 'egov-push %p %f'\n"),
    POSTGRESQL + "pg_hba.conf": said(""),
}
GOOD["certificates"] = {
    "/etc/egov/keys/mail.crt": said("notAfter=Nov 24 02:54:39 2036 GMT\n"),
    "/etc/egov/keys/syslog.crt": said("notAfter=Nov 24 02:54:39 2036 GMT\n"),
}
PLANNED = {"interfaces": ["eth0", "lo", "wg0"], "v6": "2001:db8:", "ports": ["udp 23604"]}

Change = Callable[[dict[str, Any]], None]


def put(query: str, old: str, new: str) -> Change:
    """Another text in one query's answer; what is replaced must be there."""

    def change(answers: dict[str, Any]) -> None:
        text = answers[query]["out"]
        assert old in text, (query, old)
        answers[query]["out"] = text.replace(old, new)

    return change


def others(key: str, path: str) -> Change:
    """One more path in a list of the modes."""

    def change(answers: dict[str, Any]) -> None:
        answers["stats"][key].append(path)

    return change


def there(path: str, entry: list[int]) -> Change:
    """One more file, or the same with another owner."""

    def change(answers: dict[str, Any]) -> None:
        answers["stats"]["files"][path] = entry

    return change


def more(query: str, text: str) -> Change:
    def change(answers: dict[str, Any]) -> None:
        answers[query]["out"] += text

    return change


def mode(path: str, bits: int) -> Change:
    def change(answers: dict[str, Any]) -> None:
        answers["stats"]["files"][path][1] = bits

    return change


def sysctl(name: str, value: str) -> Change:
    return put(name, SYSCTLS[name] + "\n", value + "\n")


def gone(query: str) -> Change:
    def change(answers: dict[str, Any]) -> None:
        answers[query] = absent(query)

    return change


def forget(query: str) -> Change:
    def change(answers: dict[str, Any]) -> None:
        del answers[query]

    return change


def add(query: str, text: str) -> Change:
    def change(answers: dict[str, Any]) -> None:
        answers[query] = said(text)

    return change


def told(answer: dict[str, Any]) -> Change:
    """Other interfaces."""

    def change(answers: dict[str, Any]) -> None:
        answers["link"] = answer

    return change


def anybody_may_write(answers: dict[str, Any]) -> None:
    answers["stats"]["writable"].append("/etc/cron.d/job")


# For each check the changes of the good host's answers that must each turn it red.
RED: dict[str, list[Change]] = {
    "sshd-no-root-login": [
        put("sshd", "permitrootlogin no", "permitrootlogin yes"),
        put("sshd", "permitrootlogin no", "permitrootlogin prohibit-password"),
    ],
    "sshd-keys-only": [put("sshd", "\npasswordauthentication no", "\npasswordauthentication yes")],
    "sshd-no-empty-passwords": [put("sshd", "permitemptypasswords no", "permitemptypasswords yes")],
    "sshd-tries-limited": [
        put("sshd", "maxauthtries 3", "maxauthtries 6"),
        put("sshd", "maxauthtries 3", "maxauthtries 0"),
        put("sshd", "logingracetime 20", "logingracetime 120"),
        put("sshd", "logingracetime 20", "logingracetime 0"),
    ],
    "sshd-users-named": [put("sshd", "allowusers", "acceptenv"), more("sshd", "allowusers *\n")],
    "sshd-trusts-nobody": [
        put("sshd", "hostbasedauthentication no", "hostbasedauthentication yes"),
        put("sshd", "ignorerhosts yes", "ignorerhosts no"),
        put("sshd", "ignorerhosts yes", "ignorerhosts shosts-only"),
        put("sshd", "strictmodes yes", "strictmodes no"),
        put("sshd", "usepam yes", "usepam no"),
        put("sshd", "usepam yes", "port 23"),
    ],
    "files-none-trusting": [
        there(path, [REGULAR, 0o600, 0, 0]) for path in ("/root/.netrc", "/home/a/.rhosts", "/etc/hosts.equiv")
    ],
    "session-umask-closed": [
        more("/etc/profile", "umask 000\n"),
        more("/etc/bash.bashrc", "\tumask 0020\n"),
        more("/root/.profile", "umask 0\n"),
    ],
    "session-path-closed": [
        more("/root/.profile", "PATH=.:$PATH\n"),
        more("/etc/profile", "export PATH=/usr/bin::/bin\n"),
        more("/etc/environment", "PATH=/usr/bin:/tmp/bin\n"),
        add("/etc/ld.so.preload", "/usr/local/lib/hook.so\n"),
    ],
    "pam-asks": [
        put("/etc/pam.d/common-auth", "auth\trequired", "auth sufficient pam_permit.so\nauth\trequired"),
        more("/etc/pam.d/sudo", "auth sufficient pam_succeed_if.so user ingroup users\n"),
        more("/etc/pam.d/su", "-auth [success=done default=ignore] pam_permit.so\n"),
    ],
    "sudo-guarded": [
        put("/etc/sudoers", "use_pty", "insults"),
        more("/etc/sudoers.d/egov-deploy", "Defaults !use_pty\n"),
        more("/etc/sudoers.d/egov-deploy", "Defaults:eve insults, !syslog\n"),
    ],
    "ports-known": [
        more("ss", "tcp LISTEN 0 5 0.0.0.0:8000 0.0.0.0:*\n"),
        more("ss", "udp UNCONN 0 0 *:514 *:*\n"),
        more("ss", "udp UNCONN 0 0 *:32767 *:*\n"),
        more("ss", "tcp LISTEN 0 5 0.0.0.0:49152 0.0.0.0:*\n"),
    ],
    "resolvers-inside": [
        more("/etc/resolv.conf", "nameserver 8.8.8.8\n"),
        more("/etc/resolv.conf", "nameserver 2400:3200::1\n"),
    ],
    "tunnels-planned": [more("peers", f"wg0\t{OTHER_KEY}\n"), gone("/etc/wireguard/wg0.conf")],
    "files-setuid-known": [others("setuid", "/usr/local/bin/sh"), others("setuid", "/usr/bin/passwd2")],
    "mounts-closed": [
        put("/proc/self/mounts", "/dev/shm tmpfs rw,nosuid,nodev", "/dev/shm tmpfs rw,nodev"),
        put("/proc/self/mounts", "/tmp tmpfs rw,nosuid,nodev", "/tmp tmpfs rw,nosuid,dev"),
    ],
    "jobs-closed": [others("jobs", "/usr/local/bin/job")],
    "exports-narrow": [
        more("/etc/exports", "/srv *(ro)\n"),
        more("/etc/exports", "/srv 10.64.5.0/24(rw,no_root_squash)\n"),
        add("/etc/exports.d/x.exports", "/srv \\\n (rw)\n"),
    ],
    "packages-signed": [
        add("apt", "ALLOW_UNAUTHENTICATED='true'\n"),
        add("apt", "ALLOW_INSECURE='1'\n"),
        put("/etc/apt/sources.list", "deb http:", "deb [arch=amd64 trusted=yes] http:"),
        put("/etc/apt/sources.list.d/own.sources", "\n\n", "\nTrusted: yes\n\n"),
    ],
    "packages-whole": [more("states", "hold installed sudo\n"), more("states", "install half-configured sudo\n")],
    "consoles-ask": [
        put("/etc/systemd/system/rescue.service", "/lib/systemd/systemd-sulogin-shell rescue", "/bin/bash"),
        more("/etc/systemd/system/rescue.service", "Environment=SYSTEMD_SULOGIN_FORCE=1\n"),
        put("/etc/systemd/system/getty@tty1.service.d/clear.conf", "--noclear", "--autologin root"),
        put("/etc/systemd/system/getty@tty1.service.d/clear.conf", "--noclear", "-a root"),
    ],
    "databases-archived": [
        put(POSTGRESQL + "conf.d/50-archive.conf", "archive_mode = on", "archive_mode = off"),
        add(POSTGRESQL + "conf.d/zz.conf", "archive_command = '/bin/true'\n"),
        put(POSTGRESQL + "conf.d/50-archive.conf", "'egov-push %p %f'", "''"),
        forget(POSTGRESQL + "conf.d/50-archive.conf"),
    ],
    "databases-ask": [more(POSTGRESQL + "pg_hba.conf", "host all all 0.0.0.0/0 trust\n")],
    "certificates-current": [
        put("/etc/egov/keys/syslog.crt", "Nov 24 02:54:39 2036", "Oct  4 14:13:20 2026"),
        put("/etc/egov/keys/mail.crt", "Nov 24 02:54:39 2036", "Jan  1 00:00:00 2025"),
        gone("/etc/egov/keys/mail.crt"),
    ],
    "sshd-ciphers-strong": [
        put("sshd", "aes128-ctr", "aes128-cbc"),
        put("sshd", "aes128-ctr", "3des"),
        put("sshd", "aes128-ctr", "arcfour"),
        put("sshd", "ciphers ", "cyphers "),
    ],
    "sshd-macs-strong": [
        put("sshd", "umac-128-etm@openssh.com", "hmac-sha1"),
        put("sshd", "umac-128-etm@openssh.com", "umac-64@openssh.com"),
        put("sshd", "umac-128-etm@openssh.com", "hmac-md5"),
        put("sshd", "macs ", "max "),
    ],
    "sshd-key-exchange-strong": [
        put("sshd", "curve25519-sha256", "diffie-hellman-group14-sha1"),
        put("sshd", "kexalgorithms ", "kex "),
    ],
    "sshd-idle-ends": [
        put("sshd", "clientaliveinterval 60", "clientaliveinterval 0"),
        put("sshd", "clientaliveinterval 60", "clientaliveinterval 7200"),
    ],
    "sshd-no-forwarding": [
        put("sshd", "x11forwarding no", "x11forwarding yes"),
        put("sshd", "allowagentforwarding no", "allowagentforwarding yes"),
        put("sshd", "permittunnel no", "permittunnel point-to-point"),
        put("sshd", "gatewayports no", "gatewayports clientspecified"),
    ],
    "sshd-no-user-environment": [put("sshd", "permituserenvironment no", "permituserenvironment yes")],
    "sshd-logins-logged": [put("sshd", "loglevel INFO", "loglevel QUIET")],
    "passwords-expire": [put("/etc/login.defs", "PASS_MAX_DAYS\t90", "PASS_MAX_DAYS\t99999")],
    "passwords-quality": [
        put("/etc/pam.d/common-password", "pam_pwquality.so", "pam_cracklib.so"),
        put("/etc/pam.d/common-password", "minlen=12", "minlen=6"),
    ],
    "passwords-hash-strong": [put("/etc/login.defs", "YESCRYPT", "MD5")],
    "passwords-failures-lock": [put("/etc/pam.d/common-auth", "pam_faillock.so", "pam_permit.so")],
    "passwords-second-factor": [put("/etc/pam.d/sshd", "pam_oath.so", "pam_permit.so"), gone("/etc/pam.d/sshd")],
    "passwords-never-empty": [put("/etc/pam.d/common-auth", "pam_unix.so", "pam_unix.so nullok")],
    "accounts-none-empty": [put("shadow", "borg:locked", "borg:empty")],
    "accounts-one-root": [put("/etc/passwd", "borg:x:998", "borg:x:0")],
    "accounts-keys-only": [put("shadow", "egov-deploy:locked", "egov-deploy:hash y")],
    "accounts-unique": [
        put("/etc/passwd", "borg:x:998", "borg:x:1000"),
        more("/etc/passwd", "borg:x:997:997::/:/bin/sh\n"),
        put("shadow", "borg:locked", "brog:locked"),
        put("/etc/passwd", "borg:x:", "borg:$6$x$y:"),
        put("/etc/passwd", "borg:x:998:998:", "borg:x:998:997:"),
        more("/etc/group", "borg:x:997:\n"),
    ],
    "accounts-hashed-well": [
        put("shadow", "root:hash y", "root:hash 1"),
        put("shadow", "root:hash y", "root:hash des"),
    ],
    "accounts-passwords-fresh": [
        put("shadow", f"root:hash y:{TODAY - 10}", f"root:hash y:{TODAY - 91}"),
        put("shadow", f"root:hash y:{TODAY - 10}", "root:hash y:"),
    ],
    "accounts-shells-known": [
        put(
            "/etc/passwd",
            "_chrony:x:104:110:Chrony daemon,,,:/var/lib/chrony:/usr/sbin/nologin",
            "eve:x:104:110::/:/bin/bash",
        )
    ],
    "accounts-none-expired": [
        put("shadow", f"root:hash y:{TODAY - 10}:0:99999:7::", f"root:hash y:{TODAY - 10}:0:99999:7::{TODAY - 5}")
    ],
    "sudo-rights-named": [
        put("/etc/sudoers", "root\tALL", "eve\tALL"),
        put("/etc/group", "sudo:x:27:", "sudo:x:27:eve"),
        more("/etc/sudoers.d/egov-deploy", "eve ALL=(root) ALL\n"),
        more("/etc/sudoers.d/egov-deploy", "eve ALL = NOPASSWD:SETENV: ALL\n"),
        more("/etc/sudoers.d/egov-deploy", "eve \\\n ALL=(ALL) ALL\n"),
    ],
    "sudo-asks": [more("/etc/sudoers", "Defaults !authenticate\n")],
    "sudo-recorded": [put("/etc/sudoers", "log_output", "log_year")],
    "session-idle-ends": [
        put("/etc/profile.d/tmout.sh", "TMOUT=600", "TMOUT=86400"),
        put("/etc/profile.d/tmout.sh", "TMOUT=600", "TMOUT=0"),
        put("/etc/profile.d/tmout.sh", "readonly TMOUT", "# readonly TMOUT"),
    ],
    "ports-no-clear-text": [
        more("ss", 'tcp LISTEN 0 128 0.0.0.0:23 0.0.0.0:* users:(("inetd",pid=9,fd=3))\n'),
        more("ss", "udp UNCONN 0 0 [::]:69 [::]:*\n"),
        more("ss", "tcp LISTEN 0 128 *:21 *:*\n"),
    ],
    "ports-no-risky": [
        more("ss", "tcp LISTEN 0 128 10.240.0.9:445 0.0.0.0:*\n"),
        more("ss", "udp UNCONN 0 0 *:111 *:*\n"),
    ],
    "firewall-denies-input": [
        put("chains", '"hook": "input", "prio": 0, "policy": "drop"', '"hook": "input", "prio": 0, "policy": "accept"'),
        put("chains", '"hook": "input"', '"hook": "ingress"'),
        put("chains", '"family": "inet"', '"family": "ip"'),
    ],
    "firewall-denies-forward": [
        put(
            "chains",
            '"hook": "forward", "prio": 0, "policy": "drop"',
            '"hook": "forward", "prio": 0, "policy": "accept"',
        )
    ],
    "firewall-stateful": [put("rules", "ct state established,related accept", "accept")],
    "kernel-redirects-off": [
        sysctl("net.ipv4.conf.all.accept_redirects", "1"),
        sysctl("net.ipv6.conf.all.accept_redirects", "1"),
        sysctl("net.ipv4.conf.all.send_redirects", "1"),
    ],
    "kernel-source-routing-off": [
        sysctl("net.ipv4.conf.all.accept_source_route", "1"),
        sysctl("net.ipv6.conf.all.accept_source_route", "1"),
        sysctl("net.ipv4.conf.all.route_localnet", "1"),
    ],
    "kernel-router-adverts-off": [sysctl("net.ipv6.conf.all.accept_ra", "2"), gone("net.ipv6.conf.all.accept_ra")],
    "kernel-links-protected": [sysctl("fs.protected_symlinks", "0"), sysctl("fs.protected_hardlinks", "0")],
    "kernel-addresses-random": [sysctl("kernel.randomize_va_space", "1")],
    "kernel-dumps-closed": [sysctl("fs.suid_dumpable", "2")],
    "kernel-pointers-hidden": [sysctl("kernel.kptr_restrict", "0"), sysctl("kernel.dmesg_restrict", "0")],
    "kernel-syncookies-on": [
        sysctl("net.ipv4.tcp_syncookies", "0"),
        sysctl("net.ipv4.icmp_echo_ignore_broadcasts", "0"),
        gone("net.ipv4.icmp_echo_ignore_broadcasts"),
    ],
    "units-none-failed": [more("failed", "rsyslog.service loaded failed failed System Logging Service\n")],
    "units-no-needless": [more("active", "rpcbind.service loaded active running RPC bind\n")],
    "units-log-running": [
        put("active", "rsyslog.service", "syslog-ng.service"),
        put("active", "systemd-journald.service", "other.service"),
        put("active", "logrotate.timer", "other.timer"),
    ],
    "packages-none-clear-text": [more("installed", "installed telnetd 0.17-41\n")],
    "packages-minimal": [more("installed", "installed gcc 4:12.2.0-3\n")],
    "packages-security-upgraded": [
        more("upgrades", "Inst libssl3 [3.0.15-1] (3.0.17-1~deb12u2 Debian-Security:12/oldstable-security [amd64])\n")
    ],
    "usb-storage-refused": [
        put("/etc/modprobe.d/usb.conf", "install usb-storage", "# install usb-storage"),
        more("/proc/modules", "usb_storage 81920 0 - Live 0x0000000000000000\n"),
    ],
    "rare-protocols-absent": [more("/proc/modules", "sctp 434176 2 - Live 0x0000000000000000\n")],
    "files-secrets-closed": [
        mode("/etc/shadow", 0o644),
        mode("/etc/shadow-", 0o644),
        mode("/etc/egov/keys/syslog.key", 0o604),
        mode("/etc/egov/keys/wireguard", 0o644),
        mode("/srv/borg", 0o755),
    ],
    "files-keys-owner-only": [mode("/etc/wireguard/wg0.conf", 0o640), mode("/etc/ssh/ssh_host_ed25519_key", 0o660)],
    "files-not-writable": [
        anybody_may_write,
        mode("/etc/passwd", 0o664),
        mode("/var/log", 0o777),
        mode("/home/egov-deploy", 0o777),
        mode("/tmp", 0o777),
        there("/etc/shadow", [REGULAR, 0o640, 33, 42]),
    ],
    "files-sudoers-closed": [mode("/etc/sudoers.d/egov-deploy", 0o644), mode("/etc/sudoers", 0o640)],
    "files-root-home-closed": [mode("/root", 0o755)],
    "files-login-keys-closed": [mode("/home/egov-deploy/.ssh/authorized_keys", 0o620)],
    "journal-persistent": [
        put("journald", "Storage=persistent", "Storage=volatile"),
        put("journald", "\nStorage=", "\n#Storage="),
    ],
    "journal-six-months": [
        put("journald", "200day", "30day"),
        put("journald", "200day", "2week"),
        put("journald", "200day", "86400"),
    ],
    "logs-sent-encrypted": [
        put("/etc/rsyslog.conf", 'tls="on"', 'tls="off"'),
        put("/etc/rsyslog.conf", "    target=", "    # target="),
        put("/etc/rsyslog.conf", "tls.permittedPeer", "tls.anyPeer"),
        gone("/etc/rsyslog.conf"),
    ],
    "logs-queued": [put("/etc/rsyslog.conf", "queue.", "# queue.")],
    "audit-rules-loaded": [
        put("rules", "-w /etc/passwd -p wa -k identity", "No rules"),
        put("status", "enabled 1", "enabled 0"),
        gone("status"),
    ],
    "firewall-by-address": [
        put("rules", "ip saddr @control4", "iifname eth0"),
        put("rules", "tcp dport 22", "meta l4proto tcp"),
        put("rules", "ct state established,related accept", "accept"),
        put("rules", "ct state established,related accept", "meta l4proto 47 accept"),
    ],
    "malware-guarded": [put("active", "clamav-clamonacc.service", "clamav-freshclam.service")],
    "intrusion-watched": [put("active", "suricata.service", "tor.service")],
    "spam-filtered": [put("active", "rspamd.service", "nginx.service")],
    "integrity-watched": [put("enabled", "dailyaidecheck.timer", "apt-daily.timer")],
    "disks-encrypted": [put("/sys/block/dm-0/dm/uuid", "CRYPT-", "LVM-"), forget("/sys/block/dm-0/dm/uuid")],
    "memory-cleared": [put("/proc/cmdline", "init_on_free=1", "init_on_free=0")],
    "boot-verified": [
        put("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\x01", "\x00"),
        put("/sys/class/tpm/tpm0/tpm_version_major", "2", "1"),
    ],
    "labels-enforced": [put("/sys/module/apparmor/parameters/enabled", "Y", "N")],
    "radio-absent": [add("/sys/class/net/wlan0/phy80211/name", "phy0\n")],
    "interfaces-planned": [
        told(links(("eth1", "UP"))),
        told(links(("eth1", "UNKNOWN"))),
        put("link", '"eth0"', '"eth0", "flags": ["UP", "PROMISC"]'),
    ],
    "system-supported": [
        put("/etc/os-release", 'VERSION_ID="12"', 'VERSION_ID="10"'),
        put("/etc/os-release", "ID=debian", "ID=centos"),
    ],
}


def lists(age: float) -> Change:
    """The package lists are so many days old; None: there are none."""

    def change(answers: dict[str, Any]) -> None:
        answers["lists"] = AT - age * DAY

    return change


def no_lists(answers: dict[str, Any]) -> None:
    answers["lists"] = 0.0


def listens(*ports: str) -> list[Change]:
    """Each port alone: "tcp 23"."""
    words = (port.split() for port in ports)
    return [more("ss", f"{kind} LISTEN 0 128 *:{number} *:*\n") for kind, number in words]


def has(query: str, line: str, *names: str) -> list[Change]:
    """Each name alone, in a line of a query's answer."""
    return [more(query, line.format(name)) for name in names]


def shell(name: str) -> Change:
    """An account that may log in."""
    passwd, secret = f"{name}:x:777:777::/:/bin/sh\n", f"\n{name}:locked:19500:0:99999:7::"

    def change(answers: dict[str, Any]) -> None:
        answers["/etc/passwd"]["out"] += passwd
        answers["shadow"]["out"] = answers["shadow"]["out"].rstrip("\n") + secret + "\n"

    return change


# Every name that an expression lists, and every limit from both sides.
PACKAGE, UNIT, MODULE = "installed {} 1.0-1\n", "{} loaded active running x\n", "{} 434176 2 - Live 0x0\n"
RED["ports-no-risky"] += listens(
    "tcp 111",
    "tcp 135",
    "udp 137",
    "udp 138",
    "tcp 139",
    "tcp 2049",
    "tcp 2375",
    "tcp 3389",
    "tcp 5900",
    "tcp 6000",
    "tcp 6379",
    "tcp 11211",
    "tcp 27017",
)
RED["ports-no-clear-text"] += listens("tcp 110", "tcp 143", "tcp 512", "tcp 513", "tcp 514", "tcp 873")
RED["packages-minimal"] += has(
    "installed",
    PACKAGE,
    "g++",
    "make",
    "xserver-xorg-core",
    "gdm3",
    "lightdm",
    "libreoffice-core",
    "firefox-esr",
    "chromium",
)
RED["packages-none-clear-text"] += has(
    "installed",
    PACKAGE,
    "inetutils-telnetd",
    "rsh-server",
    "rsh-redone-server",
    "nis",
    "talkd",
    "tftpd",
    "tftpd-hpa",
    "vsftpd",
    "proftpd-core",
    "xinetd",
)
RED["units-no-needless"] += has(
    "active",
    UNIT,
    "avahi-daemon.service",
    "cups.service",
    "inetd.service",
    "xinetd.service",
    "nfs-server.service",
    "smbd.service",
    "nmbd.service",
    "vsftpd.service",
    "telnet.socket",
    "bluetooth.service",
)
RED["rare-protocols-absent"] += has("/proc/modules", MODULE, "dccp", "rds", "tipc")
RED["sshd-tries-limited"] += [
    put("sshd", "maxauthtries 3", "maxauthtries 5"),
    put("sshd", "logingracetime 20", "logingracetime 61"),
]
RED["session-idle-ends"] += [put("/etc/profile.d/tmout.sh", "TMOUT=600", "TMOUT=901")]
RED["sshd-idle-ends"] += [put("sshd", "clientaliveinterval 60", "clientaliveinterval 601")]
RED["passwords-expire"] += [put("/etc/login.defs", "PASS_MAX_DAYS\t90", "PASS_MAX_DAYS\t91")]
RED["passwords-quality"] += [put("/etc/pam.d/common-password", "minlen=12", "minlen=7")]
RED["journal-six-months"] += [put("journald", "200day", "4319h")]
SETUID = ("chfn", "chsh", "fusermount", "fusermount3", "gpasswd", "mount", "newgrp", "pkexec", "su", "umount")
LISTENS = (
    "tcp 25,udp 53,tcp 53,udp 67,tcp 80,udp 123,udp 162,tcp 179,tcp 443,tcp 587,tcp 993,udp 3784,udp 3785,udp 4784"
)
LISTENS += ",tcp 6514,tcp 8443,tcp 9090,tcp 9093,tcp 9094,udp 9094,tcp 9095,tcp 9096,tcp 9116,tcp 13013"
# What must stay green though it is not the good host itself.
GREEN: dict[str, list[Change]] = {
    "ports-known": [
        more("ss", "udp UNCONN 0 0 *:49152 *:*\n"),
        more("ss", "udp UNCONN 0 0 *:23604 *:*\n"),
    ],
    "files-secrets-closed": [there("/etc/egov/keys/borg.pub", [REGULAR, 0o644, 0, 0])],
    "tunnels-planned": [gone("peers"), put("peers", f"wg0\t{KEY}\n", "")],
    "databases-archived": [put(POSTGRESQL + "conf.d/50-archive.conf", "archive_mode = on", "archive_mode = 'always'")],
    "packages-signed": [add("apt", "ALLOW_INSECURE='false'\n")],
    "certificates-current": [put("/etc/egov/keys/syslog.crt", "Nov 24 02:54:39 2036", "Oct  6 14:13:20 2026")],
    "pam-asks": [more("/etc/pam.d/sudo", "auth required pam_permit.so\naccount sufficient pam_permit.so\n")],
    "accounts-shells-known": [shell(name) for name in ("postgres", "pgbackrest", "pgbackrest-read", "egov-restore")],
    "integrity-watched": [put("enabled", "dailyaidecheck", name) for name in ("aide", "debsums")],
    "intrusion-watched": [put("active", "suricata", name) for name in ("snort", "zeek")],
    "malware-guarded": [put("active", "clamav-clamonacc", "fapolicyd")],
    "spam-filtered": [put("active", "rspamd", name) for name in ("spamd", "spamassassin")],
    "journal-six-months": [put("journald", "200day", "180day"), put("journald", "200day", "0")],
    "kernel-pointers-hidden": [sysctl("kernel.kptr_restrict", "2")],
    "kernel-source-routing-off": [sysctl("net.ipv4.conf.all.accept_source_route", "-1")],
    "sshd-idle-ends": [put("sshd", "clientaliveinterval 60", f"clientaliveinterval {limit}") for limit in (1, 600)],
    "kernel-syncookies-on": [sysctl("net.ipv4.tcp_syncookies", "2")],
    "packages-security-upgraded": [lists(0), lists(7)],
    "passwords-hash-strong": [put("/etc/login.defs", "YESCRYPT", name) for name in ("SHA512", "BCRYPT")],
    "passwords-quality": [put("/etc/pam.d/common-password", "minlen=12", "minlen=8")],
    "session-idle-ends": [put("/etc/profile.d/tmout.sh", "TMOUT=600", f"TMOUT={limit}") for limit in (1, 900)],
    "sshd-logins-logged": [put("sshd", "loglevel INFO", f"loglevel {name}") for name in ("VERBOSE", "DEBUG", "DEBUG1")],
    "sshd-tries-limited": [
        *(put("sshd", "maxauthtries 3", f"maxauthtries {count}") for count in (1, 4)),
        *(put("sshd", "logingracetime 20", f"logingracetime {count}") for count in (1, 60)),
    ],
    "system-supported": [put("/etc/os-release", 'VERSION_ID="12"', 'VERSION_ID="13"')],
}
GREEN["files-setuid-known"] = [others("setuid", f"/usr/bin/{name}") for name in SETUID]
GREEN["ports-known"] += listens(*LISTENS.split(","))
# What says nothing.
UNKNOWN: dict[str, list[Change]] = {"packages-security-upgraded": [lists(7.01), lists(8), no_lists]}


def answers_of(group: str, change: Change | None = None) -> dict[str, Any]:
    """The good host's answers of one group, changed or not."""
    answers: dict[str, Any] = copy.deepcopy(GOOD[group])
    if change is not None:
        change(answers)
    return answers
