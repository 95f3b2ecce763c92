// SPDX-License-Identifier: MIT
/*
 * The date, asked of the tool (option clock=ask).  The clock of an emulated machine counts whole seconds, from a start
 * that was cut down to one, so that it is up to two seconds behind its host's.  Files in folders of the host carry the
 * host's times; to make and tar those would lie in the future.
 *
 * The answer counts as if it had come at once: the date is then ahead by at most the way there and back, never behind.
 */
#include "kernel/clock_control.h"

#include <string.h>

#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/control.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/wait.h"

#define PATIENCE_NS (5 * NSEC_PER_SEC)

static struct wait_queue answered = WAIT_QUEUE_INIT(answered);
static bool is_answered; /* [a] */
static nsec_t asked_at;  /* 0: nobody asked */

/* "SECONDS NANOSECONDS" since 1970. */
static bool handle_clock(const char *rest)
{
    unsigned values[2];

    if (asked_at == 0 || !control_numbers(rest, ' ', UINT32_MAX, values, 2) ||
        values[1] >= NSEC_PER_SEC)
        return false;
    clock_set_realtime(values[0] * NSEC_PER_SEC + values[1] + clock_monotonic() - asked_at);
    __atomic_store_n(&is_answered, true, __ATOMIC_RELEASE);
    wake_all(&answered);
    return true;
}

void clock_ask(void)
{
    const char *how = option_string("clock");

    if (!how || strcmp(how, "ask") != 0 || !console_has_device(CONSOLE_CONTROL))
        return;
    asked_at = clock_monotonic();
    control_register("clock", handle_clock);
    control_answer("clock");
}

void clock_await(void)
{
    if (asked_at != 0 && wait_on_always(&answered, __atomic_load_n(&is_answered, __ATOMIC_ACQUIRE),
                                        asked_at + PATIENCE_NS))
        log_warning("clock: the tool did not tell the date");
}
