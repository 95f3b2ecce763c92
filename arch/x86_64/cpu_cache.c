// SPDX-License-Identifier: MIT
/*
 * The caches, as CPUID's deterministic cache parameters tell them: leaf 4 (SDM 2A, CPUID), on AMD leaf
 * 8000001d (APM 3, E.4.15), which has the same form.  Without either AMD's older leaves 80000005 and 80000006 tell
 * sizes (APM 3, E.4.4): QEMU's emulated processors have these.
 */
#include "arch/arch.h"
#include "arch/x86_64/cpu.h"

#define LEAF_CACHES         4u
#define LEAF_CACHES_AMD     0x8000001du
#define TOPOLOGY_EXTENSIONS (1u << 22) /* ecx of 80000001 */

static uint32_t cache_leaf(void)
{
    if (cpuid(0, 0).eax >= LEAF_CACHES && (cpuid(LEAF_CACHES, 0).eax & 31))
        return LEAF_CACHES;
    if (cpuid(0x80000000, 0).eax >= LEAF_CACHES_AMD &&
        (cpuid(0x80000001, 0).ecx & TOPOLOGY_EXTENSIONS))
        return LEAF_CACHES_AMD;
    return 0;
}

/* AMD's codes for the ways of a cache; 15: fully associative. */
static unsigned ways_of_code(unsigned code, unsigned nlines)
{
    static const uint8_t ways[16] = {
        [1] = 1,   [2] = 2,   [4] = 4,   [6] = 8,   [8] = 16,
        [10] = 32, [11] = 48, [12] = 64, [13] = 96, [14] = 128,
    };

    return code == 15 ? nlines : ways[code];
}

static bool sized_cache(unsigned index, struct arch_cache *cache)
{
    static const struct arch_cache parts[] = {
        { .level = 1, .kind = 'D' },
        { .level = 1, .kind = 'I' },
        { .level = 2, .kind = 'U' },
        { .level = 3, .kind = 'U' },
    };

    if (index >= ARRAY_SIZE(parts) || cpuid(0x80000000, 0).eax < 0x80000006)
        return false;
    struct cpuid first = cpuid(0x80000005, 0), rest = cpuid(0x80000006, 0);
    const uint32_t words[] = { first.ecx, first.edx, rest.ecx, rest.edx };
    uint32_t word = words[index];
    unsigned kib = index < 2 ? word >> 24 : index == 2 ? word >> 16 : (word >> 18) * 512;
    *cache = parts[index];
    cache->line_size = word & 0xff;
    cache->npartitions = 1;
    if (!cache->line_size || !kib)
        return false;
    unsigned nlines = kib * 1024 / cache->line_size;
    unsigned code = index < 2 ? word >> 16 & 0xff : word >> 12 & 15;
    cache->nways = index >= 2 ? ways_of_code(code, nlines) : code == 0xff ? nlines : code;
    if (!cache->nways)
        return false;
    cache->nsets = nlines / cache->nways;
    return true;
}

bool arch_cpu_cache(unsigned index, struct arch_cache *cache)
{
    static const char kinds[] = { 0, 'D', 'I', 'U' };
    uint32_t leaf = cache_leaf();

    if (!leaf)
        return sized_cache(index, cache);
    struct cpuid r = cpuid(leaf, index);
    unsigned kind = r.eax & 31;
    if (kind == 0 || kind >= sizeof(kinds))
        return false;
    *cache = (struct arch_cache){
        .level = r.eax >> 5 & 7,
        .kind = kinds[kind],
        .line_size = (r.ebx & 0xfff) + 1,
        .npartitions = (r.ebx >> 12 & 0x3ff) + 1,
        .nways = (r.ebx >> 22) + 1,
        .nsets = r.ecx + 1,
    };
    return true;
}
