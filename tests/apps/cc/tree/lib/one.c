// SPDX-License-Identifier: MIT
#include "parts.h"

int one(int x)
{
    return x * 2;
}
