// SPDX-License-Identifier: MIT
#include "kernel/archive_use.h"

#include "kernel/console.h"
#include "kernel/control.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "lib/format.h"

#define ENTRY_MAX (1u << 24) /* of foreign archives, whose numbers may be anything */

uint64_t *archive_use_map;
static uint32_t last; /* [i] the highest number */

uint32_t archive_use_add(uint32_t entry)
{
    if (entry > ENTRY_MAX)
        return 0;
    last = MAX(last, entry);
    return entry;
}

static bool is_used(uint32_t entry)
{
    return READ_ONCE(archive_use_map[entry / 64]) >> (entry % 64) & 1;
}

/* The next run of used entries from *first on; false if there is none. */
static bool run_next(uint32_t *first, uint32_t *end)
{
    while (*first <= last && !is_used(*first))
        ++*first;
    for (*end = *first; *end <= last && is_used(*end);)
        ++*end;
    return *first <= last;
}

void archive_use_report(void)
{
    char line[200];
    int len = 0;

    if (!archive_use_map)
        return;
    for (uint32_t first = 1, end; run_next(&first, &end); first = end) {
        len += format_string(line + len, sizeof(line) - (size_t)len, " %u-%u", first, end - 1);
        if (len > (int)sizeof(line) - 24) {
            console_control("used%s", line);
            len = 0;
        }
    }
    if (len)
        console_control("used%s", line);
    console_control("used end");
}

static bool handle_files(const char *rest)
{
    archive_use_report();
    return *rest == '\0';
}

void archive_use_start(void)
{
    archive_use_map = kzalloc((last / 64 + 1) * sizeof(*archive_use_map), ALLOC_WAIT);
    if (!archive_use_map)
        log_warning("trace: there is no memory to note files");
    control_register("files", handle_files);
}
