/*
 * The floor: what any helper must do and nothing else. It reads one rule file, makes a TAP, makes it
 * a port of the bridge and passes the descriptor on. Bare C, linked statically, so that whatever a
 * real helper takes longer is its own doing. Not for use: it checks almost nothing.
 *
 *   floor --use-vnet --br=BRIDGE --fd=DESCRIPTOR
 */
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define RULES "/etc/qemu/bridge.conf"

struct message {
	struct nlmsghdr header;
	struct ifinfomsg link;
	char attributes[128];
};

static void attribute(struct message *message, unsigned short type, const void *value, unsigned short size)
{
	struct rtattr *place = (struct rtattr *)((char *)message + NLMSG_ALIGN(message->header.nlmsg_len));

	place->rta_type = type;
	place->rta_len = RTA_LENGTH(size);
	memcpy(RTA_DATA(place), value, size);
	message->header.nlmsg_len = NLMSG_ALIGN(message->header.nlmsg_len) + RTA_ALIGN(place->rta_len);
}

/* Whether one line of the rule file is "allow BRIDGE". */
static int allowed(const char *bridge)
{
	char text[4096];
	int file = open(RULES, O_RDONLY | O_CLOEXEC);
	ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);

	if (length < 0)
		return 0;
	close(file);
	text[length] = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, "allow ", 6) && !strcmp(line + 6, bridge))
			return 1;
	return 0;
}

/* MTU, MAC, bridge and up in one message; the answer is the acknowledgement. */
static int attach(int netlink, int tap, int bridge, int mtu)
{
	static const unsigned char mac[6] = { 0xfe, 0x12, 0x34, 0x56, 0x78, 0x9a };
	struct message message = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof message.link), .nlmsg_type = RTM_NEWLINK,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.link = { .ifi_index = tap, .ifi_flags = IFF_UP, .ifi_change = IFF_UP },
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} answer;

	attribute(&message, IFLA_MTU, &mtu, sizeof mtu);
	attribute(&message, IFLA_ADDRESS, mac, sizeof mac);
	attribute(&message, IFLA_MASTER, &bridge, sizeof bridge);
	if (send(netlink, &message, message.header.nlmsg_len, 0) < 0)
		return -1;
	if (recv(netlink, &answer, sizeof answer, MSG_TRUNC) < (ssize_t)NLMSG_LENGTH(sizeof answer.error.error))
		return -1;
	return answer.error.error;
}

static int pass(int socket, int passed)
{
	char byte = 0, control[CMSG_SPACE(sizeof passed)] = { 0 };
	struct iovec body = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &body, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof control };
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof passed);
	memcpy(CMSG_DATA(rights), &passed, sizeof passed);
	return sendmsg(socket, &message, 0) == 1 ? 0 : -1;
}

int main(int count, char **words)
{
	const char *name = "";
	int socket_end = -1;
	struct ifreq bridge = { 0 }, tap = { .ifr_name = "floor%d" };

	for (int i = 1; i < count; i++) {
		if (!strncmp(words[i], "--br=", 5))
			name = words[i] + 5;
		else if (!strncmp(words[i], "--fd=", 5))
			socket_end = atoi(words[i] + 5);
	}
	if (!allowed(name))
		return 1;
	strncpy(bridge.ifr_name, name, IFNAMSIZ - 1);

	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int device = open("/dev/net/tun", O_RDWR);

	tap.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (netlink < 0 || device < 0 || ioctl(device, TUNSETIFF, &tap) < 0)
		return 2;
	if (ioctl(netlink, SIOCGIFINDEX, &tap) < 0 || ioctl(netlink, SIOCGIFMTU, &bridge) < 0)
		return 3;

	int mtu = bridge.ifr_mtu, index = tap.ifr_ifindex;

	if (ioctl(netlink, SIOCGIFINDEX, &bridge) < 0 || attach(netlink, index, bridge.ifr_ifindex, mtu))
		return 4;
	return pass(socket_end, device) ? 5 : 0;
}
