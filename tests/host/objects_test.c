// SPDX-License-Identifier: MIT
/*
 * Pipes, eventfd, epoll, inotify and memfd, by their own functions, on the one-thread world: what would
 * wait ends with -ERESTARTSYS.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "fs/epoll.h"
#include "fs/event_objects.h"
#include "fs/inotify.h"
#include "fs/memfd.h"
#include "fs/pipe.h"
#include "kernel/syscall.h"
#include "tests/host/check.h"
#include "tests/host/fs_world.h"

static long put(struct file *file, const void *data, size_t len)
{
    struct io io;
    io_init_kernel(&io, data, len);
    return file_write(file, &io, NULL);
}

static long take(struct file *file, void *data, size_t len)
{
    struct io io;
    io_init_kernel(&io, data, len);
    return file_read(file, &io, NULL);
}

/* ---- Pipes ------------------------------------------------------------------------- */

#define MODEL_SIZE (1u << 20)

static unsigned char model[MODEL_SIZE]; /* what went in, from taken on */
static size_t given, taken;
static unsigned char block[70000];

static void model_write(struct file *out, size_t capacity)
{
    size_t len = (size_t)rand() % (rand() % 4 ? 6000 : sizeof(block)),
           room = capacity - (given - taken);
    for (size_t i = 0; i < len; i++)
        block[i] = (unsigned char)rand();
    long expected = (long)MIN(len, room);
    if (len > 0 && (room == 0 || (len <= PIPE_ATOMIC_BYTES && len > room)))
        expected = -EAGAIN;
    CHECK_EQ(put(out, block, len), expected);
    for (long i = 0; i < expected; i++)
        model[given++ % MODEL_SIZE] = block[i];
}

static void model_read(struct file *in)
{
    size_t len = (size_t)rand() % (rand() % 4 ? 6000 : sizeof(block));
    long expected = len == 0 ? 0 : given == taken ? -EAGAIN : (long)MIN(len, given - taken);
    CHECK_EQ(take(in, block, len), expected);
    for (long i = 0; i < expected; i++)
        CHECK_EQ(block[i], model[taken++ % MODEL_SIZE]);
}

static void test_pipe_model(void)
{
    struct file *in, *out;
    size_t capacity = 65536;
    CHECK_EQ(pipe_create(ABI_O_NONBLOCK, &in, &out), 0);
    for (int i = 0; i < 20000; i++) {
        if (rand() % 2)
            model_write(out, capacity);
        else
            model_read(in);
        if (rand() % 50 == 0) {
            unsigned long size = 4096ul << rand() % 7;
            long result = pipe_set_size(out, size);
            CHECK(result == (long)size || (result == -EBUSY && size < capacity));
            capacity = result > 0 ? size : capacity;
        }
        world_check_idle();
    }
    file_put(in);
    unsigned before = world_signals;
    CHECK_EQ(put(out, "x", 1), -EPIPE);
    CHECK_EQ(world_signals, before + 1);
    CHECK_EQ(file_poll(out) & ABI_POLLERR, ABI_POLLERR);
    file_put(out);
}

static void test_pipe_ends(void)
{
    struct file *in, *out;
    char buf[16];
    CHECK_EQ(pipe_create(0, &in, &out), 0);
    CHECK_EQ(take(in, buf, 1), -ERESTARTSYS);
    CHECK_EQ(file_poll(in), 0);
    CHECK_EQ(put(out, "last", 4), 4);
    file_put(out);
    CHECK_EQ(file_poll(in), ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLHUP);
    CHECK_EQ(take(in, buf, 16), 4);
    CHECK_EQ(take(in, buf, 16), 0);
    file_put(in);
    CHECK_EQ(pipe_create(ABI_O_DIRECT | ABI_O_NONBLOCK, &in, &out), 0);
    CHECK_EQ(put(out, block, 5000), 5000); /* two packets */
    CHECK_EQ(take(in, block, 5000), 4096);
    CHECK_EQ(take(in, block, 1), 1);
    CHECK_EQ(take(in, block, 1), -EAGAIN); /* the rest of a packet is lost */
    file_put(in);
    file_put(out);
}

/* ---- epoll --------------------------------------------------------------------------- */

static int control(struct file *epoll, int op, struct file *target, uint32_t events)
{
    struct abi_epoll_event event = { .events = events, .data = 7 };
    return epoll_control(epoll, op, target, 1, &event);
}

static long ready(struct file *epoll)
{
    struct abi_epoll_event events[4];
    return epoll_wait(epoll, events, 4, 0);
}

