// SPDX-License-Identifier: MIT
/*
 * Descriptors and credentials in messages (unix(7), SCM_RIGHTS, SCM_CREDENTIALS).
 */
#include <string.h>

#include "abi/capability.h"
#include "abi/errno.h"
#include "kernel/mm/heap.h"
#include "net/message.h"
#include "net/unix_socket.h"

/* ---- Sending ------------------------------------------------------------------------- */

static int attach_files(const struct abi_cmsghdr *header, struct unix_message *message)
{
    const int *fd = message_control_data(header);
    size_t count = (header->cmsg_len - sizeof(*header)) / sizeof(int);

    if (count == 0)
        return 0;
    if (message->nfiles + count > ABI_SCM_MAX_FD)
        return -EINVAL;
    struct file **files =
        krealloc(message->files, (message->nfiles + count) * sizeof(*files), ALLOC_WAIT);
    if (!files)
        return -ENOMEM;
    message->files = files;
    for (size_t i = 0; i < count; i++) {
        struct file *file = fd_get(fd[i]);
        if (!file)
            return -EBADF; /* the others go with the message */
        files[message->nfiles++] = file;
    }
    return 0;
}

/* One may claim only to be oneself, unless one is privileged. */
static int attach_credentials(const struct abi_cmsghdr *header, struct unix_message *message)
{
    const struct credentials *own = &process_current()->creds;
    struct abi_ucred claim;

    if (header->cmsg_len != sizeof(*header) + sizeof(claim))
        return -EINVAL;
    memcpy(&claim, message_control_data(header), sizeof(claim));
    bool pid_ok =
        claim.pid == process_current()->pid || (own->cap_effective & 1ULL << ABI_CAP_SYS_ADMIN);
    bool uid_ok = claim.uid == own->uid || claim.uid == own->euid || claim.uid == own->suid ||
                  (own->cap_effective & 1ULL << ABI_CAP_SETUID);
    bool gid_ok = claim.gid == own->gid || claim.gid == own->egid || claim.gid == own->sgid ||
                  (own->cap_effective & 1ULL << ABI_CAP_SETGID);
    if (!pid_ok || !uid_ok || !gid_ok)
        return -EPERM;
    message->credentials = claim;
    return 0;
}

int unix_rights_attach(const struct message *call, struct unix_message *message)
{
    const struct abi_cmsghdr *header;
    size_t position = 0;

    while ((header = message_next_control(call, &position)) != NULL) {
        int err = -EINVAL;
        if (header->cmsg_level != ABI_SOL_SOCKET)
            continue;
        if (header->cmsg_type == ABI_SCM_RIGHTS)
            err = attach_files(header, message);
        else if (header->cmsg_type == ABI_SCM_CREDENTIALS)
            err = attach_credentials(header, message);
        if (err)
            return err;
    }
    return 0;
}

/* ---- Receiving -------------------------------------------------------------------------- */

void unix_rights_credentials(const struct unix_socket *sock, const struct abi_ucred *credentials,
                             struct message *call)
{
    if (sock->base.pass_credentials)
        message_put_control(call, ABI_SOL_SOCKET, ABI_SCM_CREDENTIALS, credentials,
                            sizeof(*credentials));
}

/* How many descriptors the application has made room for. */
static unsigned room_for_files(const struct message *call)
{
    size_t room = call->control_room - call->control_used;

    if (room < sizeof(struct abi_cmsghdr))
        return 0;
    return (unsigned)MIN((room - sizeof(struct abi_cmsghdr)) / sizeof(int), ABI_SCM_MAX_FD);
}

static unsigned install_files(struct unix_message *message, unsigned count, bool close_on_exec,
                              int *fd)
{
    unsigned n;

    for (n = 0; n < count; n++) {
        fd[n] = fd_install(file_get(message->files[n]), close_on_exec, 0);
        if (fd[n] < 0) {
            file_put(message->files[n]);
            break;
        }
    }
    return n;
}

void unix_rights_deliver(struct unix_socket *sock, struct unix_message *message,
                         struct message *call, bool keep)
{
    int fd[ABI_SCM_MAX_FD];

    if (!message->nfiles)
        return;
    if (call->wants_control) {
        unsigned count = MIN(message->nfiles, room_for_files(call));
        bool close_on_exec = call->flags & ABI_MSG_CMSG_CLOEXEC;
        unsigned n = install_files(message, count, close_on_exec, fd);
        if (n)
            message_put_control(call, ABI_SOL_SOCKET, ABI_SCM_RIGHTS, fd, n * sizeof(int));
        if (n < message->nfiles)
            call->out_flags |= ABI_MSG_CTRUNC;
    }
    if (keep)
        return;
    /* They have been delivered, or nobody wanted them. */
    for (unsigned i = 0; i < message->nfiles; i++)
        file_put(message->files[i]);
    message->nfiles = 0;
}
