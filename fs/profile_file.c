// SPDX-License-Identifier: MIT
/* What the profiler reads of files (kernel/profile.h). */
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "fs/file.h"
#include "kernel/profile.h"
#include "lib/format.h"

long profile_read_jit_map(int pid, uint64_t offset, char *buf, size_t size)
{
    char path[32];
    struct file *file;
    (void)format_string(path, sizeof(path), "/tmp/perf-%d.map", pid);
    int err = file_open(ABI_AT_FDCWD, path, ABI_O_RDONLY | ABI_O_NONBLOCK, 0, &file);
    if (err)
        return err;
    long len = file_read_kernel(file, buf, size, (int64_t)offset);
    file_put(file);
    return len;
}
