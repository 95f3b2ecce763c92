// SPDX-License-Identifier: MIT
#pragma once
/*
 * Put before a driver's source (-include): its reads of registers become the test's to answer, for registers whose
 * answer depends on what was written.
 */
#include "drivers/mmio.h"

uint32_t nic_mmio_read32(const volatile void *address);
#define mmio_read32 nic_mmio_read32
