// SPDX-License-Identifier: MIT
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

static int depth(int n)
{
    std::string text(static_cast<size_t>(n), 'x');
    if (n == 0)
        throw std::runtime_error("from the depth");
    return depth(n - 1) + static_cast<int>(text.size());
}

int main()
{
    std::vector<std::string> seen;
    for (int n = 1; n < 4; n++) {
        try {
            depth(n * 50);
        } catch (const std::exception &e) {
            seen.push_back(e.what());
        }
    }
    try {
        std::printf("%d\n", seen.at(7).empty());
    } catch (const std::out_of_range &) {
        std::printf("%zu %s\n", seen.size(), seen[0].c_str());
    }
    return 0;
}
