// SPDX-License-Identifier: MIT
#include "parts.h"

double four(double x)
{
    return x / 4;
}
