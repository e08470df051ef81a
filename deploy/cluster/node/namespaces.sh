#!/usr/bin/env bash
# namespaces.sh STATE COMMAND...: runs COMMAND with mounts, a network and processes of its own, prepared as those of a Kubernetes node. When it
# ends, or is killed, everything that it started, mounted or configured is gone; what is left are files in the folder STATE and empty cgroups.
set -euo pipefail
exec unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private bash -c '
set -euo pipefail
state=$1; shift
mount --make-rshared /
# Folders that the programs of a node write to by their fixed names.
mkdir -p "$state/var-lib" "$state/var-log"
mount --bind "$state/var-lib" /var/lib
mount --bind "$state/var-log" /var/log
# Logs of containers: a volume that a check can fill.
mkdir -p /var/log/pods
mount -t tmpfs -o size=32m tmpfs /var/log/pods
mount -t tmpfs tmpfs /run
# The kubelet sets these for the whole machine: it gets files of its own instead.
mkdir /run/sysctl
for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  copy=/run/sysctl/${name//\//_}
  cat "/proc/sys/$name" > "$copy"
  mount --bind "$copy" "/proc/sys/$name"
done
ip link set lo up
# The network interface of the node. Its other end leads nowhere.
ip link add node0 type veth peer name node0-peer
ip link set node0-peer up
ip addr add 10.0.0.1/24 dev node0
ip link set node0 up
ip route add default via 10.0.0.2
echo 1 > /proc/sys/net/ipv4/ip_forward
ulimit -n "$(ulimit -H -n)"
# As process 1 this shell collects the processes that containers leave.
"$@"' node "$@"
