// SPDX-License-Identifier: MIT
/*
 * Arguments, environment and the auxiliary vector.
 * test: args=a,,%20,--x=y env=STOUT_TEST=1,EMPTY= variants=dynamic,static,musl not_on=syscall,patched,musl
 */
#include "check.h"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

extern char **environ;

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("arg %d <%s>\n", i, argv[i]);
    CHECK(argv[argc] == NULL);
    printf("STOUT_TEST=%s EMPTY=<%s>\n", getenv("STOUT_TEST"), getenv("EMPTY"));
    printf("HOME=%s\n", getenv("HOME"));

    CHECK(getauxval(AT_PAGESZ) == 4096);
    CHECK(getauxval(AT_CLKTCK) == 100);
    CHECK(getauxval(AT_PHENT) == sizeof(ElfW(Phdr)));
    CHECK(getauxval(AT_PHNUM) > 2);
    CHECK(getauxval(AT_RANDOM) != 0);
    CHECK(getauxval(AT_SECURE) == 0);
    CHECK(getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid());
    CHECK(getauxval(AT_GID) == getgid() && getauxval(AT_EGID) == getegid());
    CHECK(getauxval(AT_ENTRY) != 0);
    CHECK(getauxval(AT_SYSINFO_EHDR) != 0);
    CHECK(!strcmp((char *)getauxval(AT_PLATFORM), "x86_64"));
    CHECK(!strcmp((char *)getauxval(AT_EXECFN), argv[0]) || argv[0][0] != '/');
    CHECK(getauxval(AT_MINSIGSTKSZ) >= 1024);
    CHECK(getauxval(AT_HWCAP) != 0);

    const ElfW(Phdr) *header = (void *)getauxval(AT_PHDR);
    CHECK(header && header->p_type != 0);
    const unsigned char *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
    CHECK(vdso && !memcmp(vdso, ELFMAG, SELFMAG));
    const unsigned char *noise = (void *)getauxval(AT_RANDOM);
    int different = 0;
    for (int i = 1; i < 16; i++)
        different += noise[i] != noise[0];
    CHECK(different);
    /* argv, environment and names stand above the stack pointer, 16-aligned at entry. */
    CHECK((char *)argv[0] > (char *)environ && (uintptr_t)argv % 8 == 0);
    return check_end();
}
