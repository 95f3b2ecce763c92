// SPDX-License-Identifier: MIT
#pragma once
/*
 * The kernel half of the address space.  Each region is one or more whole top-level slots (512 GiB),
 * filled at boot, so that every page table shares them for good.  Also used by the assembly.
 */
#define KERNEL_BASE      0xffffffff80000000 /* the image: slot 511 */
#define DIRECT_MAP_BASE  0xffff800000000000 /* all RAM: slots 256-263, 4 TiB */
#define DIRECT_MAP_SLOTS 8
#define DEVICE_MAP_BASE  0xffffc00000000000 /* device registers: slot 384 */
#define STACK_MAP_BASE   0xffffd00000000000 /* kernel stacks with guard pages: slot 416 */
#define VSYSCALL_PAGE    0xffffffffff600000
#define REGION_SIZE      0x8000000000
