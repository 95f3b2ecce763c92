// SPDX-License-Identifier: MIT
/*
 * User and group ids, supplementary groups, capabilities.
 *
 * The rules are Linux's (credentials(7), capabilities(7)).  Credentials belong to the process: what
 * glibc makes of the calls (it sets them in every thread) is true here from the first call on.
 *
 * A call copies the credentials, changes the copy by its rules, and stores it when all went well.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/process.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

#define NO_CHANGE 0xffffffffu

/* What is about files (capability.h of Linux: CAP_FS_SET): the file system's user id takes it away and gives it. */
#define FILE_CAPABILITIES                                                                          \
    (1ULL << ABI_CAP_CHOWN | 1ULL << ABI_CAP_DAC_OVERRIDE | 1ULL << ABI_CAP_DAC_READ_SEARCH |      \
     1ULL << ABI_CAP_FOWNER | 1ULL << ABI_CAP_FSETID | 1ULL << ABI_CAP_LINUX_IMMUTABLE |           \
     1ULL << ABI_CAP_MKNOD | 1ULL << ABI_CAP_MAC_OVERRIDE)

static bool creds_have(const struct credentials *creds, int capability)
{
    return creds->cap_effective >> capability & 1;
}

static void creds_begin(struct credentials *creds)
{
    mutex_lock(&process_current()->lock);
    *creds = process_current()->creds;
}

static int creds_end(const struct credentials *creds, int err)
{
    struct process *process = process_current();
    uint32_t old_uid = process->creds.uid;
    if (!err)
        process_set_creds(process, creds);
    mutex_unlock(&process->lock);
    /* A setuid that may not fail: the execve after it does (RLIMIT_NPROC in setrlimit(2)). */
    if (!err && creds->uid != old_uid)
        WRITE_ONCE(process->was_over_limit, process_user_has_too_many(true));
    return err;
}

/* What a change of user ids does to capabilities (capabilities(7), "Effect of user ID changes"). */
static void capabilities_follow(struct credentials *creds, const struct credentials *old)
{
    if (creds->securebits & ABI_SECBIT_NO_SETUID_FIXUP)
        return;
    bool had_root = !old->uid || !old->euid || !old->suid;
    bool has_root = !creds->uid || !creds->euid || !creds->suid;
    if (had_root && !has_root) {
        if (!(creds->securebits & ABI_SECBIT_KEEP_CAPS)) {
            creds->cap_permitted = 0;
            creds->cap_effective = 0;
        }
        creds->cap_ambient = 0;
    }
    if (!old->euid && creds->euid)
        creds->cap_effective = 0;
    if (old->euid && !creds->euid)
        creds->cap_effective = creds->cap_permitted;
}

long sys_getuid(void)
{
    return process_current()->creds.uid;
}

long sys_geteuid(void)
{
    return process_current()->creds.euid;
}

long sys_getgid(void)
{
    return process_current()->creds.gid;
}

long sys_getegid(void)
{
    return process_current()->creds.egid;
}

static int uid_set(struct credentials *creds, uint32_t uid)
{
    if (uid == NO_CHANGE)
        return -EINVAL;
    if (creds_have(creds, ABI_CAP_SETUID))
        creds->uid = creds->suid = uid;
    else if (uid != creds->uid && uid != creds->suid)
        return -EPERM;
    creds->euid = creds->fsuid = uid;
    return 0;
}

long sys_setuid(unsigned uid)
{
    struct credentials creds;
    creds_begin(&creds);
    struct credentials old = creds;
    int err = uid_set(&creds, uid);
    if (!err)
        capabilities_follow(&creds, &old);
    return creds_end(&creds, err);
}

long sys_setgid(unsigned gid)
{
    struct credentials creds;
    int err = 0;
    creds_begin(&creds);
    if (gid == NO_CHANGE)
        err = -EINVAL;
    else if (creds_have(&creds, ABI_CAP_SETGID))
        creds.gid = creds.egid = creds.sgid = creds.fsgid = gid;
    else if (gid == creds.gid || gid == creds.sgid)
        creds.egid = creds.fsgid = gid;
    else
        err = -EPERM;
    return creds_end(&creds, err);
}

static bool is_one_of(uint32_t id, uint32_t a, uint32_t b, uint32_t c)
{
    return id == NO_CHANGE || id == a || id == b || id == c;
}

/* setreuid and setregid on (real, effective, saved, file system): the rules are the same. */
static int real_effective_set(uint32_t id[4], uint32_t real, uint32_t effective, bool may)
{
    const uint32_t old_real = id[0], old_effective = id[1];
    if (!may && !is_one_of(real, old_real, old_effective, old_real))
        return -EPERM;
    if (!may && !is_one_of(effective, old_real, old_effective, id[2]))
        return -EPERM;
    if (real != NO_CHANGE)
        id[0] = real;
    if (effective != NO_CHANGE)
        id[1] = effective;
    if (real != NO_CHANGE || (effective != NO_CHANGE && effective != old_real))
        id[2] = id[1];
    id[3] = id[1];
    return 0;
}

