// SPDX-License-Identifier: MIT
/*
 * The reader of boot archives, and what initrd_load() makes of one.
 */
#include "lib/cpio.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/stat.h"
#include "arch/arch.h"
#include "fs/file.h"
#include "fs/ramfs_packed.h"
#include "fs/vfs.h"
#include "kernel/archive_use.h"
#include "kernel/boot_info.h"
#include "kernel/syscall.h"
#include "tests/host/check.h"
#include "tests/host/fs_world.h"

#define RAM    (64UL << 20)
#define MODULE (RAM / 2)

struct archive {
    char *base;
    size_t len;
    unsigned ino;
};

static void pad(struct archive *a, size_t unit)
{
    while (a->len % unit)
        a->base[a->len++] = 0;
}

struct shape {
    unsigned mode, nlink, ino, align;
    size_t plain_size;
};

static void add(struct archive *a, const char *name, struct shape shape, const void *data,
                size_t size)
{
    size_t namesize = strlen(name) + 1;
    unsigned ino = shape.ino ? shape.ino : ++a->ino + 1000;

    if (shape.align) {
        while ((a->len + 110 + namesize) % PAGE_SIZE)
            namesize++;
    }
    a->len += (size_t)sprintf(a->base + a->len,
                              "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08zX", ino,
                              shape.mode, 7, 8, shape.nlink ? shape.nlink : 1, 12345, size, 0, 1, 4,
                              64, namesize, shape.plain_size);
    memset(a->base + a->len, 0, namesize);
    strcpy(a->base + a->len, name);
    a->len += namesize;
    pad(a, 4);
    if (size)
        memcpy(a->base + a->len, data, size);
    a->len += size;
    pad(a, 4);
}

static void end(struct archive *a)
{
    add(a, "TRAILER!!!", (struct shape){ 0 }, NULL, 0);
    pad(a, 512);
}

static const char *reader_error(const void *data, size_t size)
{
    struct cpio_reader reader;
    struct cpio_entry entry;
    int more;

    cpio_init(&reader, data, size);
    while ((more = cpio_next(&reader, &entry)) > 0)
        ;
    return more < 0 ? reader.error : NULL;
}

static void test_reader(void)
{
    static char buf[65536] __aligned(8);
    struct archive a = { .base = buf };
    struct cpio_reader reader;
    struct cpio_entry entry;

    add(&a, "./dir", (struct shape){ .mode = ABI_S_IFDIR | 0755 }, NULL, 0);
    add(&a, "/dir//f", (struct shape){ .mode = ABI_S_IFREG | 0644 }, "data", 4);
    end(&a);
    size_t first = a.len;
    add(&a, "second", (struct shape){ .mode = ABI_S_IFREG | 0644 }, "x", 1);
    end(&a);
    cpio_init(&reader, buf, a.len);
    CHECK_EQ(cpio_next(&reader, &entry), 1);
    CHECK(strcmp(entry.name, "dir") == 0);
    CHECK_EQ(cpio_next(&reader, &entry), 1);
    CHECK(strcmp(entry.name, "dir//f") == 0);
    CHECK(entry.size == 4 && memcmp(entry.data, "data", 4) == 0);
    CHECK_EQ(cpio_next(&reader, &entry), 1);
    CHECK(strcmp(entry.name, "second") == 0);
    CHECK_EQ(cpio_next(&reader, &entry), 0);
    CHECK(reader_error(buf, 0) == NULL);
    CHECK(reader_error(buf, first) == NULL);
    for (size_t cut = 1; cut < first - 512; cut++)
        CHECK(reader_error(buf, cut) != NULL);
    CHECK(strstr(reader_error("\x1f\x8b\x08", 3), "gzip"));
    buf[20] = 'x';
    CHECK(strstr(reader_error(buf, a.len), "digits"));
    a.len = 0;
    add(&a, "a/../../etc", (struct shape){ .mode = ABI_S_IFREG }, NULL, 0);
    CHECK(strstr(reader_error(buf, a.len), ".."));
}

