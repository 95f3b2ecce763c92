// SPDX-License-Identifier: MIT
/*
 * IORING_SETUP_SINGLE_ISSUER: one thread may submit, the one that made the ring or enabled it.
 * test: flags=-pthread,-luring
 */
#include "check.h"

#include <liburing.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

static struct io_uring ring;

static int enter(unsigned count, unsigned min, unsigned flags)
{
    long result = syscall(SYS_io_uring_enter, ring.ring_fd, count, min, flags, NULL, 0);

    return result < 0 ? -errno : (int)result;
}

static int register_probe(void)
{
    static struct io_uring_probe probe;
    long result = syscall(SYS_io_uring_register, ring.ring_fd, IORING_REGISTER_PROBE, &probe, 0);

    memset(&probe, 0, sizeof(probe));
    return result < 0 ? -errno : 0;
}

/* A NOP in the queue, which whoever enters submits. */
static void prepare(void)
{
    unsigned tail = *ring.sq.ktail, slot = tail & *ring.sq.kring_mask;

    memset(&ring.sq.sqes[slot], 0, sizeof(ring.sq.sqes[slot]));
    ring.sq.sqes[slot].opcode = IORING_OP_NOP;
    ring.sq.array[slot] = slot;
    __atomic_store_n(ring.sq.ktail, tail + 1, __ATOMIC_RELEASE);
}

struct results {
    int submit, wait, probe;
};

static void use(struct results *results)
{
    results->submit = enter(1, 0, 0);
    results->wait = enter(0, 0, IORING_ENTER_GETEVENTS);
    results->probe = register_probe();
}

static void *use_from_thread(void *arg)
{
    use(arg);
    return NULL;
}

static void show(const char *what, const struct results *results)
{
    printf("%s: submit %d wait %d register %d\n", what, results->submit, results->wait,
           results->probe);
}

static void use_everywhere(const char *what)
{
    struct results results;
    pthread_t thread;

    printf("%s\n", what);
    prepare();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        use(&results);
        show("child", &results);
        fflush(stdout);
        _exit(0);
    }
    NEED(waitpid(pid, NULL, 0) == pid);
    NEED(!pthread_create(&thread, NULL, use_from_thread, &results) && !pthread_join(thread, NULL));
    show("thread", &results);
    use(&results);
    show("owner", &results);
    io_uring_queue_exit(&ring);
}

static int enable(void)
{
    return (int)syscall(SYS_io_uring_register, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static void *make_ring(void *arg)
{
    NEED(io_uring_queue_init(4, &ring, *(unsigned *)arg) == 0);
    return NULL;
}

static void *enable_ring(void *arg)
{
    NEED(enable() == 0);
    return arg;
}

int main(void)
{
    unsigned flags = IORING_SETUP_SINGLE_ISSUER;
    struct results results;
    pthread_t thread;

    make_ring(&flags);
    use_everywhere("single issuer");
    flags |= IORING_SETUP_DEFER_TASKRUN;
    make_ring(&flags);
    use_everywhere("deferred");
    flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED;
    make_ring(&flags);
    prepare();
    use(&results);
    show("disabled", &results);
    NEED(enable() == 0);
    use_everywhere("enabled");
    /* By a thread that is gone: nobody is left. */
    make_ring(&flags);
    NEED(!pthread_create(&thread, NULL, enable_ring, NULL) && !pthread_join(thread, NULL));
    use_everywhere("enabled by another");
    flags = IORING_SETUP_SINGLE_ISSUER;
    NEED(!pthread_create(&thread, NULL, make_ring, &flags) && !pthread_join(thread, NULL));
    use_everywhere("made by another");
    return check_end();
}
