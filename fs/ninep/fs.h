// SPDX-License-Identifier: MIT
#pragma once
/* The file system "9p": a folder of the host.  mount(2)'s source is the device's tag. */
struct file_system;
extern const struct file_system ninep_file_system;
