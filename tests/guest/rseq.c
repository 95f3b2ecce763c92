// SPDX-License-Identifier: MIT
/*
 * rseq(2): registration and its errors, the CPU's number, a sequence that is left when its thread was away.
 * test: flags=-pthread cpus=2 roads=patched
 */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <sys/rseq.h>
#include <sys/syscall.h>

#define SIGNATURE 0x53053053

static struct rseq area __attribute__((aligned(32)));

static long rseq(void *pointer, unsigned len, int flags, unsigned signature)
{
    return syscall(SYS_rseq, pointer, len, flags, signature);
}

static void test_registration(void)
{
    char *glibc = (char *)__builtin_thread_pointer() + __rseq_offset;

    CHECK_ERRNO(rseq(&area, sizeof(area), 0, SIGNATURE), EINVAL); /* glibc has registered its own */
    CHECK_ERRNO(rseq(glibc, 32, 0, RSEQ_SIG), EBUSY);
    CHECK_ERRNO(rseq(glibc, 32, RSEQ_FLAG_UNREGISTER, SIGNATURE + 1), EPERM);
    CHECK(!rseq(glibc, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG));
    CHECK_ERRNO(rseq(glibc, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG), EINVAL);
    CHECK_ERRNO(rseq((char *)&area + 4, sizeof(area), 0, SIGNATURE), EINVAL);
    CHECK_ERRNO(rseq(&area, 16, 0, SIGNATURE), EINVAL);
    CHECK_ERRNO(rseq(&area, sizeof(area), 2, SIGNATURE), EINVAL);
    CHECK_ERRNO(rseq((void *)-4096L, sizeof(area), 0, SIGNATURE), EFAULT);
    area.cpu_id = (unsigned)RSEQ_CPU_ID_UNINITIALIZED;
    CHECK(!rseq(&area, sizeof(area), 0, SIGNATURE));
}

static void test_cpu(void)
{
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        NEED(!sched_setaffinity(0, sizeof(set), &set));
        CHECK(((volatile struct rseq *)&area)->cpu_id == cpu);
    }
}

/*
 * Spins inside a sequence until it is aborted; another thread on the same CPU takes care that it is.  Returns 1
 * from the abort handler.
 */
__attribute__((noinline)) static int spin_in_sequence(void)
{
    int was_aborted;

    __asm__ volatile(".pushsection __rseq_cs, \"aw\"\n"
                     ".balign 32\n"
                     "3: .long 0, 0\n"
                     ".quad 1f, 2f - 1f, 4f\n"
                     ".popsection\n"
                     "lea 3b(%%rip), %%rax\n"
                     "mov %%rax, %1\n"
                     "1: jmp 1b\n"
                     "2: mov $0, %0\n"
                     "jmp 5f\n"
                     ".long 0x53053053\n"
                     "4: mov $1, %0\n"
                     "5:\n"
                     : "=r"(was_aborted), "=m"(area.rseq_cs)
                     :
                     : "rax", "memory");
    return was_aborted;
}

/* membarrier(2) of another thread cuts a sequence as well; each thread stays on a CPU of its own. */
static volatile bool is_spinning;

static void stay_on(unsigned cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    NEED(!sched_setaffinity(0, sizeof(set), &set));
}

static long membarrier(int command, unsigned flags, int cpu)
{
    return syscall(SYS_membarrier, command, flags, cpu);
}

static void *cut(void *arg)
{
    stay_on(0);
    while (is_spinning)
        CHECK(membarrier(128, 1, 1) == 0);
    return arg;
}

static void test_barrier(void)
{
    pthread_t thread;

    CHECK((membarrier(0, 0, 0) & 511) == 511);
    CHECK_ERRNO(membarrier(128, 0, 0), EPERM);
    CHECK(membarrier(256, 0, 0) == 0 && membarrier(128, 0, 0) == 0);
    CHECK_ERRNO(membarrier(128, 2, 0), EINVAL);
    CHECK_ERRNO(membarrier(256, 1, 0), EINVAL);
    CHECK(membarrier(128, 1, 0) == 0 && membarrier(128, 1, 1000) == 0 &&
          membarrier(128, 1, -1) == 0);
    is_spinning = true;
    stay_on(1);
    NEED(!pthread_create(&thread, NULL, cut, NULL));
    for (int i = 0; i < 5; i++)
        CHECK(spin_in_sequence() == 1);
    is_spinning = false;
    NEED(!pthread_join(thread, NULL));
}

static volatile bool is_done;

static void *compete(void *arg)
{
    while (!is_done)
        sched_yield();
    return arg;
}

static void test_abort(void)
{
    pthread_t thread;

    NEED(!pthread_create(&thread, NULL, compete, NULL));
    for (int i = 0; i < 5; i++)
        CHECK(spin_in_sequence() == 1);
    is_done = true;
    NEED(!pthread_join(thread, NULL));
    CHECK(!rseq(&area, sizeof(area), RSEQ_FLAG_UNREGISTER, SIGNATURE));
}

int main(void)
{
    test_registration();
    test_cpu();
    test_barrier();
    test_abort();
    return check_end();
}
