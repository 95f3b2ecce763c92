// SPDX-License-Identifier: MIT
#pragma once
/*
 * Which entries of the boot archive were reached by a path, for `stout build --minimal`.  The manifest's trace
 * class "files" turns it on; an entry is known by its inode number in the archive.  The table goes to the control
 * channel when the machine ends, or when the tool asks with the line "files":
 *
 *     used FIRST-LAST...        as many lines as it takes
 *     used end
 *
 * Who opens, runs, examines or walks through something has reached it; who only lists its directory has not.
 */
#include "lib/compiler.h"

/* While the archive is read, on one CPU: there is an entry of this number.  What archive_use_mark() is to be given. */
uint32_t archive_use_add(uint32_t entry);
/* Once, after that and before any application runs.  Without memory nothing is noted, and the log says so. */
void archive_use_start(void);
void archive_use_report(void);

extern uint64_t *archive_use_map; /* [i] a bit for each entry, NULL when off */

/* entry 0: it is none of the archive's.  Any context. */
static inline void archive_use_mark(uint32_t entry)
{
    if (unlikely(archive_use_map) && entry)
        __atomic_fetch_or(&archive_use_map[entry / 64], 1ULL << (entry % 64), __ATOMIC_RELAXED);
}
