#!/bin/sh
# Keeps one process of the lab going where the machine's PID 1 is not systemd.
# usage: supervise.sh reboot|always CGROUP-FOLDER... -- COMMAND...
#   reboot: start again only when the command exits 133 (systemd-nspawn: the guest asked for a reboot)
#   always: start again a second after it ended
# It joins its cgroups first; when `down` has removed them in the meantime, it must not start anything.
policy=$1
shift
while [ "$1" != -- ]; do
    echo $$ > "$1/cgroup.procs" || exit 1
    shift
done
shift
while :; do
    "$@"
    code=$?
    if [ "$policy" = reboot ]; then
        [ $code = 133 ] || exit $code
    else
        sleep 1
    fi
done
