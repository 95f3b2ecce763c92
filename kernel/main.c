// SPDX-License-Identifier: MIT
/*
 * The boot, as a list.
 *
 * kernel_main() runs on the boot stack, where nothing may sleep; what may sleep runs in the thread "boot", while
 * the boot CPU's first stack becomes its idle thread.
 */
#include "kernel/main.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "arch/arch.h"
#include "drivers/uart16550.h"
#include "fs/file.h"
#include "fs/special.h"
#include "fs/vfs.h"
#include "kernel/clock_control.h"
#include "kernel/console.h"
#include "kernel/control.h"
#include "kernel/driver.h"
#include "kernel/entropy.h"
#include "kernel/log.h"
#include "kernel/manifest.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/oom.h"
#include "kernel/options.h"
#include "kernel/panic.h"
#include "kernel/process.h"
#include "kernel/profile.h"
#include "kernel/strace.h"
#include "kernel/system.h"
#include "kernel/thread.h"
#include "loader/first.h"
#include "net/net.h"

#define STATUS_NOT_STARTED 127
#define MANIFEST_MAX       (8UL << 20)

static __noreturn void boot_failed(const char *sentence)
{
    log_error("%s", sentence);
    console_control("error %s", sentence);
    process_end_machine(STATUS_NOT_STARTED << 8);
}

/* The whole file in a kmalloc'ed block; -errno. */
static long read_manifest(char **text)
{
    struct file *file;
    int err = file_open(ABI_AT_FDCWD, MANIFEST_PATH, ABI_O_RDONLY, 0, &file);
    if (err)
        return err;
    size_t size = file->inode->size;
    *text = size <= MANIFEST_MAX ? kmalloc(size + 1, ALLOC_WAIT) : NULL;
    long len = *text ? file_read_kernel(file, *text, size, 0) : -ENOMEM;
    file_put(file);
    if (len < 0 && *text)
        kfree(*text);
    return len;
}

static void load_manifest(struct manifest *manifest)
{
    char *text = NULL;
    const char *error;
    long len = read_manifest(&text);
    if (len < 0)
        boot_failed(len == -ENOENT ? "the boot archive has no " MANIFEST_PATH
                                   : MANIFEST_PATH " cannot be read");
    if (manifest_parse(text, (size_t)len, manifest, &error))
        boot_failed(error);
    strace_configure(manifest->trace);
    if (system_set_hostname(manifest->hostname, strlen(manifest->hostname)))
        boot_failed("the hostname in the manifest is longer than 64 bytes");
}

static void boot_thread(void *arg)
{
    static struct manifest manifest;
    const struct boot_info *boot = arg;
    const char *error = NULL;

    entropy_init();
    process_init();
    oom_init();     /* who is killed when memory runs out */
    vfs_init();     /* an empty root in RAM */
    net_init();     /* lwIP, loopback, the receive thread */
    drivers_init(); /* buses and their devices; from here on the console has its channels */
    if (initrd_load(boot, &error)) /* the boot archive becomes the root's content */
        boot_failed(error);
    special_mounts_init(); /* /dev /proc /sys */
    load_manifest(&manifest);
    if (manifest_mounts_init(&manifest, &error)) /* folders of the host */
        boot_failed(error);
    clock_ask();         /* the host's date */
    profile_init();      /* the sampling profiler, off unless it is asked for */
    if (control_start()) /* what the tool says from now on */
        boot_failed("there is not enough memory to start");
    net_configure(&manifest);
    arch_smp_start(); /* the other CPUs */
    clock_await();
    if (process_start_first(&manifest)) /* the program, as pid 1 */
        boot_failed("there is not enough memory to start the program");
    sched_exit();
}

void kernel_main(const struct boot_info *boot)
{
    uart_early_init(); /* the log has somewhere to go */
    options_init(boot->cmdline);
    log_set_level((enum log_level)option_number("loglevel", LOG_WARNING));
    log_info("Stout, started by %s", boot->loader);
    frame_init(boot); /* physical memory */
    heap_init();
    sched_init();    /* this stack is a thread now */
    arch_init(boot); /* interrupt controllers, clocks */

    struct thread *thread = thread_create_kernel("boot", boot_thread, (void *)boot);
    if (!thread)
        panic("no memory for the first thread");
    thread_start(thread);
    sched_idle_loop();
}
