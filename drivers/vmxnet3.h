// SPDX-License-Identifier: MIT
#pragma once
#include "kernel/driver.h"

extern const struct driver vmxnet3_driver;
