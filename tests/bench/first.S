// SPDX-License-Identifier: MIT
/*
 * A program that prints the time stamp counter as it was at its first instruction, as sixteen hexadecimal
 * digits, and ends with status 0.
 */
    .text
    .globl _start
_start:
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, %rdi
    lea buffer(%rip), %rsi
    mov $16, %ecx
1:  rol $4, %rdi
    mov %edi, %eax
    and $15, %eax
    add $'0', %eax
    cmp $'9', %eax
    jbe 2f
    add $39, %eax
2:  mov %al, (%rsi)
    inc %rsi
    dec %ecx
    jnz 1b
    mov $1, %eax
    mov $1, %edi
    lea buffer(%rip), %rsi
    mov $17, %edx
    syscall
    mov $231, %eax
    xor %edi, %edi
    syscall
    .data
buffer:
    .ascii "................\n"