static int all_three_set(uint32_t id[4], const uint32_t new[3], bool may)
{
    for (int i = 0; i < 3; i++) {
        if (!may && !is_one_of(new[i], id[0], id[1], id[2]))
            return -EPERM;
    }
    for (int i = 0; i < 3; i++) {
        if (new[i] != NO_CHANGE)
            id[i] = new[i];
    }
    id[3] = id[1];
    return 0;
}

static void uids_load(const struct credentials *creds, uint32_t id[4])
{
    id[0] = creds->uid;
    id[1] = creds->euid;
    id[2] = creds->suid;
    id[3] = creds->fsuid;
}

static void uids_store(struct credentials *creds, const uint32_t id[4])
{
    struct credentials old = *creds;
    creds->uid = id[0];
    creds->euid = id[1];
    creds->suid = id[2];
    creds->fsuid = id[3];
    capabilities_follow(creds, &old);
}

static void gids_load(const struct credentials *creds, uint32_t id[4])
{
    id[0] = creds->gid;
    id[1] = creds->egid;
    id[2] = creds->sgid;
    id[3] = creds->fsgid;
}

static void gids_store(struct credentials *creds, const uint32_t id[4])
{
    creds->gid = id[0];
    creds->egid = id[1];
    creds->sgid = id[2];
    creds->fsgid = id[3];
}

long sys_setreuid(unsigned real, unsigned effective)
{
    struct credentials creds;
    uint32_t id[4];
    creds_begin(&creds);
    uids_load(&creds, id);
    int err = real_effective_set(id, real, effective, creds_have(&creds, ABI_CAP_SETUID));
    if (!err)
        uids_store(&creds, id);
    return creds_end(&creds, err);
}

long sys_setregid(unsigned real, unsigned effective)
{
    struct credentials creds;
    uint32_t id[4];
    creds_begin(&creds);
    gids_load(&creds, id);
    int err = real_effective_set(id, real, effective, creds_have(&creds, ABI_CAP_SETGID));
    if (!err)
        gids_store(&creds, id);
    return creds_end(&creds, err);
}

long sys_setresuid(unsigned real, unsigned effective, unsigned saved)
{
    struct credentials creds;
    uint32_t id[4];
    const uint32_t new[3] = { real, effective, saved };
    creds_begin(&creds);
    uids_load(&creds, id);
    int err = all_three_set(id, new, creds_have(&creds, ABI_CAP_SETUID));
    if (!err)
        uids_store(&creds, id);
    return creds_end(&creds, err);
}

long sys_setresgid(unsigned real, unsigned effective, unsigned saved)
{
    struct credentials creds;
    uint32_t id[4];
    const uint32_t new[3] = { real, effective, saved };
    creds_begin(&creds);
    gids_load(&creds, id);
    int err = all_three_set(id, new, creds_have(&creds, ABI_CAP_SETGID));
    if (!err)
        gids_store(&creds, id);
    return creds_end(&creds, err);
}

static int three_to_app(void __app *a, void __app *b, void __app *c, const uint32_t id[3])
{
    if (copy_to_app(a, &id[0], 4) || copy_to_app(b, &id[1], 4) || copy_to_app(c, &id[2], 4))
        return -EFAULT;
    return 0;
}

long sys_getresuid(void __app *real, void __app *effective, void __app *saved)
{
    uint32_t id[4];
    uids_load(&process_current()->creds, id);
    return three_to_app(real, effective, saved, id);
}

long sys_getresgid(void __app *real, void __app *effective, void __app *saved)
{
    uint32_t id[4];
    gids_load(&process_current()->creds, id);
    return three_to_app(real, effective, saved, id);
}

/* What a change of the file system's user id does to the capabilities that are about files. */
static void file_capabilities_follow(struct credentials *creds, uint32_t old)
{
    if (creds->securebits & ABI_SECBIT_NO_SETUID_FIXUP)
        return;
    if (!old && creds->fsuid)
        creds->cap_effective &= ~FILE_CAPABILITIES;
    if (old && !creds->fsuid)
        creds->cap_effective |= creds->cap_permitted & FILE_CAPABILITIES;
}

/* These two return the old id, whatever happens. */
long sys_setfsuid(unsigned uid)
{
    struct credentials creds;
    creds_begin(&creds);
    uint32_t old = creds.fsuid;
    bool may = creds_have(&creds, ABI_CAP_SETUID) || uid == creds.uid || uid == creds.euid ||
               uid == creds.suid || uid == creds.fsuid;
    if (may && uid != NO_CHANGE) {
        creds.fsuid = uid;
        file_capabilities_follow(&creds, old);
    }
    (void)creds_end(&creds, 0);
    return old;
}

