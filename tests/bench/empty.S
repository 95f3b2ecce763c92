// SPDX-License-Identifier: MIT
/*
 * The smallest PVH kernel: it writes the time stamp counter at its entry to COM1 as sixteen hexadecimal
 * digits and stops the machine.  What a firmware costs before any kernel runs is measured with it.
 */
    .section .note, "a"
    .long 4, 4, 18
    .asciz "Xen"
    .long start

    .code32
    .text
    .globl start
start:
    rdtsc
    mov %eax, %ebx
    mov %edx, %ebp
    mov $2, %esi
    mov %ebp, %edi
1:  mov $8, %ecx
2:  rol $4, %edi
    mov %edi, %eax
    and $15, %eax
    add $'0', %eax
    cmp $'9', %eax
    jbe 3f
    add $39, %eax
3:  mov $0x3f8, %edx
    out %al, %dx
    dec %ecx
    jnz 2b
    mov %ebx, %edi
    dec %esi
    jnz 1b
    mov $'\n', %eax
    mov $0x3f8, %edx
    out %al, %dx
    // A triple fault; with -no-reboot QEMU ends.
    lidt empty
    int3
4:  hlt
    jmp 4b
empty:
    .quad 0
