// SPDX-License-Identifier: MIT
#pragma once
#include "kernel/driver.h"

extern const struct driver virtio_9p_driver;
