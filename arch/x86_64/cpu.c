// SPDX-License-Identifier: MIT
/*
 * What this CPU can do.
 */
#include "arch/x86_64/cpu.h"

#include <string.h>

#include "arch/arch.h"
#include "arch/x86_64/clock.h"
#include "lib/format.h"

/* x87, SSE, AVX, AVX-512 (opmask, ZMM_Hi256, Hi16_ZMM); not MPX, PKU, AMX (SDM 1, 13.1). */
#define XCR0_WANTED 0xe7ULL

struct cpu_features cpu_features;

static void detect_xsave(void)
{
    struct cpu_features *f = &cpu_features;
    f->xsave_size = 512 + 64;
    f->xcr0 = 3;
    if (!f->has_xsave)
        return;
    struct cpuid state = cpuid(0xd, 0);
    f->xcr0 = ((uint64_t)state.edx << 32 | state.eax) & XCR0_WANTED;
    if ((f->xcr0 & 0xe0) != 0xe0)
        f->xcr0 &= ~0xe0ULL;
    f->has_xsaveopt = cpuid(0xd, 1).eax & 1;
    for (unsigned i = 2; i < 8; i++) {
        struct cpuid part = cpuid(0xd, i);
        if (f->xcr0 & 1U << i)
            f->xsave_size = MAX(f->xsave_size, part.eax + part.ebx);
    }
}

void cpu_detect(void)
{
    struct cpu_features *f = &cpu_features;
    uint32_t max = cpuid(0, 0).eax, max_extended = cpuid(0x80000000, 0).eax;
    struct cpuid basic = cpuid(1, 0);
    f->has_xsave = basic.ecx & 1U << 26;
    f->has_x2apic = basic.ecx & 1U << 21;
    f->has_tsc_deadline = basic.ecx & 1U << 24;
    f->has_rdrand = basic.ecx & 1U << 30;
    f->is_virtual = basic.ecx & 1U << 31;
    f->is_emulated = f->is_virtual && cpuid(0x40000000, 0).ebx == 0x54474354; /* "TCGT" */
    f->has_pge = basic.edx & 1U << 13;
    if (max >= 7) {
        struct cpuid more = cpuid(7, 0);
        f->has_fsgsbase = more.ebx & 1U << 0;
        f->has_rdseed = more.ebx & 1U << 18;
    }
    f->physical_bits = 36;
    if (max_extended >= 0x80000001) {
        struct cpuid extended = cpuid(0x80000001, 0);
        f->has_lahf = extended.ecx & 1U << 0;
        f->has_nx = extended.edx & 1U << 20;
        f->has_1g_pages = extended.edx & 1U << 26;
        f->has_rdtscp = extended.edx & 1U << 27;
    }
    if (max_extended >= 0x80000007)
        f->has_invariant_tsc = cpuid(0x80000007, 0).edx & 1U << 8;
    if (max_extended >= 0x80000008)
        f->physical_bits = cpuid(0x80000008, 0).eax & 0xff;
    detect_xsave();
}

bool arch_random64(uint64_t *value)
{
    bool ok = false;
    for (int i = 0; i < 10 && !ok && cpu_features.has_rdseed; i++)
        __asm__ volatile("rdseed %0" : "=r"(*value), "=@ccc"(ok));
    for (int i = 0; i < 10 && !ok && cpu_features.has_rdrand; i++)
        __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(ok));
    return ok;
}

uint64_t arch_cycles(void)
{
    return rdtsc();
}

unsigned long arch_hwcap(void)
{
    return cpuid(1, 0).edx;
}

/* FSGSBASE (bit 1) is left out: GS belongs to the kernel. */
unsigned long arch_hwcap2(void)
{
    return 0;
}

uint8_t arch_port_read8(uint16_t port)
{
    return inb(port);
}

uint16_t arch_port_read16(uint16_t port)
{
    return inw(port);
}

uint32_t arch_port_read32(uint16_t port)
{
    return inl(port);
}

void arch_port_write8(uint16_t port, uint8_t value)
{
    outb(port, value);
}

void arch_port_write16(uint16_t port, uint16_t value)
{
    outw(port, value);
}

void arch_port_write32(uint16_t port, uint32_t value)
{
    outl(port, value);
}

void arch_halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* ---- /proc/cpuinfo --------------------------------------------------------- */

