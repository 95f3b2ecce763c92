// SPDX-License-Identifier: MIT
/*
 * The legacy vsyscall page (Linux: 0xffffffffff600000): three entry points at fixed addresses, which very old
 * static programs still call.  paging_init() maps it.
 */
    .section .rodata
    .balign 4096
    .globl vsyscall_page
vsyscall_page:
    mov $96, %eax               /* gettimeofday */
    syscall
    ret
    .balign 1024, 0xcc
    mov $201, %eax              /* time */
    syscall
    ret
    .balign 1024, 0xcc
    mov $309, %eax              /* getcpu */
    syscall
    ret
    .balign 4096, 0xcc
