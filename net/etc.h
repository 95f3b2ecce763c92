// SPDX-License-Identifier: MIT
#pragma once
/*
 * The files of /etc that tell programs of the network.
 */
#include "lib/compiler.h"

/* /etc, for an image without one. */
void etc_make(void);
/* A file as a whole; flags: O_TRUNC, or O_CREAT with O_EXCL.  -errno. */
int etc_write(const char *name, unsigned flags, const char *text, size_t len);
/* /etc/hosts, unless the image brings one. */
void etc_make_hosts(const char *hostname);
/* Puts the lines of text behind all that programs and the image wrote there, in place of those put there before. */
int etc_set_neighbours(const char *text, size_t len);