struct flag_word {
    uint32_t leaf;
    uint32_t subleaf;
    char reg;
    const char *names; /* 32 names, "-" where Linux has none or ring 0 cannot hold it */
};

static const struct flag_word flag_words[] = {
    { 1, 0, 'd',
      "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts "
      "acpi "
      "mmx fxsr sse sse2 ss ht tm ia64 pbe" },
    { 0x80000001, 0, 'd',
      "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm "
      "3dnowext 3dnow" },
    { 1, 0, 'c',
      "pni pclmulqdq dtes64 - ds_cpl - - est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca "
      "sse4_1 "
      "sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor" },
    { 0x80000001, 0, 'c',
      "lahf_lm cmp_legacy - extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop "
      "skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext - - - - - - - - -" },
    { 7, 0, 'b',
      "- tsc_adjust - bmi1 hle avx2 - - bmi2 erms invpcid rtm - - - - avx512f avx512dq rdseed adx "
      "- "
      "avx512ifma - clflushopt clwb - avx512pf avx512er avx512cd sha_ni avx512bw avx512vl" },
    { 7, 0, 'c',
      "- avx512vbmi - - - - avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni avx512_bitalg - "
      "avx512_vpopcntdq - - - - - - - rdpid - - cldemote - movdiri movdir64b - - -" },
};

static uint32_t flag_value(const struct flag_word *word)
{
    if (cpuid(word->leaf & 0x80000000, 0).eax < word->leaf)
        return 0;
    struct cpuid r = cpuid(word->leaf, word->subleaf);
    return word->reg == 'b' ? r.ebx : word->reg == 'c' ? r.ecx : r.edx;
}

static size_t append_flags(const struct flag_word *word, char *buf, size_t size, size_t at)
{
    uint32_t value = flag_value(word);
    const char *name = word->names;
    for (unsigned bit = 0; bit < 32 && *name; bit++) {
        size_t len = strcspn(name, " ");
        if (value >> bit & 1 && name[0] != '-')
            at += format_string(at < size ? buf + at : NULL, at < size ? size - at : 0, " %.*s",
                                (int)len, name);
        name += len + (name[len] == ' ');
    }
    return at;
}

static void cpu_strings(char vendor[13], char model[49])
{
    struct cpuid r = cpuid(0, 0);
    memcpy(vendor, &r.ebx, 4);
    memcpy(vendor + 4, &r.edx, 4);
    memcpy(vendor + 8, &r.ecx, 4);
    vendor[12] = '\0';
    memset(model, 0, 49);
    for (unsigned i = 0; i < 3 && cpuid(0x80000000, 0).eax >= 0x80000004; i++) {
        r = cpuid(0x80000002 + i, 0);
        memcpy(model + 16 * (size_t)i, &r, 16);
    }
}

int arch_cpuinfo(unsigned cpu, char *buf, size_t size)
{
    char vendor[13], model[49];
    cpu_strings(vendor, model);
    uint32_t id = cpuid(1, 0).eax;
    uint32_t family = (id >> 8 & 15) + ((id >> 8 & 15) == 15 ? id >> 20 & 255 : 0);
    size_t at = format_string(
        buf, size,
        "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\n"
        "stepping\t: %u\ncpu MHz\t\t: %u.000\ncache size\t: 16384 KB\nphysical id\t: "
        "0\nsiblings\t: %u\n"
        "core id\t\t: %u\ncpu cores\t: %u\napicid\t\t: %u\nfpu\t\t: yes\ncpuid level\t: "
        "%u\nwp\t\t: yes\n"
        "flags\t\t:",
        cpu, vendor, family, (id >> 4 & 15) | (id >> 12 & 0xf0), model, id & 15,
        (unsigned)(clock_tsc_hz() / 1000000), arch_cpu_count(), cpu, arch_cpu_count(), cpu,
        cpuid(0, 0).eax);
    for (size_t i = 0; i < ARRAY_SIZE(flag_words); i++)
        at = append_flags(&flag_words[i], buf, size, at);
    at += format_string(at < size ? buf + at : NULL, at < size ? size - at : 0,
                        "\nbogomips\t: %u.00\nclflush size\t: 64\ncache_alignment\t: 64\n"
                        "address sizes\t: %u bits physical, 48 bits virtual\n\n",
                        (unsigned)(clock_tsc_hz() / 500000), cpu_features.physical_bits);
    return (int)at;
}
