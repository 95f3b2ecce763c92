// SPDX-License-Identifier: MIT
/*
 * The hinges of kernel/usercopy.h.  Each instruction that touches application memory has a line in the
 * fixup table: the page-fault handler, when it cannot provide the page, continues at the second address.
 *
 * Copies go by 32 bytes, then the rest by at most four moves: the last one overlaps what was copied before.
 * A fault in a wide step falls through to single bytes, so that the number of bytes not copied is exact: until a
 * step is done, rsi, rdi and rdx stand at its beginning.
 */
    .macro FIXUP at, to
    .pushsection fixup_table, "a"
    .quad \at, \to
    .popsection
    .endm

    .section .text.memory, "ax"

/* size_t arch_app_copy(void *to (rdi), const void *from (rsi), size_t n (rdx)) */
    .balign 16
    .globl arch_app_copy
arch_app_copy:
    cmpq $32, %rdx
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
    testq %rdx, %rdx
    jz 60f
    cmpq $8, %rdx
    jbe 31f
20: cmpq $8, %rdx               /* 0 to 31 are left */
    jb 40f
    cmpq $16, %rdx
    jbe 30f
21: movq (%rsi), %rax
22: movq 8(%rsi), %rcx
23: movq %rax, (%rdi)
24: movq %rcx, 8(%rdi)
    addq $16, %rsi              /* 1 to 15 are left, and 16 lie before them */
    addq $16, %rdi
    subq $16, %rdx
    cmpq $8, %rdx
    jbe 31f
30: movq (%rsi), %rax           /* the first 8 of 8 to 16 */
32: movq %rax, (%rdi)
31: movq -8(%rsi, %rdx), %rax   /* the last 8 */
33: movq %rax, -8(%rdi, %rdx)
    xorl %eax, %eax
    ret
40: cmpl $4, %edx
    jb 50f
41: movl (%rsi), %eax
42: movl -4(%rsi, %rdx), %ecx
43: movl %eax, (%rdi)
44: movl %ecx, -4(%rdi, %rdx)
    xorl %eax, %eax
    ret
50: testq %rdx, %rdx
    jz 60f
51: movb (%rsi), %al
52: movb %al, (%rdi)
    incq %rsi
    incq %rdi
    decq %rdx
    jnz 51b
60: movq %rdx, %rax
    ret
    .irp at, 10b, 11b, 12b, 13b, 14b, 15b, 16b, 17b, 21b, 22b, 23b, 24b, 30b, 31b, 32b, 33b, 41b, 42b, 43b, 44b
    FIXUP \at, 50b
    .endr
    FIXUP 51b, 60b
    FIXUP 52b, 60b

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

    .section .note.GNU-stack, "", @progbits
