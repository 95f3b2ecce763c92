// SPDX-License-Identifier: MIT
#pragma once
/* mount(2), umount2(2), statfs(2) (linux/mount.h, linux/magic.h, linux/statfs.h). */

#define ABI_MS_RDONLY      0x1UL
#define ABI_MS_NOSUID      0x2UL
#define ABI_MS_NODEV       0x4UL
#define ABI_MS_NOEXEC      0x8UL
#define ABI_MS_SYNCHRONOUS 0x10UL
#define ABI_MS_REMOUNT     0x20UL
#define ABI_MS_MANDLOCK    0x40UL
#define ABI_MS_DIRSYNC     0x80UL
#define ABI_MS_NOSYMFOLLOW 0x100UL
#define ABI_MS_NOATIME     0x400UL
#define ABI_MS_NODIRATIME  0x800UL
#define ABI_MS_BIND        0x1000UL
#define ABI_MS_MOVE        0x2000UL
#define ABI_MS_REC         0x4000UL
#define ABI_MS_SILENT      0x8000UL
#define ABI_MS_UNBINDABLE  0x20000UL
#define ABI_MS_PRIVATE     0x40000UL
#define ABI_MS_SLAVE       0x80000UL
#define ABI_MS_SHARED      0x100000UL
#define ABI_MS_RELATIME    0x200000UL
#define ABI_MS_STRICTATIME 0x1000000UL
#define ABI_MS_LAZYTIME    0x2000000UL
#define ABI_MS_MGC_VAL     0xc0ed0000UL
#define ABI_MS_MGC_MSK     0xffff0000UL

#define ABI_MNT_FORCE       1u
#define ABI_MNT_DETACH      2u
#define ABI_MNT_EXPIRE      4u
#define ABI_UMOUNT_NOFOLLOW 8u

#define ABI_ST_RDONLY   0x0001
#define ABI_ST_NOSUID   0x0002
#define ABI_ST_NODEV    0x0004
#define ABI_ST_NOEXEC   0x0008
#define ABI_ST_VALID    0x0020
#define ABI_ST_NOATIME  0x0400
#define ABI_ST_RELATIME 0x1000

#define ABI_TMPFS_MAGIC      0x01021994
#define ABI_V9FS_MAGIC       0x01021997
#define ABI_RAMFS_MAGIC      0x858458f6
#define ABI_PROC_MAGIC       0x9fa0
#define ABI_SYSFS_MAGIC      0x62656572
#define ABI_DEVPTS_MAGIC     0x1cd1
#define ABI_CGROUP2_MAGIC    0x63677270
#define ABI_PIPEFS_MAGIC     0x50495045
#define ABI_SOCKFS_MAGIC     0x534f434b
#define ABI_ANON_INODE_MAGIC 0x09041934
#define ABI_EXT4_MAGIC       0xef53
