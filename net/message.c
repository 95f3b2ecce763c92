// SPDX-License-Identifier: MIT
/*
 * Control messages (cmsg(3)).
 */
#include "net/message.h"

#include "kernel/process.h"
#include "kernel/usercopy.h"

const struct abi_cmsghdr *message_next_control(const struct message *message, size_t *position)
{
    size_t left = message->control_len - MIN(*position, message->control_len);

    if (left < sizeof(struct abi_cmsghdr))
        return NULL;
    const struct abi_cmsghdr *header = (const void *)(message->control + *position);
    *position += ABI_CMSG_ALIGN(header->cmsg_len);
    return header;
}

void message_put_control(struct message *message, int level, int type, const void *data, size_t len)
{
    struct abi_cmsghdr header = {
        .cmsg_len = sizeof(header) + len,
        .cmsg_level = level,
        .cmsg_type = type,
    };
    size_t room = message->control_room - message->control_used;

    if (!message->wants_control)
        return;
    if (room < sizeof(header)) {
        message->out_flags |= ABI_MSG_CTRUNC;
        return;
    }
    if (room < header.cmsg_len) {
        message->out_flags |= ABI_MSG_CTRUNC;
        header.cmsg_len = room;
    }
    uint8_t __app *to = message->control_out + message->control_used;
    if (copy_to_app(to, &header, sizeof(header)) ||
        copy_to_app(to + sizeof(header), data, header.cmsg_len - sizeof(header)))
        return; /* as Linux: the message itself has been received */
    message->control_used += MIN(ABI_CMSG_ALIGN(header.cmsg_len), room);
}

struct abi_ucred message_own_credentials(void)
{
    struct process *process = process_current();
    struct abi_ucred own = { 0 };

    if (process) {
        own.pid = process->pid;
        own.uid = process->creds.euid;
        own.gid = process->creds.egid;
    }
    return own;
}