long sys_setfsgid(unsigned gid)
{
    struct credentials creds;
    creds_begin(&creds);
    uint32_t old = creds.fsgid;
    bool may = creds_have(&creds, ABI_CAP_SETGID) || gid == creds.gid || gid == creds.egid ||
               gid == creds.sgid || gid == creds.fsgid;
    if (may && gid != NO_CHANGE)
        creds.fsgid = gid;
    (void)creds_end(&creds, 0);
    return old;
}

long sys_getgroups(int size, void __app *list)
{
    const struct credentials *creds = &process_current()->creds;
    if (size < 0)
        return -EINVAL;
    if (size == 0)
        return creds->ngroups;
    if (creds->ngroups > (unsigned)size)
        return -EINVAL;
    int err = copy_to_app(list, creds->groups, creds->ngroups * sizeof(creds->groups[0]));
    return err ? err : (long)creds->ngroups;
}

long sys_setgroups(int size, const void __app *list)
{
    struct credentials creds;
    uint32_t groups[NGROUPS] = { 0 };
    if (!process_is_capable(ABI_CAP_SETGID))
        return -EPERM;
    if ((unsigned)size > NGROUPS)
        return -EINVAL;
    if (copy_from_app(groups, list, (size_t)size * sizeof(groups[0])))
        return -EFAULT;
    creds_begin(&creds);
    memcpy(creds.groups, groups, sizeof(groups));
    creds.ngroups = (unsigned)size;
    return creds_end(&creds, 0);
}

/* ---- Capabilities ------------------------------------------------------------------- */

/* Reads the header; writes back the version to use if the caller's is unknown. */
static int header_read(struct abi_cap_header *header, void __app *from, unsigned *nwords)
{
    if (copy_from_app(header, from, sizeof(*header)))
        return -EFAULT;
    switch (header->version) {
    case ABI_CAPABILITY_VERSION_1:
        *nwords = 1;
        return 0;
    case ABI_CAPABILITY_VERSION_2:
    case ABI_CAPABILITY_VERSION_3:
        *nwords = 2;
        return 0;
    default:
        header->version = ABI_CAPABILITY_VERSION_3;
        if (copy_to_app(from, &header->version, sizeof(header->version)))
            return -EFAULT;
        return -EINVAL;
    }
}

long sys_capget(void __app *header_app, void __app *data_app)
{
    struct abi_cap_header header;
    struct abi_cap_data data[2];
    unsigned nwords;
    int err = header_read(&header, header_app, &nwords);
    if (err)
        return err == -EINVAL && !data_app ? 0 : err; /* only asked for the version */
    if (header.pid < 0)
        return -EINVAL;
    struct process *process = process_of_tid(header.pid);
    if (!process)
        return -ESRCH;
    const struct credentials *creds = &process->creds;
    for (unsigned i = 0; i < 2; i++) {
        data[i].effective = (uint32_t)(creds->cap_effective >> (32 * i));
        data[i].permitted = (uint32_t)(creds->cap_permitted >> (32 * i));
        data[i].inheritable = (uint32_t)(creds->cap_inheritable >> (32 * i));
    }
    process_put(process);
    return data_app ? copy_to_app(data_app, data, nwords * sizeof(data[0])) : 0;
}

static int capabilities_set(struct credentials *creds, uint64_t effective, uint64_t permitted,
                            uint64_t inheritable)
{
    bool is_capped = !creds_have(creds, ABI_CAP_SETPCAP);
    if (is_capped && inheritable & ~(creds->cap_inheritable | creds->cap_permitted))
        return -EPERM;
    if (inheritable & ~(creds->cap_inheritable | creds->cap_bounding))
        return -EPERM;
    if (permitted & ~creds->cap_permitted)
        return -EPERM;
    if (effective & ~permitted)
        return -EPERM;
    creds->cap_effective = effective;
    creds->cap_permitted = permitted;
    creds->cap_inheritable = inheritable;
    creds->cap_ambient &= permitted & inheritable;
    return 0;
}

long sys_capset(void __app *header_app, const void __app *data_app)
{
    struct abi_cap_header header;
    struct abi_cap_data data[2] = { 0 };
    struct credentials creds;
    unsigned nwords;
    int err = header_read(&header, header_app, &nwords);
    if (err)
        return err;
    if (header.pid != 0 && header.pid != thread_current()->tid)
        return -EPERM;
    if (copy_from_app(data, data_app, nwords * sizeof(data[0])))
        return -EFAULT;
    uint64_t effective = data[0].effective | (uint64_t)data[1].effective << 32;
    uint64_t permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    uint64_t inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    creds_begin(&creds);
    err = capabilities_set(&creds, effective & ABI_CAP_ALL, permitted & ABI_CAP_ALL,
                           inheritable & ABI_CAP_ALL);
    return creds_end(&creds, err);
}
