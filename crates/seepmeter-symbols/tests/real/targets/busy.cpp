// Two threads in what C++ programs do: maps, strings, sorting, exceptions.
#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace busy {

[[gnu::noinline]] int fail(int n) {
    if (n % 2) throw std::runtime_error("odd " + std::to_string(n));
    return n;
}

[[gnu::noinline]] void maps(std::mt19937 &random) {
    std::map<std::string, int> map;
    for (int i = 0; i < 200; i++) map[std::to_string(random() % 1000)] += i;
}

[[gnu::noinline]] void sorts(std::mt19937 &random) {
    std::vector<unsigned> numbers(500);
    for (auto &number : numbers) number = random();
    std::sort(numbers.begin(), numbers.end(), [](unsigned a, unsigned b) { return a > b; });
}

[[gnu::noinline]] void throws(int n) {
    try {
        fail(n);
    } catch (const std::exception &error) {
        static thread_local std::string last;
        last = error.what();
    }
}

[[gnu::noinline]] void work(unsigned seed) {
    std::mt19937 random(seed);
    for (int n = 0;; n++) {
        maps(random);
        sorts(random);
        for (int i = 0; i < 20; i++) throws(n + i);
    }
}

} // namespace busy

int main() {
    std::thread thread(busy::work, 2);
    std::puts("ready");
    std::fflush(stdout);
    busy::work(1);
}
