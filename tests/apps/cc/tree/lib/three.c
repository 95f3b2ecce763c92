// SPDX-License-Identifier: MIT
#include "parts.h"

int three(int x)
{
    return x * 4;
}
