// SPDX-License-Identifier: MIT
/* lib/x86_length.c: encodings picked from the manual's corners, and this program's own code. */
#include "lib/x86_length.h"

#include <stdio.h>
#include <string.h>

#include "tests/host/check.h"

struct sample {
    const char *bytes;
    size_t size, want;
};
#define SAMPLE(text, want)                                                                         \
    {                                                                                              \
        text, sizeof(text) - 1, want                                                               \
    }

static const struct sample samples[] = {
    SAMPLE("\x90", 1),                                      /* nop */
    SAMPLE("\xf4", 1),                                      /* hlt */
    SAMPLE("\x0f\x05", 2),                                  /* syscall */
    SAMPLE("\xb8\xf4\x00\x00\x00", 5),                      /* mov $0xf4, %eax */
    SAMPLE("\x48\xb8\x01\x02\x03\x04\x05\x06\x07\xf4", 10), /* movabs */
    SAMPLE("\x66\xb8\x01\x02", 4),                          /* mov $0x201, %ax */
    SAMPLE("\x8b\x04\x25\x00\x10\x00\x00", 7),              /* mov 0x1000, %eax: SIB without base */
    SAMPLE("\x8b\x05\x00\x00\x00\x00", 6),                  /* rip-relative */
    SAMPLE("\x8b\x44\x24\xf4", 4),                          /* mov -12(%rsp), %eax */
    SAMPLE("\xf7\xc1\x01\x00\x00\x00", 6),             /* test $1, %ecx: group 3 with immediate */
    SAMPLE("\xf7\xd1", 2),                             /* not %ecx: without */
    SAMPLE("\xf6\x45\x00\x01", 4),                     /* testb $1, (%rbp) */
    SAMPLE("\xe8\x00\x00\x00\x00", 5),                 /* call */
    SAMPLE("\x0f\x84\x00\x00\x00\x00", 6),             /* je rel32 */
    SAMPLE("\xc8\x10\x00\x00", 4),                     /* enter */
    SAMPLE("\x0f\x3a\x0f\xc1\x04", 5),                 /* palignr (MMX) */
    SAMPLE("\x66\x0f\x38\x00\xc1", 5),                 /* pshufb */
    SAMPLE("\xc5\xf8\x77", 3),                         /* vzeroupper */
    SAMPLE("\xc5\xfd\x70\xc1\x1b", 5),                 /* vpshufd $27: VEX, imm8 */
    SAMPLE("\xc4\xe3\x7d\x18\xc1\x01", 6),             /* vinsertf128 */
    SAMPLE("\x62\xf1\x7c\x48\x28\x40\x01", 7),         /* vmovaps 64(%rax), %zmm0: EVEX */
    SAMPLE("\xa1\x01\x02\x03\x04\x05\x06\x07\x08", 9), /* movabs to %eax */
    SAMPLE("\x67\xa1\x01\x02\x03\x04", 6),             /* the same with 32-bit address */
    SAMPLE("\xf3\x48\x0f\xb8\xc1", 5),                 /* popcnt */
    SAMPLE("\x06", 0),                                 /* push %es: not in 64-bit mode */
    SAMPLE("\xb8\x01\x02", 0),                         /* cut short */
    SAMPLE("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90",
           0), /* over 15 bytes */
};

static void test_samples(void)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        size_t got = x86_length((const uint8_t *)samples[i].bytes, samples[i].size);
        if (got != samples[i].want)
            fprintf(stderr, "sample %zu: %zu, not %zu\n", i, got, samples[i].want);
        CHECK(got == samples[i].want);
    }
}

static void test_hlt(void)
{
    /* mov $0xf4, %eax; hlt; ret */
    static const uint8_t code[] = { 0xb8, 0xf4, 0, 0, 0, 0xf4, 0xc3 };
    CHECK(x86_is_hlt(code, sizeof(code), 5));
    CHECK(!x86_is_hlt(code, sizeof(code), 1));
    CHECK(!x86_is_hlt(code, sizeof(code), 6));
    CHECK(!x86_is_hlt(code, sizeof(code), 7));
}

/* Any bytes: never past the end. */
static void test_garbage(void)
{
    uint32_t seed = 1;
    for (unsigned round = 0; round < 200000; round++) {
        uint8_t code[X86_LENGTH_MAX];
        for (size_t i = 0; i < sizeof(code); i++) {
            seed = seed * 1103515245 + 12345;
            code[i] = (uint8_t)(seed >> 16);
        }
        size_t max = seed >> 8 & 15;
        CHECK(x86_length(code, max) <= max);
    }
}

int main(void)
{
    test_samples();
    test_hlt();
    test_garbage();
    return 0;
}