static int load(struct archive *a, const char **error)
{
    static struct boot_info boot;

    boot.nmodules = 1;
    boot.module[0] = (struct boot_module){ .start = MODULE, .size = a->len };
    return initrd_load(&boot, error);
}

static void check_file(const char *name, const char *data, size_t size)
{
    static char buf[80000];
    int fd = (int)sys_open(name, ABI_O_RDONLY, 0);

    CHECK(fd >= 0);
    CHECK_EQ(sys_read(fd, buf, sizeof(buf)), size);
    CHECK(memcmp(buf, data, size) == 0);
    CHECK_EQ(sys_close(fd), 0);
}

/* The rest of the last page must be zero: a mapping shows it. */
static void check_tail(const char *name)
{
    struct file *file;
    struct frame *frame;

    CHECK_EQ(file_open(ABI_AT_FDCWD, name, ABI_O_RDONLY, 0, &file), 0);
    uint64_t size = file->inode->size;
    CHECK_EQ(pagecache_page(file->inode->cache, size / PAGE_SIZE, false, &frame), 0);
    const char *page = frame_address(frame);
    CHECK(world_ram(MODULE) <= (const void *)page); /* adopted, not copied */
    for (size_t i = size % PAGE_SIZE; i < PAGE_SIZE; i++)
        CHECK_EQ(page[i], 0);
    frame_put(frame);
    file_put(file);
}

/* What was opened, examined or walked through is told; names that were only listed are not. */
static void check_use(void)
{
    struct abi_stat stat;

    archive_use_start();
    CHECK_EQ(sys_stat("/bin/link", &stat), 0);
    CHECK_EQ(sys_stat("/h2", &stat), 0);
    CHECK_EQ(sys_stat("/etc/none", &stat), -ENOENT);
    archive_use_report();
    CHECK(strcmp(world_control, "used 5-5 1001-1001 1003-1004\nused end\n") == 0);
}

/* ---- A compressed file ---------------------------------------------------------------- */

#define PLAIN_SIZE 70000

static char plain[PLAIN_SIZE];

/* Blocks of deflate's stored form, which is what compression makes of noise; their length. */
static size_t make_packed(unsigned char *out)
{
    unsigned char *at = out;

    for (size_t i = 0; i < PLAIN_SIZE; i++)
        plain[i] = (char)(i * i >> 7 ^ i);
    for (size_t pos = 0; pos < PLAIN_SIZE; pos += PACKED_BLOCK) {
        uint16_t n = (uint16_t)MIN(PLAIN_SIZE - pos, PACKED_BLOCK), check = (uint16_t)~n;
        uint16_t last = (uint16_t)(18 + 5 + n + 8 - 1);
        memcpy(at, "\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0", 16);
        memcpy(at + 16, &last, 2);
        at[18] = 1;
        memcpy(at + 19, &n, 2);
        memcpy(at + 21, &check, 2);
        memcpy(at + 23, plain + pos, n);
        at += last + 1;
    }
    return (size_t)(at - out);
}

/* Takes all memory, so that everything that can be filled again goes, and gives it back. */
static void press(void)
{
    struct frame *frame;
    struct list taken = LIST_INIT(taken);

    while ((frame = frame_alloc(0, ALLOC_WAIT | ALLOC_APP)))
        list_push_back(&taken, &frame->node);
    while (!list_is_empty(&taken)) {
        frame = list_first(&taken, struct frame, node);
        list_remove(&frame->node);
        frame_put(frame);
    }
}

