// SPDX-License-Identifier: MIT
#pragma once
/* The host's date, if the tool is there to tell it.  Asked before control_start(), so that what else boots need not
 * wait for the answer; awaited before the program starts. */
void clock_ask(void);
void clock_await(void);
