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
        struct file *file = fd_get_raw(fd[i]);
        if (!file)
            return -EBADF; /* the others go with the message */
        int err = unix_flight_charge(message);
        if (err) {
            file_put(file);
            return err;
        }
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
    if (claim.uid == UINT32_MAX || claim.gid == UINT32_MAX)
        return -EINVAL;
    bool pid_ok =
        claim.pid == process_current()->pid || (own->cap_effective & 1ULL << ABI_CAP_SYS_ADMIN);
    bool uid_ok = claim.uid == own->uid || claim.uid == own->euid || claim.uid == own->suid ||
                  (own->cap_effective & 1ULL << ABI_CAP_SETUID);
    bool gid_ok = claim.gid == own->gid || claim.gid == own->egid || claim.gid == own->sgid ||
                  (own->cap_effective & 1ULL << ABI_CAP_SETGID);
    if (!pid_ok || !uid_ok || !gid_ok)
        return -EPERM;
    struct process *process = process_find(claim.pid);
    if (!process)
        return -ESRCH;
    process_put(process);
    message->credentials = claim;
    message->claims_identity = true;
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

/* The first count get descriptors, which take their references. */
static unsigned install_files(struct file *const *files, unsigned count, bool close_on_exec,
                              int *fd)
{
    unsigned n;

    for (n = 0; n < count; n++) {
        fd[n] = fd_install(files[n], close_on_exec, 0);
        if (fd[n] < 0)
            break;
    }
    return n;
}

/*
 * References for the caller: further ones of the first count, or the message's own of all.  Under unix_lock,
 * so that a search for what is unreachable never misses one that has just been taken (net/unix_flight.c).
 */
static unsigned take_references(struct unix_message *message, unsigned count, bool keep)
{
    unsigned taken = keep ? count : message->nfiles;

    spin_lock(&unix_lock);
    if (keep) {
        for (unsigned i = 0; i < count; i++)
            file_get(message->files[i]);
    } else {
        unix_flight_end(message);
        message->nfiles = 0;
    }
    spin_unlock(&unix_lock);
    return taken;
}

void unix_rights_deliver(struct unix_socket *sock, struct unix_message *message,
                         struct message *call, bool keep)
{
    int fd[ABI_SCM_MAX_FD];
    unsigned total = message->nfiles;
    unsigned n = 0;

    if (!total)
        return;
    unsigned count = call->wants_control ? MIN(total, room_for_files(call)) : 0;
    unsigned taken = take_references(message, count, keep);
    if (call->wants_control) {
        n = install_files(message->files, count, call->flags & ABI_MSG_CMSG_CLOEXEC, fd);
        if (n)
            message_put_control(call, ABI_SOL_SOCKET, ABI_SCM_RIGHTS, fd, n * sizeof(int));
        if (n < total)
            call->out_flags |= ABI_MSG_CTRUNC;
    }
    for (unsigned i = n; i < taken; i++)
        file_put(message->files[i]);
}
