// SPDX-License-Identifier: MIT
/*
 * /proc/net/unix: what it tells of this program's sockets.
 */
#include "check.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct line {
    unsigned refcount, protocol, flags, type, state;
    unsigned long inode;
    char path[120];
};

static unsigned long inode_of(int fd)
{
    struct stat info;

    NEED(fstat(fd, &info) == 0);
    return info.st_ino;
}

/* The line of the socket, or of an unaccepted one with this path. */
static bool find(unsigned long inode, const char *path, struct line *line)
{
    char text[512];
    FILE *file = fopen("/proc/net/unix", "r");
    bool found = false;

    NEED(file && fgets(text, sizeof(text), file));
    CHECK(!strcmp(text, "Num       RefCount Protocol Flags    Type St Inode Path\n"));
    while (!found && fgets(text, sizeof(text), file)) {
        memset(line, 0, sizeof(*line));
        int n = sscanf(text, "%*x: %x %x %x %x %x %lu %119[^\n]", &line->refcount, &line->protocol,
                       &line->flags, &line->type, &line->state, &line->inode, line->path);
        CHECK(n >= 6);
        found = line->inode == inode && (!path || !strcmp(line->path, path));
    }
    fclose(file);
    return found;
}

static void show(const char *what, int fd)
{
    struct line line;

    if (!find(inode_of(fd), NULL, &line))
        printf("%s: no line\n", what);
    else
        printf("%s: protocol %x flags %x type %x state %x path %s\n", what, line.protocol,
               line.flags, line.type, line.state, line.path[0] ? line.path : "-");
}

static socklen_t name(struct sockaddr_un *address, const char *path, bool is_abstract)
{
    size_t len = strlen(path);

    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path + is_abstract, path, len);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
}

int main(void)
{
    struct sockaddr_un address;
    struct line line;
    int pair[2];

    unlink("/tmp/proc_unix.sock");
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    show("fresh", listener);
    socklen_t len = name(&address, "/tmp/proc_unix.sock", false);
    NEED(!bind(listener, (struct sockaddr *)&address, len));
    show("bound", listener);
    NEED(!listen(listener, 5));
    show("listening", listener);
    NEED(!connect(client, (struct sockaddr *)&address, len));
    show("connected", client);
    CHECK(find(0, "/tmp/proc_unix.sock", &line) && line.state == 2); /* waits to be accepted */
    int server = accept(listener, NULL, NULL);
    show("accepted", server);
    CHECK(!find(0, "/tmp/proc_unix.sock", &line));
    close(client);
    show("left", server);
    int datagram = socket(AF_UNIX, SOCK_DGRAM, 0), packets = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    len = name(&address, "proc_unix\0with", true);
    NEED(!bind(datagram, (struct sockaddr *)&address, len));
    show("datagram", datagram);
    memcpy(address.sun_path, "\0a\0b", 4);
    NEED(!bind(packets, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + 4));
    show("packets", packets);
    NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    show("pair", pair[0]);
    CHECK(find(inode_of(pair[0]), NULL, &line) && line.refcount >= 2);
    unsigned long gone = inode_of(pair[0]);
    close(pair[0]);
    CHECK(!find(gone, NULL, &line));
    unlink("/tmp/proc_unix.sock");
    return check_end();
}
