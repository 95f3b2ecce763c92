// SPDX-License-Identifier: MIT
#include "parts.h"

int two(int x)
{
    return x * 3;
}
