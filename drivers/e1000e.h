// SPDX-License-Identifier: MIT
#pragma once
#include "kernel/driver.h"

extern const struct driver e1000e_driver;
