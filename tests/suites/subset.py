# SPDX-License-Identifier: MIT
"""The part of the suites that `stout test` runs: modules that exercise the kernel and take little time."""

CPYTHON = (
    "test_epoll", "test_eintr", "test_faulthandler", "test_fcntl", "test_file", "test_fileio", "test_fork1", "test_genericpath",
    "test_glob", "test_largefile", "test_mmap", "test_openpty", "test_os", "test_pathlib", "test_pipes", "test_poll",
    "test_popen", "test_posix", "test_pty", "test_pwd", "test_resource", "test_select", "test_shutil", "test_socket",
    "test_stat", "test_tempfile", "test_thread", "test_threading", "test_threadsignals", "test_time", "test_wait3", "test_wait4",
    "test_asyncio.test_sock_lowlevel", "test_asyncio.test_unix_events",
)
GO = ("os", "os/exec", "os/signal", "syscall", "time")
