// SPDX-License-Identifier: MIT
/*
 * kernel/manifest.c: what the tool writes, and what it never would.
 */
#include "kernel/manifest.h"

#include <string.h>

#include "abi/errno.h"
#include "kernel/mm/heap.h"
#include "tests/host/check.h"

static int parse(const char *bytes, size_t len, struct manifest *manifest, const char **error)
{
    char *text = kmalloc(len + 1, ALLOC_WAIT);
    CHECK(text);
    memcpy(text, bytes, len);
    return manifest_parse(text, len, manifest, error);
}

static void manifest_free(struct manifest *manifest)
{
    kfree(manifest->argv); /* envp is behind it, in the same block */
    kfree(manifest->text);
}

#define PARSE(text, manifest, error) parse(text, sizeof(text), manifest, error)

static void test_full(void)
{
    struct manifest m;
    const char *error;
    static const char text[] = "format=1\0program=/usr/bin/node\0arg=node\0arg=a=b c\0arg=\0"
                               "env=PATH=/bin\0cwd=/app\0hostname=box\0user=1000:100\0"
                               "net=static:10.0.2.15/24:10.0.2.2:10.0.2.3\0"
                               "stdio=null,stream,tty\0trace=syscalls";
    CHECK_EQ(PARSE(text, &m, &error), 0);
    CHECK(strcmp(m.program, "/usr/bin/node") == 0);
    CHECK_EQ(m.argc, 3);
    CHECK(strcmp(m.argv[1], "a=b c") == 0);
    CHECK(strcmp(m.argv[2], "") == 0);
    CHECK(m.argv[3] == NULL);
    CHECK_EQ(m.envc, 1);
    CHECK(strcmp(m.envp[0], "PATH=/bin") == 0);
    CHECK(m.envp[1] == NULL);
    CHECK(strcmp(m.cwd, "/app") == 0);
    CHECK(strcmp(m.hostname, "box") == 0);
    CHECK_EQ(m.uid, 1000);
    CHECK_EQ(m.gid, 100);
    CHECK_EQ(m.stdio[0], STDIO_NULL);
    CHECK_EQ(m.stdio[1], STDIO_STREAM);
    CHECK_EQ(m.stdio[2], STDIO_TTY);
    CHECK(strcmp(m.trace, "syscalls") == 0);
    manifest_free(&m);
}

static void test_mounts(void)
{
    struct manifest m;
    const char *error;
    static const char *const bad[] = { "9p",       "9p:t",        "9p:t:ro",
                                       "9p:t:ro:", "9p:t:ro:srv", "9p:t:x:/srv",
                                       "",         ":::",         "9p:t:,a:/srv" };
    CHECK_EQ(PARSE("format=1\0program=/p\0mount=9p:host0:ro:/a:b\0arg=x\0mount=9p:host1:rw:/c", &m,
                   &error),
             0);
    CHECK_EQ(m.nmounts, 2);
    CHECK(strcmp(m.mounts[0].type, "9p") == 0 && strcmp(m.mounts[0].source, "host0") == 0);
    CHECK(strcmp(m.mounts[0].place, "/a:b") == 0 && m.mounts[0].is_read_only);
    CHECK(strcmp(m.mounts[1].place, "/c") == 0 && !m.mounts[1].is_read_only);
    CHECK(strcmp(m.mounts[0].options, "") == 0);
    CHECK_EQ(m.argc, 1);
    manifest_free(&m);
    CHECK_EQ(PARSE("format=1\0program=/p\0mount=9p:host0:ro,a=1/0,b:/a", &m, &error), 0);
    CHECK(strcmp(m.mounts[0].options, "a=1/0,b") == 0 && m.mounts[0].is_read_only);
    manifest_free(&m);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char text[64] = "format=1\0program=/p\0mount=";
        size_t len = sizeof("format=1\0program=/p\0mount=") - 1;
        memcpy(text + len, bad[i], strlen(bad[i]) + 1);
        CHECK_EQ(parse(text, len + strlen(bad[i]) + 1, &m, &error), -EINVAL);
        CHECK(strstr(error, "mount"));
    }
}