static void test_epoll(void)
{
    struct file *epoll, *outer, *event;
    uint64_t value = 1;
    CHECK_EQ(epoll_create(0, &epoll), 0);
    CHECK_EQ(epoll_create(0, &outer), 0);
    CHECK_EQ(eventfd_create(0, ABI_O_NONBLOCK, false, &event), 0);
    CHECK_EQ(control(epoll, ABI_EPOLL_CTL_ADD, event, ABI_POLLIN | ABI_EPOLLET), 0);
    CHECK_EQ(control(epoll, ABI_EPOLL_CTL_ADD, event, ABI_POLLIN), -EEXIST);
    CHECK_EQ(control(outer, ABI_EPOLL_CTL_ADD, epoll, ABI_POLLIN), 0);
    CHECK_EQ(control(epoll, ABI_EPOLL_CTL_ADD, outer, ABI_POLLIN), -ELOOP);
    CHECK_EQ(ready(outer), 0);
    CHECK_EQ(put(event, &value, 8), 8);
    CHECK_EQ(ready(outer), 1);
    CHECK_EQ(ready(epoll), 1);
    CHECK_EQ(ready(epoll), 0);
    CHECK_EQ(ready(outer), 0);
    CHECK_EQ(control(epoll, ABI_EPOLL_CTL_MOD, event, ABI_POLLIN | ABI_EPOLLONESHOT), 0);
    CHECK_EQ(ready(epoll), 1);
    CHECK_EQ(put(event, &value, 8), 8);
    CHECK_EQ(ready(epoll), 0);
    CHECK_EQ(control(epoll, ABI_EPOLL_CTL_MOD, event, ABI_POLLOUT), 0);
    CHECK_EQ(ready(epoll), 1);
    CHECK_EQ(ready(epoll), 1);
    file_put(event); /* takes its item along */
    CHECK_EQ(ready(epoll), 0);
    file_put(epoll);
    CHECK_EQ(ready(outer), 0);
    file_put(outer);
    world_check_idle();
}

/* Items of many files, closed in any order: nothing is left behind (ASan sees). */
static void test_epoll_churn(void)
{
    struct file *epoll[4], *event[16] = { 0 };
    for (int i = 0; i < 4; i++)
        CHECK_EQ(epoll_create(0, &epoll[i]), 0);
    for (int i = 0; i < 5000; i++) {
        struct file **slot = &event[rand() % 16];
        uint64_t value = 1;
        if (!*slot)
            CHECK_EQ(eventfd_create(0, ABI_O_NONBLOCK, false, slot), 0);
        int op = 1 + rand() % 3;
        int err =
            control(epoll[rand() % 4], op, *slot, ABI_POLLIN | (rand() % 2 ? ABI_EPOLLET : 0));
        CHECK(err == 0 || err == -EEXIST || err == -ENOENT);
        if (rand() % 3 == 0)
            CHECK_EQ(put(*slot, &value, 8), 8);
        CHECK(ready(epoll[rand() % 4]) >= 0);
        if (rand() % 5 == 0) {
            file_put(*slot);
            *slot = NULL;
        }
    }
    for (int i = 0; i < 4; i++)
        file_put(epoll[i]);
    for (int i = 0; i < 16; i++) {
        if (event[i])
            file_put(event[i]);
    }
    world_check_idle();
}

/* ---- inotify and memfd -------------------------------------------------------------------- */

static void test_inotify(void)
{
    struct file *file;
    struct abi_inotify_event event;
    char buf[64];
    CHECK_EQ(inotify_create(ABI_O_NONBLOCK, &file), 0);
    CHECK_EQ(inotify_add(file, root_path.dentry->inode, ABI_IN_CREATE | ABI_IN_DELETE), 1);
    int fd = (int)sys_open("/seen", ABI_O_CREAT | ABI_O_WRONLY, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(sys_close(fd), 0);
    CHECK_EQ(take(file, buf, 8), -EINVAL);
    CHECK_EQ(take(file, buf, sizeof(buf)), sizeof(event) + 16);
    memcpy(&event, buf, sizeof(event));
    CHECK_EQ(event.mask, ABI_IN_CREATE);
    CHECK(strcmp(buf + sizeof(event), "seen") == 0);
    CHECK_EQ(sys_unlink("/seen"), 0);
    CHECK_EQ(inotify_remove(file, 1), 0);
    CHECK_EQ(take(file, buf, sizeof(buf)), 48); /* the deletion, and IN_IGNORED */
    CHECK_EQ(take(file, buf, sizeof(buf)), -EAGAIN);
    CHECK_EQ(inotify_add(file, root_path.dentry->inode, ABI_IN_CREATE), 2);
    file_put(file);
    CHECK_EQ(inotify_nwatches, 0);
    world_check_idle();
}

static void test_memfd(void)
{
    struct file *file;
    char text[64];
    CHECK_EQ(memfd_create_file("x", 0, &file), 0);
    CHECK(path_text(&file->path, text, sizeof(text)) > 0);
    CHECK(strcmp(text, "/memfd:x (deleted)") == 0);
    CHECK_EQ(memfd_add_seals(file, ABI_F_SEAL_GROW), -EPERM);
    file->inode->seals = 0;
    CHECK_EQ(put(file, "data", 4), 4);
    CHECK_EQ(memfd_add_seals(file, ABI_F_SEAL_WRITE | 64), -EINVAL);
    CHECK_EQ(memfd_add_seals(file, ABI_F_SEAL_WRITE), 0);
    CHECK_EQ(put(file, "more", 4), -EPERM);
    CHECK_EQ(memfd_get_seals(file), ABI_F_SEAL_WRITE);
    file_put(file);
    world_check_idle();
}

int main(void)
{
    srand(1);
    world_init(64 << 20);
    test_pipe_model();
    test_pipe_ends();
    test_epoll();
    test_epoll_churn();
    test_inotify();
    test_memfd();
    return 0;
}
