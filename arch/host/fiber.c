// SPDX-License-Identifier: MIT
/*
 * Fibers on ucontext(3).  ASan must be told of every change of stacks
 * (sanitizer/common_interface_defs.h), else it takes the new one for a wild pointer.
 *
 * To TSan (sanitizer/tsan_interface.h) each fiber is a thread of its own.  A change of threads on one CPU orders
 * what they do; a change of CPU must not, so that what only the schedule of the test kept apart is found
 * as the race that it is.
 */
#define _GNU_SOURCE /* pthread_getattr_np */
#include "arch/host/fiber.h"

#include <pthread.h>
#include <stdlib.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif

#ifdef HAS_TSAN /* by CMake: this file itself is not instrumented */
#include <sanitizer/tsan_interface.h>
#define TSAN_NO_SYNC __tsan_switch_to_fiber_no_sync
const char *__tsan_default_options(void);
/* The first report ends the test: the machine ends by _Exit(), and TSan would not change that status. */
const char *__tsan_default_options(void)
{
    return "halt_on_error=1:exitcode=66:history_size=7";
}
#else
#define TSAN_NO_SYNC                          1
#define __tsan_get_current_fiber()            NULL
#define __tsan_create_fiber(flags)            ((void)(flags), NULL)
#define __tsan_destroy_fiber(thread)          ((void)(thread))
#define __tsan_switch_to_fiber(thread, flags) ((void)(thread), (void)(flags))
#endif

#ifdef HAS_ASAN
#include <sanitizer/common_interface_defs.h>
#else
#define __sanitizer_start_switch_fiber(fake, bottom, size)                                         \
    ((void)(fake), (void)(bottom), (void)(size))
#define __sanitizer_finish_switch_fiber(fake, bottom, size) ((void)(fake))
#endif

struct fiber {
    ucontext_t context;
    const void *stack;
    size_t size;
    void *fake_stack;  /* ASan's */
    void *tsan_thread; /* TSan's */
    void (*function)(void *);
    void *arg;
};

static struct fiber *starting;

static void fiber_main(void)
{
    struct fiber *fiber = starting;

    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
    fiber->function(fiber->arg);
    abort();
}

static void find_own_stack(struct fiber *fiber)
{
    pthread_attr_t attr;
    void *stack;

    if (pthread_getattr_np(pthread_self(), &attr) ||
        pthread_attr_getstack(&attr, &stack, &fiber->size))
        abort();
    fiber->stack = stack;
    pthread_attr_destroy(&attr);
}

struct fiber *fiber_create(void *stack, size_t size, void (*function)(void *), void *arg)
{
    struct fiber *fiber = calloc(1, sizeof(*fiber));

    if (!fiber || getcontext(&fiber->context))
        abort();
    if (!stack) {
        find_own_stack(fiber);
        fiber->tsan_thread = __tsan_get_current_fiber();
        return fiber;
    }
    fiber->stack = stack;
    fiber->size = size;
    fiber->function = function;
    fiber->arg = arg;
    fiber->tsan_thread = __tsan_create_fiber(0);
    fiber->context.uc_stack.ss_sp = stack;
    fiber->context.uc_stack.ss_size = size;
    makecontext(&fiber->context, fiber_main, 0);
    return fiber;
}

void fiber_destroy(struct fiber *fiber)
{
    if (fiber->function)
        __tsan_destroy_fiber(fiber->tsan_thread);
    free(fiber);
}

void fiber_switch(struct fiber *from, struct fiber *to, bool is_ordered)
{
    starting = to;
    __tsan_switch_to_fiber(to->tsan_thread, is_ordered ? 0 : TSAN_NO_SYNC);
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->size);
    if (swapcontext(&from->context, &to->context))
        abort();
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
}
