// SPDX-License-Identifier: MIT
#pragma once
/* ioctl(2) commands of all files (uapi/asm-generic/ioctls.h, linux/fs.h); terminals: termios.h. */

#define ABI_FIONBIO      0x5421u
#define ABI_FIONCLEX     0x5450u
#define ABI_FIOCLEX      0x5451u
#define ABI_FIOASYNC     0x5452u
#define ABI_FIOQSIZE     0x5460u
#define ABI_FICLONE      0x40049409u
#define ABI_FICLONERANGE 0x4020940du