static void test_groups_and_limits(void)
{
    struct manifest m;
    const char *error;
    CHECK_EQ(
        PARSE(
            "format=1\0program=/p\0groups=10,20\0rlimit=7:64:128\0rlimit=2:5:18446744073709551615",
            &m, &error),
        0);
    CHECK_EQ(m.ngroups, 2);
    CHECK(m.groups[0] == 10 && m.groups[1] == 20);
    CHECK_EQ(m.limits_given, 1 << 7 | 1 << 2);
    CHECK(m.limits[7].cur == 64 && m.limits[7].max == 128);
    CHECK(m.limits[2].cur == 5 && m.limits[2].max == UINT64_MAX);
    manifest_free(&m);
    CHECK_EQ(PARSE("format=1\0program=/p\0groups=1,", &m, &error), -EINVAL);
    CHECK_EQ(PARSE("format=1\0program=/p\0groups=", &m, &error), -EINVAL);
    CHECK_EQ(PARSE("format=1\0program=/p\0groups=4294967296", &m, &error), -EINVAL);
    CHECK_EQ(PARSE("format=1\0program=/p\0rlimit=16:1:1", &m, &error), -EINVAL);
    CHECK_EQ(PARSE("format=1\0program=/p\0rlimit=7:2:1", &m, &error), -EINVAL);
    CHECK_EQ(PARSE("format=1\0program=/p\0rlimit=7:1", &m, &error), -EINVAL);
    CHECK_EQ(PARSE("format=1\0program=/p\0rlimit=7:1:18446744073709551616", &m, &error), -EINVAL);
}

static void test_defaults(void)
{
    struct manifest m;
    const char *error;
    CHECK_EQ(PARSE("format=1\0program=/a", &m, &error), 0);
    CHECK_EQ(m.argc, 1);
    CHECK(strcmp(m.argv[0], "/a") == 0);
    CHECK(strcmp(m.cwd, "/") == 0);
    CHECK(m.net == NULL);
    CHECK_EQ(m.uid, 0);
    CHECK_EQ(m.stdio[1], STDIO_STREAM);
    manifest_free(&m);
}

static void check_bad(const char *text, size_t len, const char *word)
{
    struct manifest m;
    const char *error = NULL;
    CHECK_EQ(parse(text, len, &m, &error), -EINVAL);
    CHECK(error && strstr(error, word));
}

#define CHECK_BAD(text, word) check_bad(text, sizeof(text), word)

static void test_bad(void)
{
    CHECK_BAD("", "truncated");
    CHECK_BAD("format=2\0program=/a", "format 1");
    check_bad("format=1\0program=/abc", 18, "truncated"); /* no NUL at the end */
    CHECK_BAD("format=1\0arg=x", "no program");
    CHECK_BAD("format=1\0program=", "no program");
    CHECK_BAD("format=1\0program=/a\0colour=blue", "colour");
    CHECK_BAD("format=1\0program=/a\0nonsense", "without");
    CHECK_BAD("format=1\0program=/a\0user=root", "uid:gid");
    CHECK_BAD("format=1\0program=/a\0user=1:2x", "uid:gid");
    CHECK_BAD("format=1\0program=/a\0user=99999999999:2", "uid:gid");
    CHECK_BAD("format=1\0program=/a\0stdio=tty,tty", "stdio");
    CHECK_BAD("format=1\0program=/a\0stdio=tty,tty,tty,tty", "stdio");
    CHECK_BAD("format=1\0program=/a\0stdio=tt,tty,tty", "stdio");
}

int main(void)
{
    test_full();
    test_mounts();
    test_groups_and_limits();
    test_defaults();
    test_bad();
    return 0;
}
