# Run by bash as process 1 of a house (house.rs): private mounts, devices and users, then wait until
# the test closes our standard input. Bash reaps what daemons leave behind.
set -eu
umask 022
mount --make-rprivate /
mount -t tmpfs -o mode=1777 house /tmp
mkdir -m 755 /tmp/house

# What a test writes below these lands in memory; the machine's own files are only read.
for place in etc usr/local usr/lib/qemu var/lib; do
    [ -d "/$place" ] || continue
    mkdir -p "/tmp/house/over/$place" "/tmp/house/work/$place"
    chmod --reference="/$place" "/tmp/house/over/$place"
    mount -t overlay house -o "lowerdir=/$place,upperdir=/tmp/house/over/$place,workdir=/tmp/house/work/$place" "/$place"
done
# A machine that has networks of its own is no example.
rm -rf /etc/vmnet /var/lib/vmnet
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/lock /run/netns
mount -t sysfs sysfs /sys

mkdir /tmp/house/dev
mount -t tmpfs -o mode=755 dev /tmp/house/dev
(
    umask 0
    cd /tmp/house/dev
    mknod -m 666 null c 1 3
    mknod -m 666 zero c 1 5
    mknod -m 666 full c 1 7
    mknod -m 666 random c 1 8
    mknod -m 666 urandom c 1 9
    mknod -m 666 tty c 5 0
    mkdir -m 755 net pts
    mkdir -m 1777 shm
    mknod -m 600 net/tun c 10 200
    ln -s /proc/self/fd fd
    ln -s fd/0 stdin
    ln -s fd/1 stdout
    ln -s fd/2 stderr
    ln -s pts/ptmx ptmx
)
mount --move /tmp/house/dev /dev
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts /dev/pts

# Two plain users, whoever lives on this machine.
sed -i -E '/^(alice|bob):/d; /^[^:]*:[^:]*:100[01]:/d' /etc/passwd
sed -i -E '/^(alice|bob|vmusers|guests):/d; /^[^:]*:[^:]*:(100[01]|200[12]):/d' /etc/group
printf '%s\n' 'alice:x:1000:1000::/tmp/alice:/bin/sh' 'bob:x:1001:1001::/tmp/bob:/bin/sh' >>/etc/passwd
printf '%s\n' 'alice:x:1000:' 'bob:x:1001:' 'vmusers:x:2001:alice' 'guests:x:2002:bob' >>/etc/group
install -d -o 1000 -g 1000 -m 700 /tmp/alice
install -d -o 1001 -g 1001 -m 700 /tmp/bob
mkdir -p /etc/qemu /usr/local/sbin /usr/local/libexec

# A new namespace may inherit these from the machine.
echo 0 >/proc/sys/net/ipv4/ip_forward
ip link set lo up

echo ready
while read -r _; do :; done
