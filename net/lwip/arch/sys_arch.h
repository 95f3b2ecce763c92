// SPDX-License-Identifier: MIT
#pragma once
/* Nothing: lwIP runs without an operating system layer (NO_SYS), under net_lock. */
