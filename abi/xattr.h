// SPDX-License-Identifier: MIT
#pragma once
/* setxattr(2) (linux/xattr.h, linux/limits.h). */

#define ABI_XATTR_CREATE   1
#define ABI_XATTR_REPLACE  2
#define ABI_XATTR_NAME_MAX 255
#define ABI_XATTR_SIZE_MAX 65536
#define ABI_XATTR_LIST_MAX 65536
