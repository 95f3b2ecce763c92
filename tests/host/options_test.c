// SPDX-License-Identifier: MIT
/*
 * kernel/options.c
 */
#include "kernel/options.h"

#include <string.h>

#include "tests/host/check.h"

static void test_values(void)
{
    options_init("  quiet loglevel=2 aslr=off size=0x10M n=3k bad=12x loglevel=3 empty= big=1G ");
    CHECK(strcmp(option_string("loglevel"), "3") == 0);
    CHECK(strcmp(option_string("quiet"), "") == 0);
    CHECK(strcmp(option_string("empty"), "") == 0);
    CHECK(option_string("log") == NULL);
    CHECK(option_string("loglevels") == NULL);
    CHECK(option_bool("quiet", false));
    CHECK(!option_bool("aslr", true));
    CHECK(option_bool("absent", true));
    CHECK(option_bool("loglevel", true)); /* neither yes nor no: the default */
    CHECK_EQ(option_number("loglevel", 9), 3);
    CHECK_EQ(option_number("size", 0), 16 << 20);
    CHECK_EQ(option_number("n", 0), 3072);
    CHECK_EQ(option_number("big", 0), 1 << 30);
    CHECK_EQ(option_number("bad", 7), 7);
    CHECK_EQ(option_number("empty", 7), 7);
    CHECK_EQ(option_number("absent", 7), 7);
}

static void test_repeated(void)
{
    const char *cursor = NULL;
    size_t len;
    options_init("virtio_mmio.device=512@0xfeb00e00:12 x virtio_mmio.device=512@0xfeb00c00:11");
    const char *value = option_next("virtio_mmio.device", &cursor, &len);
    CHECK(value && len == 17 && strncmp(value, "512@0xfeb00e00:12", len) == 0);
    value = option_next("virtio_mmio.device", &cursor, &len);
    CHECK(value && len == 17 && strncmp(value, "512@0xfeb00c00:11", len) == 0);
    CHECK(option_next("virtio_mmio.device", &cursor, &len) == NULL);
    cursor = NULL;
    CHECK(option_next("virtio_mmio", &cursor, &len) == NULL);
}

static void test_empty(void)
{
    const char *cursor = NULL;
    size_t len;
    options_init("");
    CHECK(option_string("a") == NULL);
    CHECK(option_next("a", &cursor, &len) == NULL);
}

int main(void)
{
    test_values();
    test_repeated();
    test_empty();
    return 0;
}
