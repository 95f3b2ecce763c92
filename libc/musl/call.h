/* SPDX-License-Identifier: MIT */
/*
 * A system call of the shipped musl: a jump to the kernel's entry, which AT_SYSINFO tells (__libc_start_main()
 * keeps it in __sysinfo), with rcx as after the syscall instruction.  Without one, as on Linux, it is that
 * instruction; a restarted call begins there too.
 */
#define SYSCALL_INSTRUCTION \
	"mov __sysinfo(%%rip), %%r11\n\t" \
	"test %%r11, %%r11\n\t" \
	"jz 1f\n\t" \
	"lea 2f(%%rip), %%rcx\n\t" \
	"jmp *%%r11\n" \
	"1:\tsyscall\n" \
	"2:"
