// SPDX-License-Identifier: MIT
/*
 * io_uring by its bare calls: addresses that are none, descriptors that are none.
 */
#include "check.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>

#define NOWHERE ((void *)-4096L)

int main(void)
{
    struct io_uring_params params = { 0 };
    struct io_uring_getevents_arg wait = { .ts = (uintptr_t)NOWHERE };

    CHECK_ERRNO(syscall(SYS_io_uring_setup, 4, NOWHERE), EFAULT);
    CHECK_ERRNO(syscall(SYS_io_uring_setup, 0, &params), EINVAL);
    int fd = (int)syscall(SYS_io_uring_setup, 4, &params);
    NEED(fd >= 0);
    CHECK_ERRNO(syscall(SYS_io_uring_enter, fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                        NOWHERE, sizeof(wait)),
                EFAULT);
    CHECK_ERRNO(syscall(SYS_io_uring_enter, fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                        &wait, sizeof(wait)),
                EFAULT);
    CHECK_ERRNO(syscall(SYS_io_uring_enter, fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                        &wait, 3),
                EINVAL);
    CHECK_ERRNO(syscall(SYS_io_uring_enter, fd, 0, 0, 1U << 30, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_io_uring_enter, 0, 0, 0, 0, NULL, 0), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_io_uring_register, fd, IORING_REGISTER_EVENTFD, NOWHERE, 1), EFAULT);
    CHECK_ERRNO(syscall(SYS_io_uring_register, fd, IORING_REGISTER_FILES, NOWHERE, 1), EFAULT);
    CHECK_ERRNO(syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, NOWHERE, 1), EFAULT);
    CHECK_ERRNO(syscall(SYS_io_uring_register, fd, 4711, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_io_uring_register, 999, IORING_REGISTER_EVENTFD, NULL, 0), EBADF);
    close(fd);
    return check_end();
}