static void check_packed_changes(int fd)
{
    CHECK_EQ(sys_pwrite64(fd, "written", 7, 40000), 7);
    memcpy(plain + 40000, "written", 7);
    press();
    check_file("/packed", plain, PLAIN_SIZE);
    CHECK_EQ(sys_fallocate(fd, ABI_FALLOC_PUNCH_HOLE | ABI_FALLOC_KEEP_SIZE, 3000, 9000), 0);
    memset(plain + 3000, 0, 9000);
    press();
    check_file("/packed", plain, PLAIN_SIZE);
    CHECK_EQ(sys_ftruncate(fd, 50000), 0);
    CHECK_EQ(sys_ftruncate(fd, PLAIN_SIZE), 0);
    memset(plain + 50000, 0, PLAIN_SIZE - 50000);
    check_file("/packed", plain, PLAIN_SIZE);
    press();
    check_file("/packed", plain, PLAIN_SIZE);
}

static void check_packed(void)
{
    struct abi_stat stat;
    struct frame *frame;
    int fd = (int)sys_open("/packed", ABI_O_RDWR, 0);
    struct file *file = fd_get(fd);
    struct pagecache *cache = file->inode->cache;

    CHECK_EQ(sys_fstat(fd, &stat), 0);
    CHECK_EQ(stat.st_size, PLAIN_SIZE);
    CHECK_EQ(stat.st_blocks, 18 * PAGE_SIZE / 512);
    CHECK_EQ(sys_lseek(fd, 100, ABI_SEEK_DATA), 100);
    CHECK_EQ(sys_lseek(fd, 0, ABI_SEEK_HOLE), PLAIN_SIZE);
    CHECK_EQ(cache->npages, 0);
    CHECK_EQ(pagecache_page(cache, 9, false, &frame), 0);
    frame_put(frame);
    CHECK_EQ(cache->npages, 8); /* its block */
    check_file("/packed", plain, PLAIN_SIZE);
    press();
    CHECK_EQ(cache->npages, 0);
    check_packed_changes(fd);
    file_put(file);
    CHECK_EQ(sys_close(fd), 0);
    CHECK_EQ(sys_unlink("/packed"), 0);
}

static void check_packed_damage(void)
{
    char byte;
    int fd = (int)sys_open("/damaged", ABI_O_RDONLY, 0);

    CHECK_EQ(sys_pread64(fd, &byte, 1, 0), 1);
    CHECK_EQ(byte, plain[0]);
    CHECK_EQ(sys_pread64(fd, &byte, 1, 40000), -EIO);
    CHECK_EQ(sys_pread64(fd, &byte, 1, 69999), 1);
    CHECK_EQ(sys_close(fd), 0);
    CHECK_EQ(sys_unlink("/damaged"), 0);
}

