// SPDX-License-Identifier: MIT
/*
 * arch/x86_64/usercopy.S, run on the host: copies of all small sizes at all alignments, and faults at each
 * byte of the source and of the destination.  What was copied must be exact to the byte.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/host/check.h"

#define PAGE  4096
#define SIZES 150

struct fixup {
    uint64_t at, to;
};
extern const struct fixup __start_fixup_table[], __stop_fixup_table[];

size_t arch_app_copy(void *to, const void *from, size_t n);

static unsigned faults;

static void on_fault(int number, siginfo_t *info, void *context)
{
    greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

    for (const struct fixup *fixup = __start_fixup_table; fixup < __stop_fixup_table; fixup++)
        if (fixup->at == (uint64_t)*rip) {
            *rip = (greg_t)fixup->to;
            faults++;
            return;
        }
    signal(number, SIG_DFL); /* not one of the copy's: it happens again and ends the test */
}

/* The end of a page that the next one, which nobody may touch, follows. */
static char *edge_make(void)
{
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(pages != MAP_FAILED);
    CHECK(mprotect(pages + PAGE, PAGE, PROT_NONE) == 0);
    return pages + PAGE;
}

static void fill(char *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (char)(i * 7 + 1);
}

static void check_whole(char *from, char *to, size_t n)
{
    memset(to - 1, 0, n + 2);
    CHECK(arch_app_copy(to, from, n) == 0);
    CHECK(memcmp(to, from, n) == 0);
    CHECK(to[-1] == 0 && to[n] == 0);
}

/* Only the first can of n bytes are there, at the side whose end is the edge. */
static void check_cut(char *from, char *to, size_t n, size_t can)
{
    unsigned before = faults;

    CHECK(arch_app_copy(to, from, n) == n - can);
    CHECK(memcmp(to, from, can) == 0);
    CHECK(faults > before);
}

int main(void)
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    char *source_edge = edge_make(), *target_edge = edge_make();
    char *source = source_edge - PAGE, *target = target_edge - PAGE + 8;

    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    fill(source, PAGE);
    for (size_t n = 0; n < SIZES; n++) {
        for (size_t shift = 0; shift < 8; shift++)
            check_whole(source + shift, target + shift * 3 % 8, n);
        for (size_t can = 0; can < n; can++) {
            memset(target, 0, n + 1);
            check_cut(source_edge - can, target, n, can);
            CHECK(target[can] == 0);
            check_cut(source, target_edge - can, n, can);
        }
    }
    return 0;
}
