// SPDX-License-Identifier: MIT
/* The vDSO as built from this folder, a part of the kernel's read-only data. */
    .section .rodata.vdso, "a"
    .balign 16
    .globl vdso_image_start, vdso_image_end
vdso_image_start:
    .incbin VDSO_IMAGE
vdso_image_end:
    .section .note.GNU-stack, "", @progbits
