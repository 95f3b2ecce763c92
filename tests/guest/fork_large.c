// SPDX-License-Identifier: MIT
/*
 * fork() of memory in large pages: what parent, child and grandchild write, unmap, protect and move afterwards is
 * their own, whoever is first; and the parent's memory is as before when they are gone.
 * test: cpus=2 memory=256M timeout=60
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK  (2UL << 20)
#define PAGE   4096UL
#define SIZE   (12 * BLOCK)
#define NPAGES (SIZE / PAGE)

static unsigned char *memory;

static void expect(int ok, const char *what)
{
    if (ok)
        return;
    printf("failed: %s (pid %d)\n", what, (int)getpid());
    fflush(stdout);
    _exit(1);
}

static unsigned char first_value(size_t page)
{
    return (unsigned char)(page * 7 + 1);
}

/* All pages but [skip, skip_end) hold their first values plus add, at both ends. */
static void check(unsigned char add, size_t skip, size_t skip_end, const char *what)
{
    for (size_t page = 0; page < NPAGES; page++) {
        unsigned char want = (unsigned char)(first_value(page) + add);
        if (page >= skip && page < skip_end)
            continue;
        expect(memory[page * PAGE] == want && memory[page * PAGE + PAGE - 1] == want, what);
    }
}

static void fill(unsigned char add, size_t first, size_t end)
{
    for (size_t page = first; page < end; page++)
        memory[page * PAGE] = memory[page * PAGE + PAGE - 1] =
            (unsigned char)(first_value(page) + add);
}

static void finish(pid_t child)
{
    int status;
    expect(waitpid(child, &status, 0) == child && status == 0, "child");
}

/* Runs work in a child; the parent does its own in between. */
static void with_child(void (*work)(void), void (*meanwhile)(void))
{
    pid_t child = fork();
    expect(child >= 0, "fork");
    if (child == 0) {
        work();
        _exit(0);
    }
    if (meanwhile)
        meanwhile();
    finish(child);
}

static void look(void)
{
    check(0, 0, 0, "as the parent left it");
}

static void write_one(void)
{
    memory[5 * BLOCK + 3 * PAGE]++;
    expect(memory[5 * BLOCK + 2 * PAGE] == first_value((5 * BLOCK + 2 * PAGE) / PAGE), "neighbour");
}

static void write_all(void)
{
    fill(50, 0, NPAGES);
    check(50, 0, 0, "own values");
}

static void write_all_with_grandchild(void)
{
    with_child(write_all, NULL);
    check(0, 0, 0, "after the grandchild");
    with_child(look, NULL);
    write_all();
}

static void take_apart(void)
{
    size_t hole = 4 * BLOCK / PAGE + 100;
    expect(munmap(memory + hole * PAGE, 300 * PAGE) == 0, "munmap");
    check(0, hole, hole + 300, "around the hole");
    expect(madvise(memory + 7 * BLOCK + PAGE, PAGE, MADV_DONTNEED) == 0, "madvise");
    expect(memory[7 * BLOCK + PAGE] == 0, "given back");
    expect(mprotect(memory + 8 * BLOCK, 3 * PAGE, PROT_READ) == 0, "mprotect");
    expect(mprotect(memory + 8 * BLOCK, 3 * PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect back");
    memory[8 * BLOCK]++;
    unsigned char *to = mremap(memory + 9 * BLOCK, BLOCK, BLOCK, MREMAP_MAYMOVE | MREMAP_FIXED,
                               memory + SIZE + PAGE);
    expect(to == memory + SIZE + PAGE && to[5 * PAGE] == first_value(9 * BLOCK / PAGE + 5),
           "mremap");
    to[0]++;
}

/* The whole goes read-only and back: writable where nobody shares, copied where somebody does. */
static void protect_all(void)
{
    expect(mprotect(memory, SIZE, PROT_READ) == 0, "mprotect");
    look();
    expect(mprotect(memory, SIZE, PROT_READ | PROT_WRITE) == 0, "mprotect back");
    write_all();
}

static void parent_writes(void)
{
    memory[2 * BLOCK + 9 * PAGE] = 99;
    memory[2 * BLOCK + 9 * PAGE] = first_value((2 * BLOCK + 9 * PAGE) / PAGE);
    fill(0, 6 * BLOCK / PAGE, 7 * BLOCK / PAGE);
}

/* The kernel writes to a child's memory on behalf of its parent. */
static void write_from_outside(void)
{
    int go[2];
    char byte = 0;
    expect(pipe(go) == 0, "pipe");
    pid_t child = fork();
    expect(child >= 0, "fork");
    if (child == 0) {
        expect(read(go[0], &byte, 1) == 1, "read");
        expect(memory[3 * BLOCK + PAGE] == 200, "written from outside");
        memory[3 * BLOCK + PAGE] = first_value((3 * BLOCK + PAGE) / PAGE);
        look();
        _exit(0);
    }
    unsigned char value = 200;
    struct iovec from = { &value, 1 }, to = { memory + 3 * BLOCK + PAGE, 1 };
    expect(process_vm_writev(child, &from, 1, &to, 1, 0) == 1, "process_vm_writev");
    look();
    expect(write(go[1], &byte, 1) == 1, "write");
    finish(child);
    close(go[0]);
    close(go[1]);
}

int main(void)
{
    /* Room behind it for mremap(). */
    unsigned char *room = mmap(NULL, SIZE + 2 * BLOCK + PAGE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(room != MAP_FAILED, "mmap");
    memory = room;
    fill(0, 0, NPAGES);
    struct {
        const char *name;
        void (*work)(void);
        void (*meanwhile)(void);
    } cases[] = {
        { "look", look, NULL },
        { "look while the parent writes", look, parent_writes },
        { "write one page", write_one, parent_writes },
        { "write all", write_all, parent_writes },
        { "grandchild", write_all_with_grandchild, parent_writes },
        { "take apart", take_apart, parent_writes },
        { "protect", protect_all, parent_writes },
        { "protect alone", protect_all, NULL },
    };
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            with_child(cases[i].work, cases[i].meanwhile);
            check(0, 0, 0, cases[i].name);
            printf("%s: ok\n", cases[i].name);
            fflush(stdout);
        }
    write_from_outside();
    fill(0, 0, NPAGES);
    check(0, 0, 0, "at the end");
    printf("all ok\n");
    return 0;
}
