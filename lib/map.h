// SPDX-License-Identifier: MIT
#pragma once
/*
 * MAP(m, a, b) is m(0, a), m(1, b); MAP(m) is m_EMPTY.  Six is the limit of the
 * system call ABI, so a seventh item is an error here as well.
 */
#define MAP(m, ...)                                 CAT(MAP, COUNT_ARGS(__VA_ARGS__))(m, ##__VA_ARGS__)
#define COUNT_ARGS(...)                             COUNT_ARGS_(0, ##__VA_ARGS__, 6, 5, 4, 3, 2, 1, 0)
#define COUNT_ARGS_(zero, a, b, c, d, e, f, n, ...) n
#define CAT(a, b)                                   CAT_(a, b)
#define CAT_(a, b)                                  a##b
#define MAP0(m)                                     m##_EMPTY
#define MAP1(m, a)                                  m(0, a)
#define MAP2(m, a, b)                               MAP1(m, a), m(1, b)
#define MAP3(m, a, b, c)                            MAP2(m, a, b), m(2, c)
#define MAP4(m, a, b, c, d)                         MAP3(m, a, b, c), m(3, d)
#define MAP5(m, a, b, c, d, e)                      MAP4(m, a, b, c, d), m(4, e)
#define MAP6(m, a, b, c, d, e, f)                   MAP5(m, a, b, c, d, e), m(5, f)
