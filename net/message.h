// SPDX-License-Identifier: MIT
#pragma once
/*
 * One message on its way between a system call and a socket: the data (fs/file.h's struct io),
 * the address, the flags and the control messages.
 */
#include "net/socket.h"

struct message {
    struct io *io;
    unsigned flags; /* ABI_MSG_* of the call */
    bool nonblock;
    unsigned out_flags; /* receive: ABI_MSG_TRUNC, ... */
    /* send: the destination, or NULL.  receive: where the source goes, or NULL. */
    struct socket_address *address;
    /* send: control messages in kernel memory, checked for their lengths. */
    const uint8_t *control;
    size_t control_len;
    /* receive: where control messages go in the application, and the room left there. */
    uint8_t __app *control_out;
    size_t control_room;
    size_t control_used;
    bool wants_control; /* recvmsg: dropped control messages set MSG_CTRUNC */
};

/* The next control message after *position (0 at first); NULL: no more. */
const struct abi_cmsghdr *message_next_control(const struct message *message, size_t *position);
static inline const void *message_control_data(const struct abi_cmsghdr *header)
{
    return header + 1;
}
/* receive: appends a control message, cut with MSG_CTRUNC when there is no room.  No locks held. */
void message_put_control(struct message *message, int level, int type, const void *data,
                         size_t len);
/* The running process's identity. */
struct abi_ucred message_own_credentials(void);
