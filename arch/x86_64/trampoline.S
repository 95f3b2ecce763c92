// SPDX-License-Identifier: MIT
/*
 * Where secondary CPUs begin, in real mode with cs:ip = 0x800:0.  smp.c copies this to
 * TRAMPOLINE_PADDR and maps the first 2 MiB one to one in the kernel's page table; from there it goes
 * straight to long mode (SDM 3A, 10.8.5; paging and protection may be turned on together) and to
 * smp_secondary_main() on the stack of the number that the CPU draws.
 */
#include "layout.h"

#define BASE 0x8000
#define AT(symbol) (BASE + (symbol) - trampoline_start)

#define CR4_PAE 0x20
#define EFER_LME_NXE 0x900
#define MSR_EFER 0xc0000080
/* PG, WP, NE, ET, MP, PE; the caches on. */
#define CR0_WANTED 0x80010033

    .section .rodata.trampoline, "a"
    .balign 16
    .globl trampoline_start, trampoline_end, trampoline_root, trampoline_max
    .code16
trampoline_start:
    cli
    cld
    xor %ax, %ax
    mov %ax, %ds
    lgdtl AT(gdt_pointer)
    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov AT(trampoline_root), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_LME_NXE, %eax
    wrmsr
    mov $CR0_WANTED, %eax
    mov %eax, %cr0
    ljmpl $0x08, $AT(long_mode)

    .code64
long_mode:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs

    mov $1, %edi            /* the number drawn: from 1 */
    lock xadd %edi, AT(ticket)
    cmp AT(trampoline_max), %edi
    jae 1f
    mov smp_stack_top(, %rdi, 8), %rsp
    xor %ebp, %ebp
    push %rbp               /* the return address of nobody; the stack as after a call */
    movabs $smp_secondary_main, %rax
    jmp *%rax
1:  cli
    hlt
    jmp 1b

    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long AT(gdt)
    .balign 4
ticket:
    .long 1
trampoline_root:
    .long 0
trampoline_max:
    .long 0
trampoline_end:
