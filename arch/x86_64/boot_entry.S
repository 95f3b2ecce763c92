// SPDX-License-Identifier: MIT
/*
 * The first instructions.  Every loader starts us in 32-bit protected mode without paging:
 *
 *   PVH           EBX: hvm_start_info (Xen's x86/HVM direct boot ABI), found by the ELF note below
 *   multiboot 2   EAX 0x36d76289, EBX: information (Multiboot2 specification, 3.2)
 *   multiboot 1   EAX 0x2badb002, EBX: information (Multiboot specification 0.6.96, 3.2)
 *
 * The image may have been put anywhere below 4 GiB; where is found out with a call.  Here: page
 * tables (the first 4 GiB identical and in the direct map, the image at its link address), long mode, a stack,
 * boot_main() in C.  W^X and the other RAM come from there (paging.c).
 */
#include "layout.h"

#define PHYS(symbol) ((symbol) - KERNEL_BASE)

#define PTE_PW   3          /* present, writable */
#define PTE_PWL  0x83       /* and large */

    .section .boot.mb2, "a"
    .balign 8
mb2_header:
    .long 0xe85250d6, 0, mb2_end - mb2_header
    .long -(0xe85250d6 + (mb2_end - mb2_header))
    .word 0, 0              /* end tag */
    .long 8
mb2_end:

    .section .boot.mb1, "a"
    .balign 4
    /* Flags: modules on page boundaries, memory map. */
    .long 0x1badb002, 3, -(0x1badb002 + 3)

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, 18          /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad PHYS(pvh_entry)

    .section .boot.text, "ax"
    .code32
    .globl pvh_entry, multiboot_entry
multiboot_entry:
    cld
    mov %eax, %esi          /* which multiboot: boot_main tells by the magic */
    jmp 1f
pvh_entry:
    cld
    mov $0x336ec578, %esi
1:  cli
    /* A stack for the one call: the loaders promise none.  The first word of the info structure
     * may be borrowed (multiboot 2.x, 3.2 leaves all memory but that of its tables to us). */
    mov (%ebx), %edi
    lea 4(%ebx), %esp
    call here
here:
    pop %ebp
    mov %edi, (%ebx)
    sub $PHYS(here), %ebp   /* delta: PHYS(x) + delta is where x really is */

    /* Tables of the image: KERNEL_BASE + x at physical delta + x, 8 MiB from KERNEL_LOAD's 2 MiB. */
    lea PHYS(boot_pt)(%ebp), %edi
    lea PTE_PW(%ebp), %eax
    mov $2048, %ecx
1:  mov %eax, (%edi)
    movl $0, 4(%edi)
    add $8, %edi
    add $4096, %eax
    dec %ecx
    jnz 1b

    lea (PHYS(boot_pt) + PTE_PW)(%ebp), %eax
    lea PHYS(boot_pd_image)(%ebp), %edi
    mov $4, %ecx
1:  mov %eax, (%edi)
    add $8, %edi
    add $4096, %eax
    dec %ecx
    jnz 1b

    /* The first 4 GiB. */
    lea PHYS(boot_pd_low)(%ebp), %edi
    mov $PTE_PWL, %eax
    mov $2048, %ecx
1:  mov %eax, (%edi)
    movl $0, 4(%edi)
    add $8, %edi
    add $0x200000, %eax
    dec %ecx
    jnz 1b
    lea (PHYS(boot_pd_low) + PTE_PW)(%ebp), %eax
    lea PHYS(boot_pdpt_low)(%ebp), %edi
    mov $4, %ecx
1:  mov %eax, (%edi)
    add $8, %edi
    add $4096, %eax
    dec %ecx
    jnz 1b

    lea (PHYS(boot_pd_image) + PTE_PW)(%ebp), %eax
    mov %eax, (PHYS(boot_pdpt_image) + 510 * 8)(%ebp)
    lea (PHYS(boot_pdpt_low) + PTE_PW)(%ebp), %eax
    mov %eax, PHYS(boot_pml4)(%ebp)
    mov %eax, (PHYS(boot_pml4) + 256 * 8)(%ebp)
    lea (PHYS(boot_pdpt_image) + PTE_PW)(%ebp), %eax
    mov %eax, (PHYS(boot_pml4) + 511 * 8)(%ebp)

    /* Long mode (SDM 3A, 10.8.5): PAE, CR3, EFER.LME and NXE, paging. */
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    lea PHYS(boot_pml4)(%ebp), %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x900, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000001, %eax
    mov %eax, %cr0

    lea PHYS(boot_gdt)(%ebp), %eax
    lea PHYS(boot_gdt_pointer)(%ebp), %edx
    mov %eax, 2(%edx)
    lgdt (%edx)
    lea PHYS(boot_far)(%ebp), %edx
    lea PHYS(long_mode)(%ebp), %eax
    mov %eax, (%edx)
    ljmp *(%edx)

    .code64
long_mode:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    movabs $1f, %rax
    jmp *%rax
1:  /* At the link address. */
    mov $boot_stack_top, %rsp
    movslq %ebp, %rdx       /* below zero when the image lies lower than linked */
    mov %esi, %edi
    mov %ebx, %esi
    xor %ebp, %ebp
    call boot_main
    ud2

    .section .boot.data, "aw"
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
boot_gdt_pointer:
    .word . - boot_gdt - 1
    .long 0
    .word 0
boot_far:
    .long 0
    .word 8

    .section .bss.page_tables, "aw", @nobits
    .balign 4096
    .globl boot_pml4, boot_pdpt_low, boot_pdpt_image, boot_pd_low, boot_pd_image, boot_pt
boot_pml4:       .skip 4096
boot_pdpt_low:   .skip 4096
boot_pdpt_image: .skip 4096
boot_pd_image:   .skip 4096
boot_pd_low:     .skip 4 * 4096
boot_pt:         .skip 4 * 4096

    /* The page below the stack is unmapped by paging_init(). */
    .globl boot_stack_guard, boot_stack_bottom, boot_stack_top
boot_stack_guard: .skip 4096
boot_stack_bottom: .skip 16384
boot_stack_top:
