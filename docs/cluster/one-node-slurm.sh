#!/bin/sh
# A Slurm cluster of one node, this machine, to try `xling study run --executor slurm` on.
#
#   sh docs/cluster/one-node-slurm.sh start     # as root, on Debian or Ubuntu; installs slurm-wlm
#   sh docs/cluster/one-node-slurm.sh stop
#
# Everything it writes but slurm.conf and munge's key lies in /tmp/one-node-slurm. There is no accounting
# data base, so that squeue rather than sacct says how jobs are: docs/cluster.md has the command.
set -eu

HOME_OF_SLURM=/tmp/one-node-slurm
CONFIGURATION=/etc/slurm/slurm.conf

refuse_others() {
    if [ -e "$CONFIGURATION" ] && ! grep -q one-node-slurm "$CONFIGURATION"; then
        echo "$CONFIGURATION is somebody else's: this machine belongs to a cluster" >&2
        exit 2
    fi
}

start() {
    refuse_others
    if ! command -v slurmctld >/dev/null; then
        apt-get update
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends slurm-wlm munge
    fi
    mkdir -p /etc/slurm "$HOME_OF_SLURM/state" "$HOME_OF_SLURM/spool"
    memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
    # MinJobAge: how long squeue tells of a job that has ended.
    cat >"$CONFIGURATION" <<END
# written by one-node-slurm.sh
ClusterName=one-node
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$HOME_OF_SLURM/state
SlurmdSpoolDir=$HOME_OF_SLURM/spool
SlurmctldPidFile=$HOME_OF_SLURM/slurmctld.pid
SlurmdPidFile=$HOME_OF_SLURM/slurmd.pid
SlurmctldLogFile=$HOME_OF_SLURM/slurmctld.log
SlurmdLogFile=$HOME_OF_SLURM/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=1,sched_interval=5
ReturnToService=2
MinJobAge=3600
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
    mkdir -p /run/munge && chown munge:munge /run/munge
    [ -s /etc/munge/munge.key ] || { mungekey --create && chown munge:munge /etc/munge/munge.key; }
    if ! munge -n >/dev/null 2>&1; then
        su -s /bin/sh munge -c "/usr/sbin/munged --force"
        touch "$HOME_OF_SLURM/munged-is-ours"
    fi
    slurmctld
    slurmd
    wait_for_node
}

wait_for_node() {
    for _ in $(seq 60); do
        if [ "$(sinfo -h -o %t)" = idle ]; then
            sinfo
            return
        fi
        sleep 1
    done
    echo "the node did not come up; see $HOME_OF_SLURM/*.log" >&2
    exit 1
}

# End the process whose number a file holds, and wait until it has.
end() {
    [ -s "$1" ] || return 0
    process=$(cat "$1")
    kill "$process" 2>/dev/null || return 0
    while kill -0 "$process" 2>/dev/null; do sleep 0.2; done
}

stop() {
    refuse_others
    for daemon in slurmd slurmctld; do
        end "$HOME_OF_SLURM/$daemon.pid"
    done
    if [ -e "$HOME_OF_SLURM/munged-is-ours" ]; then
        end /run/munge/munged.pid
    fi
    rm -rf "$CONFIGURATION" "$HOME_OF_SLURM"
}

case "${1:-}" in
start) start ;;
stop) stop ;;
*)
    echo "usage: $0 start|stop" >&2
    exit 2
    ;;
esac
