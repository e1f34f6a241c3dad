//! Virtual machine monitors and their managers, the real ones: QEMU, libvirt, LXC, and what starts others.

mod exec;
mod exec_guests;
mod guests;
mod ipv6_guest;
mod libvirt;
mod libvirt_hook;
mod libvirt_system;
mod lxc;
mod snippets;
mod tap;
