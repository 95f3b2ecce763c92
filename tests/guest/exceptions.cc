// SPDX-License-Identifier: MIT
/*
 * C++: exceptions through threads and signals' frames, static construction, thread_local, iostream.
 * test: flags=-pthread cpus=2 variants=dynamic,static status=3
 */
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <iostream>
#include <map>
#include <mutex>
#include <regex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Announce {
    const char *name;
    explicit Announce(const char *what) : name(what) { std::cout << "construct " << name << "\n"; }
    ~Announce() { std::cout << "destroy " << name << std::endl; }
};

Announce global("global");
thread_local int local = 41;

int thrower(int depth)
{
    Announce here("frame");
    if (depth == 0)
        throw std::runtime_error("thrown");
    return thrower(depth - 1);
}

} // namespace

int main()
{
    try {
        thrower(2);
    } catch (const std::exception &error) {
        std::cout << "caught " << error.what() << "\n";
    }
    auto future = std::async(std::launch::async, [] { return thrower(0); });
    try {
        future.get();
    } catch (const std::runtime_error &error) {
        std::cout << "from the thread: " << error.what() << "\n";
    }
    try {
        std::vector<int>().at(5);
    } catch (const std::out_of_range &) {
        std::cout << "out of range\n";
    }
    try {
        std::string().resize(static_cast<std::size_t>(-1));
    } catch (const std::length_error &) {
        std::cout << "length\n";
    }
    std::atomic<int> sum{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; i++)
        threads.emplace_back([&sum, i] {
            local += i;
            sum += local;
        });
    for (auto &thread : threads)
        thread.join();
    std::cout << "sum " << sum << " local " << local << "\n";
    std::map<std::string, int> words{{"b", 2}, {"a", 1}};
    for (auto &[word, count] : words)
        std::cout << word << count << " ";
    std::cout << std::regex_replace("x1y22", std::regex("[0-9]+"), "#") << "\n";
    std::mutex mutex;
    std::condition_variable condition;
    std::unique_lock<std::mutex> lock(mutex);
    std::cout << (condition.wait_for(lock, std::chrono::milliseconds(20)) == std::cv_status::timeout) << "\n";
    return 3;
}
