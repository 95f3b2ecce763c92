// SPDX-License-Identifier: MIT
/*
 * Damaged programs given to execve are refused, with an error or SIGSEGV; sound ones run.
 * test: variants=static timeout=60
 */
#include "check.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static unsigned char *image;
static size_t image_size;
static Elf64_Ehdr *header;
static Elf64_Phdr *segments;

static void load_self(void)
{
    int fd = open("/proc/self/exe", O_RDONLY);
    struct stat info;

    NEED(fd >= 0 && !fstat(fd, &info));
    image_size = (size_t)info.st_size;
    image = malloc(image_size);
    NEED(image && read(fd, image, image_size) == (ssize_t)image_size);
    close(fd);
    header = (void *)image;
    segments = (void *)(image + header->e_phoff);
}

/* The image as it is now, written to a file and started: prints what happened. */
static void try_image(const char *what, size_t size)
{
    int fd = open("damaged", O_WRONLY | O_CREAT | O_TRUNC, 0755), status = 0;

    NEED(fd >= 0 && write(fd, image, size) == (ssize_t)size);
    close(fd);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = { 0, 0 };
        setrlimit(RLIMIT_CORE, &none);
        execl("./damaged", "damaged", "child", NULL);
        _exit(errno == ENOENT ? 102 : 101);
    }
    NEED(waitpid(pid, &status, 0) == pid);
    /* Where Linux finds out too late to return, it kills; an error is as good. */
    if (WIFSIGNALED(status) ? WTERMSIG(status) == SIGSEGV : WEXITSTATUS(status) == 101)
        printf("%s: refused\n", what);
    else
        printf("%s: %x\n", what, status);
    unlink("damaged");
    free(image);
    load_self();
}

static Elf64_Phdr *first_load(void)
{
    for (int i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == PT_LOAD)
            return &segments[i];
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 42;
    load_self();
    try_image("whole", image_size);
    header->e_ident[0] = 0;
    try_image("magic", image_size);
    header->e_machine = EM_AARCH64;
    try_image("machine", image_size);
    header->e_type = ET_REL;
    try_image("type", image_size);
    header->e_phentsize = 55;
    try_image("phentsize", image_size);
    header->e_phnum = 0;
    try_image("phnum 0", image_size);
    header->e_phnum = 2000;
    try_image("phnum 2000", image_size);
    header->e_phoff = image_size + 4096;
    try_image("phoff behind the end", image_size);
    header->e_phoff = UINT64_MAX - 8;
    try_image("phoff wraps", image_size);
    try_image("only a magic", 4);
    try_image("half a header", 40);
    try_image("header alone", 64);
    try_image("empty", 0);
    first_load()->p_memsz = 1UL << 50;
    try_image("memsz huge", image_size);
    first_load()->p_filesz = first_load()->p_memsz + 1;
    try_image("filesz above memsz", image_size);
    first_load()->p_vaddr = 0xffffffff80000000;
    try_image("vaddr in the kernel", image_size);
    first_load()->p_vaddr = 0x7fffffffe000;
    try_image("vaddr at the end", image_size);
    first_load()->p_offset += 1;
    try_image("offset and vaddr disagree", image_size);
    for (int i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == PT_NOTE) {
            segments[i].p_type = PT_INTERP;
            segments[i].p_filesz = 5000;
            break;
        }
    try_image("interpreter's name too long", image_size);
    for (int i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == PT_NOTE) {
            segments[i].p_type = PT_INTERP;
            segments[i].p_filesz = 10;
            memcpy(image + segments[i].p_offset, "/no/such/", 10);
            break;
        }
    try_image("interpreter missing", image_size);
    header->e_entry = 0xffffffff80000000;
    try_image("entry in the kernel", image_size);
    header->e_entry = 0x10;
    try_image("entry nowhere", image_size);
    return check_end();
}
