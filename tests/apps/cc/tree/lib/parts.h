// SPDX-License-Identifier: MIT
#pragma once
int one(int x);
int two(int x);
int three(int x);
double four(double x);