static void test_load(void)
{
    static char big[10000];
    static unsigned char packed[PLAIN_SIZE + 1000];
    struct shape shape = { .mode = ABI_S_IFREG | 0644, .align = 1, .plain_size = PLAIN_SIZE };
    size_t npacked = make_packed(packed);
    struct archive a = { .base = world_ram(MODULE) };
    const char *error;
    struct abi_stat stat;
    char buf[64];

    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 7 + 1);
    add(&a, "etc", (struct shape){ .mode = ABI_S_IFDIR | 0750 }, NULL, 0);
    add(&a, "etc/small", (struct shape){ .mode = ABI_S_IFREG | 0640 }, "small", 5);
    add(&a, "bin/big", (struct shape){ .mode = ABI_S_IFREG | 04755, .align = 1 }, big, sizeof(big));
    add(&a, "bin/link", (struct shape){ .mode = ABI_S_IFLNK | 0777 }, "big", 3);
    add(&a, "bin/big2", (struct shape){ .mode = ABI_S_IFREG | 0755, .align = 1 }, big, 5000);
    add(&a, "dev/tty", (struct shape){ .mode = ABI_S_IFCHR | 0666 }, NULL, 0);
    add(&a, "h1", (struct shape){ .mode = ABI_S_IFREG | 0644, .nlink = 2, .ino = 5 }, NULL, 0);
    add(&a, "h2", (struct shape){ .mode = ABI_S_IFREG | 0644, .nlink = 2, .ino = 5 }, "hard", 4);
    add(&a, ".", (struct shape){ .mode = ABI_S_IFDIR | 0700 }, NULL, 0);
    add(&a, "etc/small", (struct shape){ .mode = ABI_S_IFREG | 0600 }, "newer", 5);
    add(&a, "packed", shape, packed, npacked);
    packed[PACKED_BLOCK + 31 + 19] ^= 1; /* the second block's length */
    add(&a, "damaged", shape, packed, npacked);
    end(&a);
    pad(&a, 8192); /* pages that are not the module's alone are copied */
    CHECK_EQ(load(&a, &error), 0);
    check_use();
    check_file("/bin/big", big, sizeof(big));
    check_file("/bin/link", big, sizeof(big));
    check_file("/bin/big2", big, 5000);
    check_file("/etc/small", "newer", 5);
    check_file("/h1", "hard", 4);
    check_tail("/bin/big");
    check_tail("/bin/big2");
    CHECK_EQ(sys_stat("/h2", &stat), 0);
    CHECK_EQ(stat.st_nlink, 2);
    CHECK_EQ(sys_stat("/bin/big", &stat), 0);
    CHECK_EQ(stat.st_mode, ABI_S_IFREG | 04755);
    CHECK_EQ(stat.st_uid, 7);
    CHECK_EQ(stat.st_mtime_sec, 12345);
    CHECK_EQ(sys_stat("/etc", &stat), 0);
    CHECK_EQ(stat.st_mode, ABI_S_IFDIR | 0750);
    CHECK_EQ(stat.st_mtime_sec, 12345);
    CHECK_EQ(sys_stat("/dev/tty", &stat), 0);
    CHECK_EQ(stat.st_rdev, 4 << 8 | 64);
    CHECK_EQ(sys_readlink("/bin/link", buf, sizeof(buf)), 3);
    /* An adopted file is an ordinary one. */
    int fd = (int)sys_open("/bin/big", ABI_O_RDWR, 0);
    CHECK_EQ(sys_pwrite64(fd, "tail", 4, 9998), 4);
    CHECK_EQ(sys_ftruncate(fd, 100), 0);
    CHECK_EQ(sys_close(fd), 0);
    check_file("/bin/big", big, 100);
    CHECK_EQ(sys_unlink("/bin/big"), 0);
    CHECK_EQ(sys_unlink("/bin/big2"), 0);
    check_packed_damage();
    check_packed();
}

static void test_bad_archives(void)
{
    struct archive a = { .base = world_ram(MODULE) };
    const char *error;

    add(&a, "good", (struct shape){ .mode = ABI_S_IFREG | 0644 }, "good", 4);
    add(&a, "good/under", (struct shape){ .mode = ABI_S_IFREG | 0644 }, "x", 1);
    CHECK_EQ(load(&a, &error), -ENOTDIR);
    CHECK(strstr(error, "entry 2 (good/under)") && strstr(error, "not a directory"));
    a.len = 0;
    add(&a, "link", (struct shape){ .mode = ABI_S_IFLNK }, NULL, 0);
    CHECK_EQ(load(&a, &error), -EINVAL);
    a.len = 0;
    add(&a, "odd", (struct shape){ .mode = 0170000 }, NULL, 0);
    CHECK_EQ(load(&a, &error), -EINVAL);
    CHECK(strstr(error, "type"));
    a.len = 0;
    add(&a, "plain", (struct shape){ .mode = ABI_S_IFREG, .align = 1, .plain_size = 9 }, "no gzip",
        7);
    CHECK_EQ(load(&a, &error), -EBADMSG);
    CHECK(strstr(error, "entry 1 (plain)") && strstr(error, "compressed"));
    a.len = 100;
    CHECK_EQ(load(&a, &error), -EINVAL);
    CHECK(strstr(error, "ends inside a header"));
}

int main(void)
{
    test_reader();
    world_init(RAM);
    /* Bad ones first: a module that was read well is given away. */
    test_bad_archives();
    test_load();
    world_check_idle();
    return 0;
}
