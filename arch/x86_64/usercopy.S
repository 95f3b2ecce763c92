// SPDX-License-Identifier: MIT
/*
 * The hinges of kernel/usercopy.h.  Each instruction that touches application memory has a line in the
 * fixup table: the page-fault handler, when it cannot provide the page, continues at the second address.
 *
 * Copies go by 64 bytes, then 8, then 1.  A fault in a wide step falls through to single bytes, so that
 * the number of bytes not copied is exact.
 */
    .macro FIXUP at, to
    .pushsection .fixup_table, "a"
    .quad \at, \to
    .popsection
    .endm

    .section .text.memory, "ax"

/* size_t arch_app_copy(void *to (rdi), const void *from (rsi), size_t n (rdx)) */
    .balign 16
    .globl arch_app_copy
arch_app_copy:
    cmpq $64, %rdx
    jb 20f
10: movq (%rsi), %rax
11: movq 8(%rsi), %rcx
12: movq 16(%rsi), %r8
13: movq 24(%rsi), %r9
14: movq %rax, (%rdi)
15: movq %rcx, 8(%rdi)
16: movq %r8, 16(%rdi)
17: movq %r9, 24(%rdi)
    addq $32, %rsi
    addq $32, %rdi
    subq $32, %rdx
    cmpq $32, %rdx
    jae 10b
20: cmpq $8, %rdx
    jb 30f
21: movq (%rsi), %rax
22: movq %rax, (%rdi)
    addq $8, %rsi
    addq $8, %rdi
    subq $8, %rdx
    jmp 20b
30: testq %rdx, %rdx
    jz 40f
31: movb (%rsi), %al
32: movb %al, (%rdi)
    incq %rsi
    incq %rdi
    decq %rdx
    jmp 30b
40: movq %rdx, %rax
    ret
    FIXUP 10b, 30b
    FIXUP 11b, 30b
    FIXUP 12b, 30b
    FIXUP 13b, 30b
    FIXUP 14b, 30b
    FIXUP 15b, 30b
    FIXUP 16b, 30b
    FIXUP 17b, 30b
    FIXUP 21b, 30b
    FIXUP 22b, 30b
    FIXUP 31b, 40b
    FIXUP 32b, 40b

/* size_t arch_app_zero(void *to (rdi), size_t n (rsi)) */
    .balign 16
    .globl arch_app_zero
arch_app_zero:
    xorl %eax, %eax
1:  cmpq $8, %rsi
    jb 3f
2:  movq %rax, (%rdi)
    addq $8, %rdi
    subq $8, %rsi
    jmp 1b
3:  testq %rsi, %rsi
    jz 5f
4:  movb %al, (%rdi)
    incq %rdi
    decq %rsi
    jmp 3b
5:  movq %rsi, %rax
    ret
    FIXUP 2b, 3b
    FIXUP 4b, 5b

/* int arch_app_cmpxchg32(uint32_t *address (rdi), expected (esi), desired (edx), uint32_t *seen (rcx)) */
    .balign 16
    .globl arch_app_cmpxchg32
arch_app_cmpxchg32:
    movl %esi, %eax
1:  lock cmpxchgl %edx, (%rdi)
    movl %eax, (%rcx)
    xorl %eax, %eax
    ret
2:  movl $-14, %eax             /* -EFAULT */
    ret
    FIXUP 1b, 2b

/* int arch_app_load32(uint32_t *value (rdi), const uint32_t *address (rsi)): one atomic load */
    .balign 16
    .globl arch_app_load32
arch_app_load32:
1:  movl (%rsi), %eax
    movl %eax, (%rdi)
    xorl %eax, %eax
    ret
2:  movl $-14, %eax
    ret
    FIXUP 1b, 2b
