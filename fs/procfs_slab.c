// SPDX-License-Identifier: MIT
/*
 * /proc/slabinfo, in the columns of Linux's version 2.1.
 */
#include <string.h>

#include "fs/procfs_internal.h"
#include "kernel/mm/heap.h"
#include "lib/format.h"

#define CACHES_MAX 64

/* One word, as its readers take it: "vector_state", "kmalloc-64". */
static void make_name(const struct slab_stats *stats, char *name, size_t size)
{
    bool is_class = strcmp(stats->name, "kmalloc") == 0;

    (void)format_string(name, size, is_class ? "%s-%u" : "%s", stats->name, stats->size);
    for (char *c = name; *c; c++) {
        if (*c == ' ')
            *c = '_';
    }
}

int proc_slabinfo(const struct pseudo_ref *ref, struct text *text)
{
    struct slab_stats *all = kcalloc(CACHES_MAX, sizeof(*all), ALLOC_WAIT);
    char name[32];

    if (!all)
        return -ENOMEM;
    size_t count = MIN(slab_get_stats(all, CACHES_MAX), (size_t)CACHES_MAX);
    text_printf(text,
                "slabinfo - version: 2.1\n"
                "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
                " : tunables <limit> <batchcount> <sharedfactor>"
                " : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
    for (size_t i = 0; i < count; i++) {
        const struct slab_stats *stats = &all[i];
        unsigned long long slabs = stats->slabs;
        size_t line_start = text->len;
        make_name(stats, name, sizeof(name));
        text_printf(text, "%s", name);
        text_pad(text, line_start, 17);
        text_printf(
            text,
            " %6llu %6llu %6u %4u %4u : tunables    0    0    0 : slabdata %6llu %6llu      0\n",
            (unsigned long long)stats->active, slabs * stats->per_slab, stats->size,
            stats->per_slab, stats->pages_per_slab, slabs, slabs);
    }
    kfree(all);
    return 0;
}
